/* The target step: service → destination and addresses (target.h, balancing.md §1 and §4.5). */
#include "gateway/target.h"

#include "gateway/request_priv.h"

#include <arpa/inet.h>
#include <stdio.h>

#define DEFAULT_RETRIES 5
#define DEFAULT_VERIFY_DEPTH 1

/* --- When the program is built -------------------------------------------------------------------- */

static struct tp_str without_brackets(struct tp_str host)
{
    if (host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']')
        return tp_str_make(host.data + 1, host.len - 2);
    return host;
}

static bool parse_literal(struct tp_str host, struct tp_address *out)
{
    char cstr[INET6_ADDRSTRLEN];

    host = without_brackets(host);
    if (host.len == 0 || host.len >= sizeof(cstr))
        return false;
    memcpy(cstr, host.data, host.len);
    cstr[host.len] = '\0';
    out->family_v6 = inet_pton(AF_INET, cstr, out->bytes) != 1;
    return !out->family_v6 || inet_pton(AF_INET6, cstr, out->bytes) == 1;
}

/* ":port" unless it is the protocol's own; an IPv6 literal in brackets. */
static struct tp_str host_header(struct tp_arena *arena, struct tp_str host, int64_t port, bool tls)
{
    bool bare_v6 = tp_str_chr(host, ':') >= 0 && host.data[0] != '[';

    if (bare_v6)
        host = tp_arena_printf(arena, "[%.*s]", TP_STR_ARG(host));
    if (port == (tls ? 443 : 80))
        return host;
    return tp_arena_printf(arena, "%.*s:%d", TP_STR_ARG(host), (int)port);
}

/* Names the CA set for the pool key: ids, so another certificate under an id needs another id. */
static struct tp_str ca_digest(struct tp_arena *arena, struct tp_list ids)
{
    struct tp_str all = TP_STR("");

    for (size_t i = 0; i < ids.count; i++)
        all = tp_arena_printf(arena, "%.*s%s%.*s", TP_STR_ARG(all), i ? "," : "",
                              TP_STR_ARG(*TP_LIST_AT(ids, struct tp_str, i)));
    return all;
}

static struct tp_str uuid_text(struct tp_arena *arena, const struct tp_uuid *id)
{
    char text[TP_UUID_TEXT_LEN + 1];

    if (tp_uuid_is_nil(id))
        return TP_STR("");
    tp_uuid_format(id, text);
    return tp_arena_dup(arena, tp_str_make(text, TP_UUID_TEXT_LEN));
}

void tp_target_prepare(struct tp_arena *arena, const struct tp_route *route, const struct tp_service *service,
                       struct tp_route_info *info)
{
    bool tls = tp_str_eq(service->protocol, TP_STR("https")) || tp_str_eq(service->protocol, TP_STR("grpcs"));

    info->has_target = true;
    info->grpc_service = tp_str_starts(service->protocol, TP_STR("grpc"));
    info->literal = parse_literal(service->host, &info->address);
    info->target = (struct tp_target){
        .host = service->host,
        .port = (uint16_t)service->port,
        .tls = tls,
        .tls_name = without_brackets(service->host),
        .tls_verify = service->tls_verify == TP_TRUE,
        .tls_verify_depth = service->tls_verify_depth == TP_INT_NULL ? DEFAULT_VERIFY_DEPTH
                                                                     : (int)service->tls_verify_depth,
        .ca_digest = ca_digest(arena, service->ca_certificates),
        .client_certificate = uuid_text(arena, &service->client_certificate),
        .host_header = host_header(arena, service->host, service->port, tls),
        .connect_timeout_ms = service->connect_timeout,
        .write_timeout_ms = service->write_timeout,
        .read_timeout_ms = service->read_timeout,
        .tries = 1 + (service->retries == TP_INT_NULL ? DEFAULT_RETRIES : (int)service->retries),
        .request_buffering = route->request_buffering,
        .response_buffering = route->response_buffering,
    };
}

/* --- For a request -------------------------------------------------------------------------------- */

/* The host part of a Host header: SNI and the name to verify have no port. */
static struct tp_str host_part(struct tp_str host)
{
    size_t colon = host.len;

    while (colon > 0 && host.data[colon - 1] >= '0' && host.data[colon - 1] <= '9')
        colon--;
    if (colon > 0 && colon < host.len && host.data[colon - 1] == ':')
        host = tp_str_head(host, colon - 1);
    return without_brackets(host);
}

static void fill_target(struct tp_request *req)
{
    req->target = req->route_info->target;
    if (req->host_replaced.data)
        req->target.host_header = req->host_replaced;
    else if (req->match.route->preserve_host && req->input.host_header.len)
        req->target.host_header = req->input.host_header;
    else
        return;
    req->target.tls_name = host_part(req->target.host_header);
}

static bool wants_websocket(const struct tp_request *req)
{
    size_t at = tp_header_table_find(&req->headers, TP_STR("Upgrade"), 0);

    return req->input.http_version == 11 && at < req->headers.count &&
           tp_str_eq_nocase(req->headers.items[at].value, TP_STR("websocket"));
}

static enum tp_verdict judge_addresses(struct tp_request *req)
{
    struct tp_str message;

    if (req->resolve_err == TP_OK && req->address_count)
        return TP_NEXT;
    if (req->resolve_err == TP_OK || req->resolve_err == TP_ERR_NOT_FOUND)
        return tp_respond(req, 503, "name resolution failed");
    message = tp_arena_printf(req->arena, "failed the initial dns/balancer resolve for '%.*s' with: %s",
                              TP_STR_ARG(req->target.host), tp_err_text(req->resolve_err));
    return tp_respond(req, 500, message.data);
}

static enum tp_verdict resolve(struct tp_request *req)
{
    const struct tp_engine_ops *ops = req->gateway->engine->ops;

    if (req->route_info->literal) {
        req->addresses = tp_arena_new_type(req->arena, struct tp_address);
        *req->addresses = req->route_info->address;
        req->address_count = 1;
        return TP_NEXT;
    }
    if (!req->resolved) {
        req->resolve_err = ops->resolve(req, req->target.host, &req->addresses, &req->address_count);
        if (req->resolve_err == TP_ERR_AGAIN)
            return tp_request_stop(req, TP_STOP_RESOLVE);
        req->resolved = true;
    }
    return judge_addresses(req);
}

void tp_request_on_resolved(struct tp_request *req, enum tp_err err, const struct tp_address *addresses, size_t count)
{
    if (req->stop != TP_STOP_RESOLVE)
        return;
    req->resolve_err = err;
    req->address_count = err ? 0 : count;
    if (req->address_count) {
        req->addresses = tp_arena_new_array(req->arena, struct tp_address, count);
        memcpy(req->addresses, addresses, count * sizeof(*addresses));
    }
    req->resolved = true;
    tp_request_continue(req, TP_STOP_RESOLVE);
}

enum tp_verdict tp_step_target(struct tp_request *req)
{
    if (!req->route_info->has_target)
        return tp_respond(req, 503, "no Service found with those values");
    if (req->body_limit && req->input.content_length > 0 && (uint64_t)req->input.content_length > req->body_limit)
        return tp_respond(req, 413, NULL);
    fill_target(req);
    req->target.websocket = wants_websocket(req);
    return resolve(req);
}
