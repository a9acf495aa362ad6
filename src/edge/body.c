/*
 * The client's body: read for the gateway (into memory, bounded), or for the proxy step (whole, or as it comes).
 *
 * nginx's reader counts a reference on the request that it gives back itself when it fails; so ours is dropped as soon
 * as the call returns, whatever it returned, and the content handler's stays the only one.
 */
#include "edge/edge.h"

static ngx_http_request_body_filter_pt next_body_filter;

bool tp_edge_has_body(const ngx_http_request_t *r)
{
    return r->headers_in.content_length_n > 0 || r->headers_in.chunked;
}

/* --- For the gateway ---------------------------------------------------------------------------- */

static size_t chain_size(const ngx_chain_t *in)
{
    size_t size = 0;

    for (; in; in = in->next)
        size += (size_t)ngx_buf_size(in->buf);
    return size;
}

/* A part that nginx put in a temporary file: just written, so it is read from the page cache. */
static bool copy_buf(ngx_buf_t *b, u_char *to)
{
    size_t size = (size_t)ngx_buf_size(b);

    if (ngx_buf_in_memory(b)) {
        memcpy(to, b->pos, size);
        return true;
    }
    return ngx_read_file(b->file, to, size, b->file_pos) == (ssize_t)size;
}

/* The body that nginx has read, in one piece. */
static enum tp_err collect(struct tp_edge_request *er)
{
    ngx_http_request_t *r = er->r;
    ngx_chain_t *in = r->request_body ? r->request_body->bufs : NULL;
    size_t size = chain_size(in);
    u_char *to;

    er->body_read = TP_STR("");
    if (size > er->body_max)
        return TP_ERR_TOO_LARGE;
    if (!in || size == 0)
        return TP_OK;
    if (!in->next && ngx_buf_in_memory(in->buf)) {
        er->body_read = tp_str_make((const char *)in->buf->pos, size);
        return TP_OK;
    }
    to = ngx_pnalloc(r->pool, size);
    if (!to)
        return TP_ERR_IO;
    er->body_read = tp_str_make((const char *)to, size);
    for (; in; in = in->next) {
        if (!copy_buf(in->buf, to))
            return TP_ERR_IO;
        to += ngx_buf_size(in->buf);
    }
    return TP_OK;
}

static void on_body(ngx_http_request_t *r)
{
    struct tp_edge_request *er = tp_edge_request_of(r);
    enum tp_err err;

    er->body_state = TP_EDGE_BODY_READ;
    tp_edge_watch_client(r);
    if (er->in_body_call)
        return;
    if (er->body_for_proxy) {
        ngx_http_upstream_init(r);
        return;
    }
    err = collect(er);
    tp_request_on_body(er->req, err, er->body_read);
    tp_edge_act(er);
}

/* nginx would close without a word. The client may still be sending, so what it sends is read for a while. */
static void answer_timeout(struct tp_edge_request *er)
{
    ngx_http_request_t *r = er->r;

    r->connection->read->timedout = 0;
    r->keepalive = 0;
    r->lingering_close = 1;
    tp_request_on_proxy_failed(er->req, NGX_HTTP_REQUEST_TIME_OUT);
    tp_edge_act(er);
}

static void on_body_bytes(ngx_http_request_t *r)
{
    struct tp_edge_request *er = tp_edge_request_of(r);

    if (r->connection->read->timedout)
        answer_timeout(er);
    else
        er->nginx_body_handler(r);
}

/* NGX_OK: read. NGX_AGAIN: on_body will come. Else nginx's status for the client. */
static ngx_int_t read_body(struct tp_edge_request *er)
{
    ngx_http_request_t *r = er->r;
    ngx_int_t rc;

    er->body_state = TP_EDGE_BODY_READING;
    er->in_body_call = true;
    rc = ngx_http_read_client_request_body(r, on_body);
    er->in_body_call = false;
    if (rc >= NGX_HTTP_SPECIAL_RESPONSE)
        return rc;
    r->main->count--;
    if (er->body_state == TP_EDGE_BODY_READ)
        return NGX_OK;
    er->nginx_body_handler = r->read_event_handler;
    r->read_event_handler = on_body_bytes;
    return NGX_AGAIN;
}

enum tp_err tp_edge_body_read(struct tp_request *req, uint64_t max, struct tp_str *out)
{
    struct tp_edge_request *er = tp_request_engine_data(req);
    enum tp_err err;

    er->body_max = max;
    if (!tp_edge_has_body(er->r)) {
        *out = TP_STR("");
        return TP_OK;
    }
    if (er->r->headers_in.content_length_n > 0 && (uint64_t)er->r->headers_in.content_length_n > max)
        return TP_ERR_TOO_LARGE;
    if (er->body_state == TP_EDGE_BODY_UNREAD) {
        ngx_int_t rc = read_body(er);

        if (rc >= NGX_HTTP_SPECIAL_RESPONSE) { /* the gateway's frames are still below us: later */
            er->body_status = rc;
            er->action = TP_EDGE_FAIL;
        }
        if (rc != NGX_OK)
            return TP_ERR_AGAIN;
    }
    err = collect(er);
    *out = er->body_read;
    return err;
}

/* --- For the proxy step ------------------------------------------------------------------------- */

void tp_edge_body_then_proxy(struct tp_edge_request *er)
{
    ngx_http_request_t *r = er->r;
    struct tp_str replaced;
    ngx_int_t rc;

    if (er->body_state == TP_EDGE_BODY_UNREAD && tp_edge_has_body(r)) {
        r->request_body_no_buffering = !er->target.request_buffering && !tp_request_replaced_body(er->req, &replaced);
        er->body_for_proxy = true;
        rc = read_body(er);
        if (rc == NGX_AGAIN)
            return;
        if (rc != NGX_OK) {
            ngx_http_finalize_request(r, rc);
            return;
        }
    }
    ngx_http_upstream_init(r);
}

/* --- The limit that a plugin set ---------------------------------------------------------------- */

static ngx_int_t limit_body(ngx_http_request_t *r, ngx_chain_t *in)
{
    struct tp_edge_request *er = tp_edge_request_of(r);
    uint64_t max = er && er->req ? tp_request_body_limit(er->req) : 0;

    if (max) {
        er->body_seen += chain_size(in);
        if (er->body_seen > max)
            return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }
    return next_body_filter(r, in);
}

ngx_int_t tp_edge_body_filter_init(ngx_conf_t *cf)
{
    (void)cf;
    next_body_filter = ngx_http_top_request_body_filter;
    ngx_http_top_request_body_filter = limit_body;
    return NGX_OK;
}
