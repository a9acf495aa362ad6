/*
 * The body of an upstream's answer: by length, in chunks, or until the connection closes; through nginx's pipe
 * (buffered: bounded memory, never a file) or straight through (unbuffered).
 *
 * A connection goes back to the pool only after an answer that ended exactly where it said it would.
 */
#include "edge/edge.h"

static void end_of_body(struct tp_edge_request *er)
{
    er->r->upstream->keepalive = !er->head.close;
}

static void too_much(ngx_http_request_t *r)
{
    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0, "upstream sent more than it announced; the rest is dropped");
    r->upstream->keepalive = 0;
    r->upstream->headers_in.connection_close = 1;
    tp_edge_request_of(r)->head.close = true;
}

/* --- Straight through --------------------------------------------------------------------------- */

static ngx_buf_t *push_out(ngx_http_request_t *r, u_char *from, u_char *to)
{
    ngx_http_upstream_t *u = r->upstream;
    ngx_chain_t *link = ngx_chain_get_free_buf(r->pool, &u->free_bufs), **tail = &u->out_bufs;

    if (!link)
        return NULL;
    while (*tail)
        tail = &(*tail)->next;
    *tail = link;
    link->buf->pos = from;
    link->buf->last = to;
    link->buf->memory = 1;
    link->buf->flush = 1;
    link->buf->tag = u->output.tag;
    return link->buf;
}

static ngx_int_t direct_copy(void *data, ssize_t bytes)
{
    ngx_http_request_t *r = data;
    ngx_http_upstream_t *u = r->upstream;
    ngx_buf_t *b = &u->buffer;
    u_char *from = b->last;

    if (bytes == 0)
        return NGX_OK;
    b->last += bytes;
    if (u->length == -1)
        return push_out(r, from, b->last) ? NGX_OK : NGX_ERROR;
    if (bytes > u->length) {
        too_much(r);
        bytes = u->length;
    }
    u->length -= bytes;
    if (u->length == 0)
        end_of_body(tp_edge_request_of(r));
    return bytes == 0 || push_out(r, from, from + bytes) ? NGX_OK : NGX_ERROR;
}

/* One piece of chunked data found in `b`; NGX_AGAIN: none for now, NGX_DONE: the last chunk was seen. */
static ngx_int_t next_chunk(ngx_http_request_t *r, ngx_buf_t *b, u_char **from, u_char **to)
{
    struct tp_edge_request *er = tp_edge_request_of(r);
    ngx_int_t rc = ngx_http_parse_chunked(r, b, &er->chunked);

    if (rc != NGX_OK)
        return rc;
    *from = b->pos;
    if ((off_t)(b->last - b->pos) >= er->chunked.size) {
        b->pos += er->chunked.size;
        er->chunked.size = 0;
    } else {
        er->chunked.size -= b->last - b->pos;
        b->pos = b->last;
    }
    *to = b->pos;
    return NGX_OK;
}

static ngx_int_t direct_chunked(void *data, ssize_t bytes)
{
    ngx_http_request_t *r = data;
    ngx_http_upstream_t *u = r->upstream;
    ngx_buf_t *b = &u->buffer;
    u_char *from, *to;
    ngx_int_t rc;

    b->pos = b->last;
    b->last += bytes;
    while ((rc = next_chunk(r, b, &from, &to)) == NGX_OK) {
        if (!push_out(r, from, to))
            return NGX_ERROR;
    }
    if (rc == NGX_DONE) {
        end_of_body(tp_edge_request_of(r));
        u->length = 0;
        if (b->pos != b->last)
            too_much(r);
        return NGX_OK;
    }
    if (rc == NGX_AGAIN)
        return NGX_OK;
    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "upstream sent invalid chunks");
    return NGX_ERROR;
}

/* --- Through the pipe --------------------------------------------------------------------------- */

/*
 * A view on a part of the raw buffer, at the end of what goes to the client. Views of one raw buffer are a ring through
 * `shadow`; the one marked last gives the raw buffer back.
 */
static ngx_buf_t *push_in(ngx_event_pipe_t *p, ngx_buf_t *raw, u_char *from, u_char *to)
{
    ngx_chain_t *link = ngx_chain_get_free_buf(p->pool, &p->free);
    ngx_buf_t *b;

    if (!link)
        return NULL;
    b = link->buf;
    ngx_memzero(b, sizeof(*b));
    b->pos = from;
    b->last = to;
    b->start = raw->start;
    b->end = raw->end;
    b->tag = p->tag;
    b->temporary = 1;
    b->recycled = 1;
    b->num = raw->num;
    link->next = NULL;
    if (p->in)
        *p->last_in = link;
    else
        p->in = link;
    p->last_in = &link->next;
    return b;
}

static void end_pipe(struct tp_edge_request *er, ngx_event_pipe_t *p)
{
    end_of_body(er);
    p->length = 0;
    p->upstream_done = 1;
}

static ngx_int_t pipe_copy(ngx_event_pipe_t *p, ngx_buf_t *raw)
{
    ngx_http_request_t *r = p->input_ctx;
    u_char *end = raw->last;
    ngx_buf_t *b;

    if (raw->pos == raw->last)
        return NGX_OK;
    if (p->upstream_done || p->length == 0) {
        too_much(r);
        p->upstream_done = 1;
        return NGX_OK;
    }
    if (p->length > 0 && end - raw->pos > p->length)
        end = raw->pos + p->length;
    b = push_in(p, raw, raw->pos, end);
    if (!b)
        return NGX_ERROR;
    raw->shadow = b;
    b->shadow = raw;
    b->last_shadow = 1;
    if (p->length == -1)
        return NGX_OK;
    p->length -= end - raw->pos;
    if (p->length == 0)
        end_pipe(tp_edge_request_of(r), p);
    if (end != raw->last)
        too_much(r);
    return NGX_OK;
}

static ngx_int_t pipe_chunked(ngx_event_pipe_t *p, ngx_buf_t *raw)
{
    ngx_http_request_t *r = p->input_ctx;
    struct tp_edge_request *er = tp_edge_request_of(r);
    ngx_buf_t *b = NULL, **previous = &raw->shadow;
    u_char *from, *to;
    ngx_int_t rc;

    if (raw->pos == raw->last)
        return NGX_OK;
    if (p->upstream_done) {
        too_much(r);
        return NGX_OK;
    }
    while ((rc = next_chunk(r, raw, &from, &to)) == NGX_OK) {
        if (from == to)
            continue;
        b = push_in(p, raw, from, to);
        if (!b)
            return NGX_ERROR;
        *previous = b;
        previous = &b->shadow;
    }
    if (rc == NGX_DONE) {
        end_pipe(er, p);
        if (raw->pos != raw->last)
            too_much(r);
    } else if (rc == NGX_AGAIN) {
        p->length = er->chunked.length; /* how little may be missing: nginx reads no further than that needs */
    } else {
        ngx_log_error(NGX_LOG_ERR, p->log, 0, "upstream sent invalid chunks");
        return NGX_ERROR;
    }
    if (b) {
        b->shadow = raw;
        b->last_shadow = 1;
        return NGX_OK;
    }
    return ngx_event_pipe_add_free_buf(p, raw); /* nothing in it was data */
}

/* --- Which one ---------------------------------------------------------------------------------- */

static bool has_no_body(const struct tp_edge_request *er)
{
    return er->head_request || er->head.status == NGX_HTTP_NO_CONTENT || er->head.status == NGX_HTTP_NOT_MODIFIED;
}

ngx_int_t tp_edge_upstream_filter_init(void *data)
{
    ngx_http_request_t *r = data;
    struct tp_edge_request *er = tp_edge_request_of(r);
    ngx_http_upstream_t *u = r->upstream;
    bool chunked = er->head.chunked && !has_no_body(er); /* whatever such an answer says: what follows is dropped */

    u->input_filter = chunked ? direct_chunked : direct_copy;
    if (has_no_body(er) || (!chunked && er->head.content_length == 0)) {
        u->length = 0;
        end_of_body(er);
    } else {
        u->length = chunked ? 1 : er->head.content_length;
    }
    if (u->pipe) {
        u->pipe->input_filter = chunked ? pipe_chunked : pipe_copy;
        u->pipe->length = chunked ? 3 : u->length; /* "0", LF, LF: what must come at least */
    }
    return NGX_OK;
}
