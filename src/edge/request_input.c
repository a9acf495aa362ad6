/* nginx's parsed request as the gateway wants it: the text stays where nginx has it. */
#include "edge/edge.h"

/* The client's headers as an array; pseudo headers of HTTP/2 are not among them but for the Host made of :authority. */
static void collect_headers(struct tp_edge_request *er, struct tp_request_input *out)
{
    ngx_http_request_t *r = er->r;
    ngx_list_part_t *part;
    struct tp_header *headers;
    size_t count = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next)
        count += part->nelts;
    headers = tp_arena_alloc(er->arena, count * sizeof(*headers));
    count = 0;
    for (part = &r->headers_in.headers.part; part; part = part->next) {
        const ngx_table_elt_t *h = part->elts;

        for (ngx_uint_t i = 0; i < part->nelts; i++) {
            headers[count].name = tp_edge_str(h[i].key);
            headers[count++].value = tp_edge_str(h[i].value);
        }
    }
    out->headers = headers;
    out->header_count = count;
}

static void fill_local(struct tp_edge_request *er, struct tp_request_input *out)
{
    ngx_connection_t *c = er->r->connection;

    if (ngx_connection_local_sockaddr(c, NULL, 0) != NGX_OK)
        return;
    out->server_ip = tp_edge_str(
        tp_edge_address_text(&er->worker->local, er->r->pool, c->local_sockaddr, c->local_socklen, false));
    out->server_port = ngx_inet_get_port(c->local_sockaddr);
}

static void fill_tls(const ngx_connection_t *c, struct tp_request_input *out)
{
#if (NGX_HTTP_SSL)
    if (c->ssl) {
        out->tls = true;
        out->sni = tp_str_from_cstr(SSL_get_servername(c->ssl->connection, TLSEXT_NAMETYPE_host_name));
    }
#endif
}

static int http_version(const ngx_http_request_t *r)
{
    switch (r->http_version) {
    case NGX_HTTP_VERSION_20: return 20;
    case NGX_HTTP_VERSION_11: return 11;
    default: return r->http_version > NGX_HTTP_VERSION_11 ? 11 : 10; /* "1.2" is taken for 1.1 */
    }
}

/* Errors come before the request line is understood: what is missing then is "GET /". */
static void fill_line(const ngx_http_request_t *r, struct tp_request_input *out)
{
    out->method = tp_edge_str(r->method_name);
    out->target = tp_edge_str(r->unparsed_uri);
    if (out->method.len == 0)
        out->method = TP_STR("GET");
    if (out->target.len == 0 || out->target.data[0] != '/')
        out->target = TP_STR("/");
}

void tp_edge_request_input(struct tp_edge_request *er, struct tp_request_input *out)
{
    ngx_http_request_t *r = er->r;

    *out = (struct tp_request_input){ .peer_ip = er->peer_ip };
    fill_line(r, out);
    fill_local(er, out);
    fill_tls(r->connection, out);
    if (r->headers_in.host)
        out->host_header = tp_edge_str(r->headers_in.host->value);
    out->http_version = http_version(r);
    out->client_ip = tp_edge_str(r->connection->addr_text);
    out->client_port = ngx_inet_get_port(r->connection->sockaddr);
    out->content_length = r->headers_in.content_length_n;
    out->has_body = tp_edge_has_body(r);
    out->started_ms = (int64_t)r->start_sec * 1000 + (int64_t)r->start_msec;
    collect_headers(er, out);
}
