/* A client's first bytes: accept.h. They are looked at and left in the socket; nginx reads them again. */
#include "edge/accept.h"

#include "edge/first_bytes.h"

enum { PEEK_BYTES = 4096 };

/* nginx's own handler of the first bytes; it is not exported, a new connection carries it. */
static ngx_event_handler_pt nginx_handler;

static const struct tp_edge_loc_conf *loc_conf_of(const ngx_http_conf_ctx_t *ctx)
{
    return ctx->loc_conf[ngx_http_turnpike_module.ctx_index];
}

bool tp_edge_accept_wants_http2(ngx_conf_t *cf)
{
    const ngx_http_core_main_conf_t *core = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    const ngx_http_conf_port_t *ports = core->ports ? core->ports->elts : NULL;

    for (ngx_uint_t i = 0; ports && i < core->ports->nelts; i++) {
        const ngx_http_conf_addr_t *addrs = ports[i].addrs.elts;

        for (ngx_uint_t k = 0; k < ports[i].addrs.nelts; k++)
            if (addrs[k].opt.http2 && loc_conf_of(addrs[k].default_server->ctx)->errors)
                return true;
    }
    return false;
}

/* In the place of nginx's: the context behind a message about a client's connection. */
static u_char *log_context(ngx_log_t *log, u_char *buf, size_t len)
{
    ngx_http_log_ctx_t *ctx = log->data;
    u_char *p = buf, *last = buf + len;

    if (log->action)
        p = ngx_snprintf(p, (size_t)(last - p), " while %s", log->action);
    p = ngx_snprintf(p, (size_t)(last - p), ", client: %V", &ctx->connection->addr_text);
    if (ctx->request)
        return tp_edge_log_request(ctx->request, p, (size_t)(last - p));
    return ngx_snprintf(p, (size_t)(last - p), ", server: %V", &ctx->connection->listening->addr_text);
}

static void hand_over(ngx_event_t *rev, ngx_event_handler_pt handler)
{
    rev->handler = handler;
    handler(rev);
}

static void on_first_bytes(ngx_event_t *rev)
{
    ngx_connection_t *c = rev->data;
    const ngx_http_connection_t *hc = c->data;
    const struct tp_edge_main_conf *conf = ngx_http_get_module_main_conf(hc->conf_ctx, ngx_http_turnpike_module);
    u_char bytes[PEEK_BYTES];
    ssize_t n;

    if (rev->timedout || c->close) {
        hand_over(rev, nginx_handler);
        return;
    }
    n = recv(c->fd, bytes, sizeof(bytes), MSG_PEEK);
    if (n < 0 && ngx_socket_errno == NGX_EAGAIN)
        return;
    if (n <= 0) {
        hand_over(rev, nginx_handler);
        return;
    }
    switch (tp_edge_first_bytes(tp_str_make((const char *)bytes, (size_t)n), hc->proxy_protocol)) {
    case TP_EDGE_FIRST_MORE:
        if (rev->pending_eof)
            ngx_http_close_connection(c);
        break;
    case TP_EDGE_FIRST_HTTP1: hand_over(rev, nginx_handler); break;
    case TP_EDGE_FIRST_HTTP2: hand_over(rev, conf->http2 ? ngx_http_v2_init : nginx_handler); break;
    case TP_EDGE_FIRST_NO_PROXY:
        ngx_log_error(NGX_LOG_ERR, c->log, 0, "no PROXY protocol header");
        ngx_http_close_connection(c);
        break;
    }
}

/* What is not TLS: nginx's handler of the first bytes waits until we have looked at them. */
static bool wants_peek(const ngx_http_connection_t *hc)
{
    const struct tp_edge_main_conf *conf = ngx_http_get_module_main_conf(hc->conf_ctx, ngx_http_turnpike_module);

    if (hc->addr_conf->ssl || hc->addr_conf->http2)
        return false;
    return hc->proxy_protocol || (conf->http2 && loc_conf_of(hc->conf_ctx)->errors);
}

static void on_accept(ngx_connection_t *c)
{
    ngx_event_t *rev = c->read;
    bool ready = rev->ready;

    rev->ready = 0; /* else nginx would read at once */
    ngx_http_init_connection(c);
    if (c->fd == (ngx_socket_t)-1)
        return; /* closed again, out of memory */
    c->log->handler = log_context;
    if (wants_peek(c->data)) {
        nginx_handler = rev->handler;
        rev->handler = on_first_bytes;
    }
    rev->ready = ready;
    if (ready)
        rev->handler(rev);
}

void tp_edge_accept_watch(ngx_cycle_t *cycle)
{
    ngx_listening_t *ls = cycle->listening.elts;

    for (ngx_uint_t i = 0; i < cycle->listening.nelts; i++) {
        if (ls[i].handler == ngx_http_init_connection)
            ls[i].handler = on_accept;
    }
}
