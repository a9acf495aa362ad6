/*
 * The first steps: which route, and the answers that come before any plugin of the route (routing.md §8).
 */
#include "gateway/request_priv.h"

static bool is_traditional(const struct tp_request *req)
{
    return req->gateway->settings.flavor == TP_ROUTER_TRADITIONAL;
}

/* Where the request goes on the upstream, before plugins have a word. */
static void make_upstream_path(struct tp_request *req)
{
    const struct tp_route *route = req->match.route;
    struct tp_str path = req->path;

    if (!req->route_info->grpc_service)
        path = tp_path_join(req->arena, route->service ? route->service->path : TP_STR("/"), path,
                            req->match.matched_path, route->strip_path, route->path_handling_v1 && is_traditional(req));
    req->upstream_path = tp_path_encode(req->arena, path);
}

/* Plugins name secrets before the gate, or a plugin with an earlier turn, can answer and be logged. */
static void tell_plugins(struct tp_request *req)
{
    const struct tp_chain *chain = req->route_info->chain;

    for (size_t i = 0; chain->has_match && i < chain->count; i++) {
        const struct tp_slot *slot = &chain->slots[i];

        if (slot->plugin->on_match)
            slot->plugin->on_match(req, slot->conf);
    }
}

enum tp_verdict tp_step_match(struct tp_request *req)
{
    struct tp_router_input input = {
        .method = req->input.method,
        .host = req->host,
        .host_text = req->input.host_header,
        .port = req->port,
        .tls = req->input.tls,
        .sni = req->input.sni,
        .headers = req->input.headers,
        .header_count = req->input.header_count,
    };

    req->path = tp_path_normalize(req->arena, req->raw_path);
    req->upstream_path = req->path;
    if (!req->program)
        return tp_respond(req, 503, NULL); /* no configuration was ever read */
    input.path = req->path;
    tp_router_match(req->program->router, &input, req->arena, &req->match);
    if (req->match.exhausted)
        tp_request_log(req, TP_LOG_WARN, "a path regex of route %.*s took too many steps and counts as no match",
                       TP_STR_ARG(req->match.exhausted->id_text));
    if (req->match.route) {
        req->route_info = &req->program->routes[req->match.route_index];
        make_upstream_path(req);
        tell_plugins(req);
    }
    return TP_NEXT;
}

/* --- The gate ----------------------------------------------------------------------------------- */

/* X-Forwarded-Host of a trusted peer, else Host in lower case without port. */
static struct tp_str redirect_host(struct tp_request *req)
{
    struct tp_str host;
    char *text;

    if (tp_request_peer_is_trusted(req) && tp_request_header(req, TP_STR("X-Forwarded-Host"), &host))
        return host;
    host = tp_arena_dup(req->arena, req->host);
    text = (char *)host.data;
    for (size_t i = 0; i < host.len; i++)
        text[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] | 0x20) : text[i];
    return host;
}

static enum tp_verdict ask_for_https(struct tp_request *req)
{
    int status = (int)req->match.route->https_redirect_status_code;
    struct tp_str location;

    if (status != 301 && status != 302 && status != 307 && status != 308) {
        tp_response_set_header(req, TP_STR("Connection"), TP_STR("Upgrade"));
        tp_response_set_header(req, TP_STR("Upgrade"), TP_STR("TLS/1.2, HTTP/1.1"));
        return tp_respond(req, 426, "Please use HTTPS protocol");
    }
    location = tp_arena_concat(req->arena, TP_STR("https://"), redirect_host(req));
    location = tp_arena_concat(req->arena, location, req->raw_path);
    if (req->raw_query.data)
        location = tp_arena_printf(req->arena, "%.*s?%.*s", TP_STR_ARG(location), TP_STR_ARG(req->raw_query));
    tp_response_set_header(req, TP_STR("Location"), location);
    return tp_respond_raw(req, status, NULL, TP_STR(""));
}

static enum tp_verdict refuse_plaintext_grpc(struct tp_request *req)
{
    tp_response_set_header(req, TP_STR("grpc-status"), TP_STR("1"));
    tp_response_set_header(req, TP_STR("grpc-message"), TP_STR("gRPC request matched gRPCs route"));
    return tp_respond_raw(req, 200, "application/grpc", TP_STR(""));
}

static enum tp_verdict check_grpc(struct tp_request *req)
{
    struct tp_str type;

    if (!tp_request_header(req, TP_STR("Content-Type"), &type) || !tp_str_starts(type, TP_STR("application/grpc")))
        return tp_respond(req, 415, "Non-gRPC request matched gRPC route");
    if (req->input.http_version != 20) {
        tp_response_set_header(req, TP_STR("Connection"), TP_STR("Upgrade"));
        tp_response_set_header(req, TP_STR("Upgrade"), TP_STR("HTTP/2"));
        return tp_respond(req, 426, "Please use HTTP2 protocol");
    }
    if (req->route_info->grpcs_only && !req->input.tls)
        return refuse_plaintext_grpc(req);
    return TP_NEXT;
}

enum tp_verdict tp_step_gate(struct tp_request *req)
{
    if (!req->match.route)
        return tp_respond(req, 404, "no Route matched with those values");
    if (req->route_info->https_only && !tp_str_eq(tp_request_forwarded_scheme(req), TP_STR("https")))
        return ask_for_https(req);
    if (req->route_info->grpc)
        return check_grpc(req);
    return TP_NEXT;
}
