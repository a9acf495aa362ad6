/* The request on its way upstream: the gateway's head in one buffer, then the client's body or a plugin's. */
#include "edge/edge.h"

/* --- Making it ---------------------------------------------------------------------------------- */

/* Content-Length for the upstream; -1: chunked. */
static int64_t outgoing_length(struct tp_edge_request *er, const struct tp_str *replaced)
{
    const ngx_http_request_t *r = er->r;

    if (replaced)
        return (int64_t)replaced->len;
    /* nginx counts the pieces of a chunked body there as it reads: only when all is read it is the length */
    if (r->headers_in.chunked && r->request_body_no_buffering)
        return -1;
    return r->headers_in.content_length_n;
}

static ngx_chain_t *make_link(ngx_http_request_t *r, ngx_buf_t *b)
{
    ngx_chain_t *link = b ? ngx_alloc_chain_link(r->pool) : NULL;

    if (link) {
        link->buf = b;
        link->next = NULL;
    }
    return link;
}

/* The head as the gateway writes it; the worker's scratch buffer saves the growing. */
static ngx_chain_t *make_head(struct tp_edge_request *er, int64_t length, bool has_body)
{
    struct tp_buf *scratch = &er->worker->scratch;
    ngx_buf_t *b;

    tp_buf_reset(scratch);
    tp_request_write_upstream(er->req, &er->target, length, has_body, scratch);
    if (scratch->failed)
        return NULL;
    er->head_request = tp_str_starts(tp_buf_str(scratch), TP_STR("HEAD "));
    b = ngx_calloc_buf(er->r->pool);
    if (!b)
        return NULL;
    b->start = b->pos = tp_arena_alloc(er->arena, scratch->len);
    b->end = b->last = ngx_cpymem(b->pos, scratch->data, scratch->len);
    b->temporary = 1;
    b->flush = 1;
    return make_link(er->r, b);
}

/* Copies of nginx's buffers that read the body: another try must find the originals unchanged. */
static ngx_int_t append_read_body(ngx_http_request_t *r, ngx_chain_t **tail, ngx_chain_t *in)
{
    for (; in; in = in->next) {
        ngx_buf_t *b = ngx_alloc_buf(r->pool);
        ngx_chain_t *link;

        if (!b)
            return NGX_ERROR;
        memcpy(b, in->buf, sizeof(*b));
        link = make_link(r, b);
        if (!link)
            return NGX_ERROR;
        *tail = link;
        tail = &link->next;
    }
    return NGX_OK;
}

static ngx_int_t append_text(ngx_http_request_t *r, ngx_chain_t **tail, struct tp_str text)
{
    ngx_buf_t *b = ngx_calloc_buf(r->pool);

    if (!b)
        return NGX_ERROR;
    b->start = tp_edge_ngx_str(text).data;
    b->pos = b->start;
    b->end = b->last = b->pos + text.len;
    b->memory = 1;
    *tail = make_link(r, b);
    return *tail ? NGX_OK : NGX_ERROR;
}

ngx_int_t tp_edge_upstream_create_request(ngx_http_request_t *r)
{
    struct tp_edge_request *er = tp_edge_request_of(r);
    ngx_http_upstream_t *u = r->upstream;
    ngx_chain_t *body = u->request_bufs;
    struct tp_str text = TP_STR_NULL;
    bool replaced = tp_request_replaced_body(er->req, &text);
    int64_t length = outgoing_length(er, replaced ? &text : NULL);
    ngx_chain_t *head = make_head(er, length, replaced ? text.len > 0 : tp_edge_has_body(r));

    if (!head)
        return NGX_ERROR;
    u->request_bufs = head;
    if (replaced)
        return text.len ? append_text(r, &head->next, text) : NGX_OK;
    if (!r->request_body_no_buffering)
        return append_read_body(r, &head->next, body);
    if (length < 0) {
        er->sends_chunked = true;
        u->output.output_filter = tp_edge_upstream_send_filter;
        u->output.filter_ctx = r;
    }
    return NGX_OK;
}

/* --- Streaming: a body of unknown length goes out in chunks ------------------------------------------- */

static ngx_chain_t *take_buf(struct tp_edge_request *er)
{
    ngx_chain_t *link = ngx_chain_get_free_buf(er->r->pool, &er->send_free);

    if (link) {
        ngx_memzero(link->buf, sizeof(*link->buf));
        link->buf->tag = (ngx_buf_tag_t)&tp_edge_upstream_send_filter;
        link->next = NULL;
    }
    return link;
}

static ngx_chain_t *take_text(struct tp_edge_request *er, const char *text, size_t len)
{
    ngx_chain_t *link = take_buf(er);

    if (link) {
        link->buf->pos = (u_char *)text;
        link->buf->last = link->buf->pos + len;
        link->buf->memory = 1;
    }
    return link;
}

static ngx_chain_t *take_size_line(struct tp_edge_request *er, off_t size)
{
    enum { MAX_LINE = 20 };
    u_char *line = ngx_pnalloc(er->r->pool, MAX_LINE);
    u_char *end;

    if (!line)
        return NULL;
    end = ngx_snprintf(line, MAX_LINE, "%xO\r\n", size);
    return take_text(er, (const char *)line, (size_t)(end - line));
}

/* The data's own links, which nginx keeps for itself, again in new ones. */
static ngx_chain_t **append_data(struct tp_edge_request *er, ngx_chain_t **tail, ngx_chain_t *in, off_t *size,
                                 bool *last)
{
    for (; in; in = in->next) {
        ngx_chain_t *link;

        if (in->buf->last_buf)
            *last = true;
        if (ngx_buf_special(in->buf) || ngx_buf_size(in->buf) == 0)
            continue;
        link = ngx_alloc_chain_link(er->r->pool);
        if (!link)
            return NULL;
        link->buf = in->buf;
        link->next = NULL;
        *size += ngx_buf_size(in->buf);
        *tail = link;
        tail = &link->next;
    }
    return tail;
}

/* Chunk framing around the data: size line, data, CRLF; the last chunk when the body has ended. */
static ngx_int_t frame(struct tp_edge_request *er, ngx_chain_t *in, ngx_chain_t **tail)
{
    ngx_chain_t *data = NULL, **data_tail, *link;
    off_t size = 0;
    bool last = false;

    data_tail = append_data(er, &data, in, &size, &last);
    if (!data_tail)
        return NGX_ERROR;
    if (size) {
        link = take_size_line(er, size);
        if (!link)
            return NGX_ERROR;
        *tail = link;
        link->next = data;
        link = last ? take_text(er, "\r\n0\r\n\r\n", 7) : take_text(er, "\r\n", 2);
        *data_tail = link;
    } else {
        link = last ? take_text(er, "0\r\n\r\n", 5) : take_buf(er);
        if (link && !last)
            link->buf->sync = 1;
        *tail = link;
    }
    if (!link)
        return NGX_ERROR;
    link->buf->flush = 1;
    return NGX_OK;
}

ngx_int_t tp_edge_upstream_send_filter(void *data, ngx_chain_t *in)
{
    ngx_http_request_t *r = data;
    struct tp_edge_request *er = tp_edge_request_of(r);
    ngx_http_upstream_t *u = r->upstream;
    ngx_chain_t *out = NULL, **tail = &out;
    ngx_int_t rc;

    if (er->sends_head && in) { /* the head goes out as it is */
        er->sends_head = false;
        out = ngx_alloc_chain_link(r->pool);
        if (!out)
            return NGX_ERROR;
        out->buf = in->buf;
        out->next = NULL;
        tail = &out->next;
        in = in->next;
    }
    if (in && frame(er, in, tail) != NGX_OK)
        return NGX_ERROR;
    rc = ngx_chain_writer(&u->writer, out);
    ngx_chain_update_chains(r->pool, &er->send_free, &er->send_busy, &out,
                            (ngx_buf_tag_t)&tp_edge_upstream_send_filter);
    return rc;
}
