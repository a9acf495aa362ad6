/*
 * The head of the request to the upstream, written in one pass into one buffer. Order and spelling of the gateway's
 * own headers are Kong's; the client's follow in their order.
 */
#include "base/buf.h"
#include "gateway/forwarded.h"

/* Room for the fixed words, numbers and our own headers' names; the texts are added up. */
#define FIXED_ROOM 640

struct writer {
    char *at;
};

static void put(struct writer *w, struct tp_str s)
{
    if (s.len)
        memcpy(w->at, s.data, s.len);
    w->at += s.len;
}
#define PUT(literal) (memcpy(w->at, literal, sizeof(literal) - 1), w->at += sizeof(literal) - 1)

static void put_number(struct writer *w, uint64_t n)
{
    char digits[20];
    size_t len = 0;

    do
        digits[len++] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    while (len > 0)
        *w->at++ = digits[--len];
}

static void put_lower(struct writer *w, struct tp_str s)
{
    for (size_t i = 0; i < s.len; i++)
        *w->at++ = s.data[i] >= 'A' && s.data[i] <= 'Z' ? (char)(s.data[i] | 0x20) : s.data[i];
}

/* All values of a header of the client, each followed by ", "; false when there are none. */
static inline bool put_existing(struct writer *w, const struct tp_request *req, struct tp_str name)
{
    bool any = false;

    for (size_t at = 0; (at = tp_header_table_find(&req->headers, name, at)) < req->headers.count; at++) {
        put(w, req->headers.items[at].value);
        PUT(", ");
        any = true;
    }
    return any;
}

static void put_request_line(struct writer *w, const struct tp_request *req)
{
    put(w, req->method);
    PUT(" ");
    put(w, req->upstream_path);
    if (req->upstream_query.data) {
        PUT("?");
        put(w, req->upstream_query);
    }
    PUT(" HTTP/1.1\r\n");
}

bool tp_request_wants_trailers(const struct tp_request *req)
{
    for (size_t at = 0; (at = tp_header_table_find(&req->headers, TP_STR("TE"), at)) < req->headers.count; at++) {
        if (tp_token_listed(req->headers.items[at].value, TP_STR("trailers")))
            return true;
    }
    return false;
}

static void put_hop(struct writer *w, const struct tp_request *req, const struct tp_target *target)
{
    if (tp_request_wants_trailers(req))
        PUT("TE: trailers\r\n");
    PUT("Via: ");
    put_existing(w, req, TP_STR("Via"));
    put(w, req->input.http_version == 20   ? TP_STR("2 ")
           : req->input.http_version == 10 ? TP_STR("1 ")
                                           : TP_STR("1.1 "));
    PUT(TP_SERVER_TOKEN "\r\nHost: ");
    put(w, target->host_header);
    if (target->websocket)
        PUT("\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n");
    else
        PUT("\r\nConnection: keep-alive\r\n");
}

static void put_forwarded(struct writer *w, const struct tp_request *req, const struct tp_forwarded *f)
{
    PUT("X-Forwarded-For: ");
    /* The address that connected to us joins a list; without one the list starts with the client (after real-ip). */
    put(w, put_existing(w, req, TP_STR("X-Forwarded-For")) ? req->input.peer_ip : req->input.client_ip);
    PUT("\r\nX-Forwarded-Proto: ");
    put(w, f->proto);
    PUT("\r\nX-Forwarded-Host: ");
    if (f->lower_host)
        put_lower(w, f->host);
    else
        put(w, f->host);
    PUT("\r\nX-Forwarded-Port: ");
    if (f->port.data)
        put(w, f->port);
    else
        put_number(w, f->port_number);
    PUT("\r\nX-Forwarded-Path: ");
    put(w, f->path);
    if (f->prefix.data) {
        PUT("\r\nX-Forwarded-Prefix: ");
        put(w, f->prefix);
    }
    PUT("\r\nX-Real-IP: ");
    put(w, req->input.client_ip);
    if (req->gateway->settings.upstream_request_id) {
        PUT("\r\nX-Kong-Request-Id: ");
        put(w, tp_request_id(req));
    }
    PUT("\r\n");
}

static void put_length(struct writer *w, int64_t content_length, bool has_body)
{
    if (content_length >= 0) {
        PUT("Content-Length: ");
        put_number(w, (uint64_t)content_length);
        PUT("\r\n");
    } else if (has_body) {
        PUT("Transfer-Encoding: chunked\r\n");
    }
}

/* Headers that the client's Connection names belong to its hop. Often only "keep-alive" or "close". */
static bool named_in_connection(const struct tp_request *req, size_t connection, struct tp_str name)
{
    for (size_t at = connection; at < req->headers.count;
         at = tp_header_table_find(&req->headers, TP_STR("Connection"), at + 1)) {
        if (tp_token_listed(req->headers.items[at].value, name))
            return true;
    }
    return false;
}

static void put_client_headers(struct writer *w, const struct tp_request *req)
{
    size_t connection = tp_header_table_find(&req->headers, TP_STR("Connection"), 0);

    for (size_t i = 0; i < req->headers.count; i++) {
        const struct tp_header *h = &req->headers.items[i];

        if (tp_header_is_managed(req, h->name) || named_in_connection(req, connection, h->name))
            continue;
        put(w, h->name);
        PUT(": ");
        put(w, h->value);
        PUT("\r\n");
    }
}

static size_t room_for(const struct tp_request *req, const struct tp_target *target, const struct tp_forwarded *f)
{
    size_t room = FIXED_ROOM + req->method.len + req->upstream_path.len + req->upstream_query.len +
                  target->host_header.len + req->input.peer_ip.len + 2 * req->input.client_ip.len + f->proto.len +
                  f->host.len + f->port.len + f->path.len + f->prefix.len;

    for (size_t i = 0; i < req->headers.count; i++)
        room += req->headers.items[i].name.len + req->headers.items[i].value.len + 4;
    return room;
}

void tp_request_write_upstream(const struct tp_request *req, const struct tp_target *target, int64_t content_length,
                               bool has_body, struct tp_buf *out)
{
    struct tp_forwarded forwarded;
    struct writer writer, *w = &writer;
    size_t room;

    tp_forwarded_read(req, &forwarded);
    room = room_for(req, target, &forwarded);
    w->at = tp_buf_reserve(out, room);
    if (!w->at)
        return; /* over the buffer's ceiling: out->failed tells */
    put_request_line(w, req);
    put_hop(w, req, target);
    put_forwarded(w, req, &forwarded);
    if (req->body_replaced)
        put_length(w, (int64_t)req->new_body.len, true);
    else
        put_length(w, content_length, has_body);
    put_client_headers(w, req);
    PUT("\r\n");
    out->len = (size_t)(w->at - out->data);
    out->data[out->len] = '\0';
}
