/*
 * Proxying: a content handler of our own on nginx's upstream layer, in the place of proxy_pass.
 *
 * nginx's layer connects, retries, times out, and moves bodies; from here it gets the request in one buffer
 * (upstream_send.c), the meaning of the answer's head (below) and of its body (upstream_body.c), and where to connect
 * (peer.c).
 */
#include "edge/edge.h"

#include "edge/upstream_tls.h"

/* --- The answer's head -------------------------------------------------------------------------- */

static bool has_no_body(const struct tp_edge_request *er)
{
    return er->head_request || er->head.status == NGX_HTTP_NO_CONTENT || er->head.status == NGX_HTTP_NOT_MODIFIED ||
           (!er->head.chunked && er->head.content_length == 0);
}

/*
 * In the unbuffered mode, and when the pipe gives buffers back, nginx fills u->buffer anew from its start. The answer's
 * headers lie there, so from now on the buffer starts behind them; when little is left of it, another takes its place.
 */
static ngx_int_t keep_head(ngx_http_request_t *r, ngx_http_upstream_t *u)
{
    ngx_buf_t *b = &u->buffer;
    size_t rest = (size_t)(b->last - b->pos);
    u_char *fresh;

    if ((size_t)(b->end - b->pos) >= u->conf->buffer_size / 2) {
        b->start = b->pos;
        return NGX_OK;
    }
    fresh = ngx_palloc(r->pool, u->conf->buffer_size);
    if (!fresh)
        return NGX_ERROR;
    memcpy(fresh, b->pos, rest);
    b->start = fresh;
    b->pos = fresh;
    b->last = fresh + rest;
    b->end = fresh + u->conf->buffer_size;
    return NGX_OK;
}

static void tell_upstream(struct tp_edge_request *er)
{
    ngx_http_upstream_t *u = er->r->upstream;
    struct tp_edge_head *head = &er->head;
    size_t here = (size_t)(u->buffer.last - u->buffer.pos);

    u->headers_in.status_n = (ngx_uint_t)head->status;
    u->headers_in.status_line = tp_edge_ngx_str(head->status_text);
    u->headers_in.content_length_n = head->content_length;
    u->headers_in.chunked = head->chunked;
    u->headers_in.connection_close = head->close;
    u->state->status = (ngx_uint_t)head->status;
    if (has_no_body(er))
        u->keepalive = !head->close && here == 0; /* nginx may not look at the body at all (HEAD) */
    if (head->status == NGX_HTTP_SWITCHING_PROTOCOLS) {
        u->keepalive = 0;
        u->upgrade = 1;
    }
    /* A small answer that is here as a whole needs no pipe: one write sends head and body. */
    if (head->content_length >= 0 && (uint64_t)head->content_length <= here)
        u->buffering = 0;
}

static ngx_int_t make_pipe(ngx_http_request_t *r, ngx_http_upstream_t *u)
{
    u->pipe = ngx_pcalloc(r->pool, sizeof(*u->pipe));
    if (!u->pipe)
        return NGX_ERROR;
    u->pipe->input_ctx = r;
    return NGX_OK;
}

static void note_head(struct tp_edge_request *er)
{
    struct tp_measures *m = tp_request_measures(er->req);

    m->upstream_head_ms = tp_edge_engine_ops.now_ms(&er->worker->engine);
    if (m->try_count)
        m->tries[m->try_count - 1].status = er->head.status;
    er->answer = TP_EDGE_PROXIED;
}

static ngx_int_t parse_head(ngx_http_request_t *r, struct tp_edge_request *er, struct tp_str text)
{
    struct tp_answer *answer = tp_request_answer(er->req);
    struct tp_header *headers = tp_answer_begin_fill(er->req, er->head.lines);
    size_t count = 0;

    if (tp_edge_head_parse(&er->head, text, headers, er->head.lines, &count) != TP_OK ||
        (er->head.status == NGX_HTTP_SWITCHING_PROTOCOLS && !(er->target.websocket && er->head.upgrade_websocket))) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "upstream sent an invalid header");
        return NGX_HTTP_UPSTREAM_INVALID_HEADER;
    }
    answer->status = er->head.status;
    tp_answer_end_fill(er->req, count);
    return NGX_OK;
}

static ngx_int_t process_header(ngx_http_request_t *r)
{
    struct tp_edge_request *er = tp_edge_request_of(r);
    ngx_http_upstream_t *u = r->upstream;
    ngx_int_t rc;

    for (;;) {
        struct tp_str in = tp_str_make((const char *)u->buffer.pos, (size_t)(u->buffer.last - u->buffer.pos));
        size_t size;

        if (tp_edge_head_scan(&er->head, in, &size) != TP_OK)
            return NGX_AGAIN;
        rc = parse_head(r, er, tp_str_head(in, size));
        if (rc != NGX_OK)
            return rc;
        u->buffer.pos += size;
        if (er->head.status >= NGX_HTTP_OK || er->head.status == NGX_HTTP_SWITCHING_PROTOCOLS)
            break;
        tp_edge_head_reset(&er->head); /* an interim answer: the real one follows */
    }
    if (keep_head(r, u) != NGX_OK)
        return NGX_ERROR;
    tell_upstream(er);
    note_head(er);
    return u->buffering && !u->pipe ? make_pipe(r, u) : NGX_OK;
}

/* --- The other callbacks ------------------------------------------------------------------------ */

/* Before another try: the head is parsed anew; nginx rewinds the request's buffers. */
static ngx_int_t reinit_request(ngx_http_request_t *r)
{
    struct tp_edge_request *er = tp_edge_request_of(r);

    tp_edge_head_reset(&er->head);
    memset(&er->chunked, 0, sizeof(er->chunked));
    er->sends_head = true;
    return NGX_OK;
}

static void abort_request(ngx_http_request_t *r)
{
    (void)r;
}

static void finalize_request(ngx_http_request_t *r, ngx_int_t rc)
{
    (void)r;
    (void)rc;
}

/* nginx makes the buffer on first use when there is none; ours come from the worker and go back to it. */
static void lend_buffer(struct tp_edge_request *er, ngx_http_upstream_t *u)
{
    if (!er->buffer)
        er->buffer = tp_edge_buffer_take(er->worker);
    u->buffer.start = u->buffer.pos = u->buffer.last = er->buffer;
    u->buffer.end = er->buffer + er->worker->settings->upstream_buffer_bytes;
    u->buffer.temporary = 1;
    u->buffer.tag = u->output.tag;
}

static ngx_int_t make_upstream(struct tp_edge_request *er)
{
    ngx_http_request_t *r = er->r;
    ngx_ssl_t *ssl = NULL;
    ngx_http_upstream_t *u;

    if (er->target.tls) {
        ssl = tp_edge_tls_context(er->worker->tls, &er->target, r->connection->log);
        if (!ssl)
            return NGX_HTTP_BAD_GATEWAY;
    }
    if (ngx_http_upstream_create(r) != NGX_OK)
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    u = r->upstream;
    u->conf = tp_edge_upstream_conf(er, ssl);
    if (!u->conf)
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    u->ssl = er->target.tls;
    u->output.tag = (ngx_buf_tag_t)&ngx_http_turnpike_module;
    u->create_request = tp_edge_upstream_create_request;
    u->reinit_request = reinit_request;
    u->process_header = process_header;
    u->abort_request = abort_request;
    u->finalize_request = finalize_request;
    u->input_filter_init = tp_edge_upstream_filter_init;
    u->input_filter = ngx_http_upstream_non_buffered_filter; /* init chooses; when NULL nginx would forget init */
    u->input_filter_ctx = r;
    u->buffering = er->target.response_buffering;
    lend_buffer(er, u);
    return NGX_OK;
}

static void note_start(struct tp_edge_request *er)
{
    struct tp_measures *m = tp_request_measures(er->req);

    m->upstream_start_ms = tp_edge_engine_ops.now_ms(&er->worker->engine);
    if (!m->tries)
        m->tries = tp_arena_new_array(tp_request_arena(er->req), struct tp_try, (size_t)er->target.tries);
    m->try_count = 0;
}

void tp_edge_proxy(struct tp_edge_request *er)
{
    ngx_int_t rc;

    tp_edge_head_reset(&er->head);
    er->sends_head = true;
    rc = make_upstream(er);
    if (rc != NGX_OK) {
        ngx_http_finalize_request(er->r, rc == NGX_ERROR ? NGX_HTTP_INTERNAL_SERVER_ERROR : rc);
        return;
    }
    note_start(er);
    tp_edge_body_then_proxy(er);
}
