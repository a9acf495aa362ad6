/* Forwarded headers and hop-by-hop ones: forwarded.h. */
#include "gateway/forwarded.h"

bool tp_request_peer_is_trusted(struct tp_request *req)
{
    if (req->trusted < 0)
        req->trusted = tp_node_trusts(req->node, req->input.peer_ip);
    return req->trusted;
}

struct tp_str tp_request_forwarded_scheme(struct tp_request *req)
{
    struct tp_str proto;

    if (tp_request_peer_is_trusted(req) && tp_request_header(req, TP_STR("X-Forwarded-Proto"), &proto))
        return proto;
    return tp_request_scheme(req);
}

/*
 * The prefix that strip_path took off; "/" is not worth telling. A regex may have matched decoded text, so it can hold
 * any byte: "%0d%0a" must not become a new line here.
 */
static struct tp_str stripped_prefix(const struct tp_request *req)
{
    const struct tp_route *route = req->match.route;

    if (!route || !route->strip_path || req->match.matched_path.len == 0 ||
        tp_str_eq(req->match.matched_path, TP_STR("/")))
        return TP_STR_NULL;
    return tp_header_safe_value(req->arena, tp_request_masked(req, req->arena, req->match.matched_path));
}

/* What a trusted proxy before us has said. */
static void believe(const struct tp_request *req, struct tp_forwarded *out)
{
    struct tp_str value;

    tp_request_header(req, TP_STR("X-Forwarded-Proto"), &out->proto);
    if (tp_request_header(req, TP_STR("X-Forwarded-Host"), &value)) {
        out->host = value;
        out->lower_host = false;
    }
    tp_request_header(req, TP_STR("X-Forwarded-Port"), &out->port);
    tp_request_header(req, TP_STR("X-Forwarded-Path"), &out->path);
    tp_request_header(req, TP_STR("X-Forwarded-Prefix"), &out->prefix);
}

void tp_forwarded_read(const struct tp_request *req, struct tp_forwarded *out)
{
    bool trusted = req->trusted < 0 ? tp_node_trusts(req->node, req->input.peer_ip) : req->trusted;

    *out = (struct tp_forwarded){
        .proto = tp_request_scheme(req),
        .host = req->host,
        .lower_host = true,
        .path = req->masked_path.data ? req->masked_path : req->raw_path,
        .prefix = stripped_prefix(req),
        .port_number = tp_node_public_port(req->node, req->input.server_port),
    };
    if (trusted)
        believe(req, out);
}

static bool is(struct tp_str name, const char *letters, size_t len)
{
    return tp_header_name_eq(name, tp_str_make(letters, len));
}
#define IS(literal) is(name, literal, sizeof(literal) - 1)

/* By length first: nearly every header is told apart by it. */
bool tp_header_is_managed(const struct tp_request *req, struct tp_str name)
{
    switch (name.len) {
    case 2: return IS("TE");
    case 3: return IS("Via");
    case 4: return IS("Host");
    case 5: return IS("Proxy");
    case 6: return IS("Expect");
    case 7: return IS("Upgrade");
    case 9: return IS("X-Real-IP");
    case 10: return IS("Connection") || IS("Keep-Alive");
    case 14: return IS("Content-Length");
    case 15: return IS("X-Forwarded-For");
    case 16:
        return IS("X-Forwarded-Host") || IS("X-Forwarded-Port") || IS("X-Forwarded-Path") || IS("Proxy-Connection");
    case 17:
        return IS("Transfer-Encoding") || IS("X-Forwarded-Proto") ||
               (req->gateway->settings.upstream_request_id && IS("X-Kong-Request-Id"));
    case 18: return IS("X-Forwarded-Prefix");
    default: return false;
    }
}

/* More is no honest list, and asking it for each header would take long. */
#define TOKENS_MAX 100

bool tp_token_listed(struct tp_str list, struct tp_str token)
{
    struct tp_str item;

    for (int i = 0; i < TOKENS_MAX && list.len && tp_str_next(&list, ',', &item); i++) {
        if (tp_header_name_eq(tp_str_trim(item), token))
            return true;
    }
    return false;
}
