/*
 * The answer's way out: its head from the gateway's table into nginx's, its body through plugins that look at it.
 *
 * All heads pass here: proxied ones (upstream.c filled tp_request_answer), our own, and errors that nginx made, whose
 * page is replaced (errors.c).
 */
#include "edge/edge.h"

static ngx_http_output_header_filter_pt next_header_filter;
static ngx_http_output_body_filter_pt next_body_filter;

/* --- Head ---------------------------------------------------------------------------------------- */

/* As nginx's own upstream module cuts it: the charset filter looks at type and charset apart. */
static void set_content_type(ngx_http_request_t *r, struct tp_str value)
{
    struct tp_str rest = value, part;

    r->headers_out.content_type = tp_edge_ngx_str(value);
    r->headers_out.content_type_len = value.len;
    r->headers_out.content_type_lowcase = NULL;
    tp_str_next(&rest, ';', &part);
    while (tp_str_next(&rest, ';', &part)) {
        size_t before = (size_t)(part.data - value.data) - 1;

        part = tp_str_trim(part);
        if (!tp_str_starts_nocase(part, TP_STR("charset=")))
            continue;
        part = tp_str_from(part, 8);
        if (part.len >= 2 && part.data[0] == '"' && part.data[part.len - 1] == '"')
            part = tp_str_make(part.data + 1, part.len - 2);
        r->headers_out.content_type_len = before;
        r->headers_out.charset = tp_edge_ngx_str(part);
        return;
    }
}

static ngx_table_elt_t *push(ngx_http_request_t *r, const struct tp_header *h)
{
    ngx_table_elt_t *elt = ngx_list_push(&r->headers_out.headers);

    if (!elt)
        return NULL;
    elt->key = tp_edge_ngx_str(h->name);
    elt->value = tp_edge_ngx_str(h->value);
    elt->lowcase_key = NULL;
    elt->hash = 1;
    return elt;
}

/* Headers that nginx would otherwise make itself, or that its other filters ask for. */
static ngx_table_elt_t **slot_of(ngx_http_request_t *r, struct tp_str name)
{
    switch (name.len) {
    case 4:
        if (tp_str_eq_nocase(name, TP_STR("Date")))
            return &r->headers_out.date;
        return tp_str_eq_nocase(name, TP_STR("ETag")) ? &r->headers_out.etag : NULL;
    case 6: return tp_str_eq_nocase(name, TP_STR("Server")) ? &r->headers_out.server : NULL;
    case 13:
        if (tp_str_eq_nocase(name, TP_STR("Last-Modified")))
            return &r->headers_out.last_modified;
        return tp_str_eq_nocase(name, TP_STR("Accept-Ranges")) ? &r->headers_out.accept_ranges : NULL;
    case 16: return tp_str_eq_nocase(name, TP_STR("Content-Encoding")) ? &r->headers_out.content_encoding : NULL;
    default: return NULL;
    }
}

/*
 * The framing decides, never a plugin: only the very length that nginx is going to send is passed on as text, which
 * saves nginx from writing it.
 */
static ngx_int_t add_length(ngx_http_request_t *r, const struct tp_header *h)
{
    int64_t length;

    if (r->headers_out.content_length || !tp_str_to_i64(h->value, &length) || length != r->headers_out.content_length_n)
        return NGX_OK;
    r->headers_out.content_length = push(r, h);
    return r->headers_out.content_length ? NGX_OK : NGX_ERROR;
}

static ngx_int_t add_header(ngx_http_request_t *r, const struct tp_header *h)
{
    ngx_table_elt_t **slot, *elt;

    if (h->name.len == 12 && tp_str_eq_nocase(h->name, TP_STR("Content-Type"))) {
        set_content_type(r, h->value);
        return NGX_OK;
    }
    if (h->name.len == 14 && tp_str_eq_nocase(h->name, TP_STR("Content-Length")))
        return add_length(r, h);
    elt = push(r, h);
    if (!elt)
        return NGX_ERROR;
    slot = slot_of(r, h->name);
    if (slot)
        *slot = elt;
    return NGX_OK;
}

/* Without a Server header in the table none is sent: nginx must not put in its own. */
static ngx_int_t silence_server(ngx_http_request_t *r)
{
    static const struct tp_header none;
    ngx_table_elt_t *elt;

    if (r->headers_out.server)
        return NGX_OK;
    elt = push(r, &none);
    if (!elt)
        return NGX_ERROR;
    elt->hash = 0;
    r->headers_out.server = elt;
    return NGX_OK;
}

/* The types that nginx's charset filter knows from the start. By length first: most answers are JSON. */
static bool is_text_type(struct tp_str type)
{
    switch (type.len) {
    case 8: return tp_str_eq_nocase(type, TP_STR("text/xml"));
    case 9: return tp_str_eq_nocase(type, TP_STR("text/html"));
    case 10: return tp_str_eq_nocase(type, TP_STR("text/plain"));
    case 16: return tp_str_eq_nocase(type, TP_STR("text/vnd.wap.wml"));
    case 19: return tp_str_eq_nocase(type, TP_STR("application/rss+xml"));
    case 22: return tp_str_eq_nocase(type, TP_STR("application/javascript"));
    default: return false;
    }
}

/* As nginx's charset filter does without recoding: text that is not encoded and names no charset gets the default. */
static void add_charset(ngx_http_request_t *r)
{
    const struct tp_edge_loc_conf *conf = ngx_http_get_module_loc_conf(r, ngx_http_turnpike_module);

    if (conf->charset.len && !r->headers_out.charset.len && !r->headers_out.content_encoding &&
        is_text_type(tp_edge_str(r->headers_out.content_type)))
        r->headers_out.charset = conf->charset;
}

static ngx_int_t fill_head(ngx_http_request_t *r, struct tp_edge_request *er)
{
    const struct tp_answer *answer = tp_request_answer(er->req);

    if (r->headers_out.status != (ngx_uint_t)answer->status) {
        r->headers_out.status = (ngx_uint_t)answer->status;
        ngx_str_null(&r->headers_out.status_line);
    }
    if (er->answer != TP_EDGE_PROXIED)
        r->headers_out.content_length_n = (off_t)er->body.len;
    for (size_t i = 0; i < answer->header_count; i++) {
        if (add_header(r, &answer->headers[i]) != NGX_OK)
            return NGX_ERROR;
    }
    add_charset(r);
    if (answer->drop_length) { /* a macro of two statements */
        ngx_http_clear_content_length(r);
    }
    r->disable_not_modified = 1;
    return silence_server(r);
}

/* What nginx put in for its page goes; a few of its headers (Allow, Location …) would be kept, it sets none here. */
static void take_over_error(ngx_http_request_t *r, struct tp_edge_request *er)
{
    tp_edge_error_answer(er, r->headers_out.status);
    er->answer = TP_EDGE_ERROR;
    r->headers_out.content_length = NULL;
    ngx_str_null(&r->headers_out.charset);
    ngx_http_clear_accept_ranges(r);
}

static ngx_int_t header_filter(ngx_http_request_t *r)
{
    const struct tp_edge_loc_conf *conf = ngx_http_get_module_loc_conf(r, ngx_http_turnpike_module);
    struct tp_edge_request *er = tp_edge_request_of(r);
    struct tp_edge_worker *worker = tp_edge_worker_of(r);

    if (r != r->main || !worker)
        return next_header_filter(r);
    if (worker->draining)
        r->keepalive = 0;
    if (r->err_status >= NGX_HTTP_BAD_REQUEST && (er || conf->errors)) {
        er = tp_edge_request_get(r, worker);
        if (!er)
            return next_header_filter(r);
        take_over_error(r, er);
    }
    if (!er || er->answer == TP_EDGE_NO_ANSWER)
        return next_header_filter(r);

    tp_request_on_response_head(er->req);
    er->wants_body = tp_request_wants_body(er->req);
    if (er->wants_body)
        r->filter_need_in_memory = 1;
    if (fill_head(r, er) != NGX_OK)
        return NGX_ERROR;
    return next_header_filter(r);
}

/* --- Body ---------------------------------------------------------------------------------------- */

/* Our page instead of nginx's; its own bytes are thrown away. */
static ngx_int_t send_error_page(ngx_http_request_t *r, struct tp_edge_request *er)
{
    ngx_chain_t out = { NULL, NULL };
    ngx_buf_t *b;

    if (er->body_sent)
        return NGX_OK;
    er->body_sent = true;
    b = ngx_calloc_buf(r->pool);
    if (!b)
        return NGX_ERROR;
    b->pos = tp_edge_ngx_str(er->body).data;
    b->last = b->pos + er->body.len;
    b->memory = er->body.len > 0;
    b->last_buf = 1;
    out.buf = b;
    return next_body_filter(r, &out);
}

/* One buffer through the plugins: a new one with what they left of it. */
static ngx_buf_t *filter_buf(ngx_http_request_t *r, struct tp_edge_request *er, ngx_buf_t *b)
{
    struct tp_str chunk = tp_str_make((const char *)b->pos, ngx_buf_in_memory(b) ? (size_t)(b->last - b->pos) : 0);
    ngx_buf_t *out = ngx_calloc_buf(r->pool);

    if (!out)
        return NULL;
    tp_request_on_body_chunk(er->req, &chunk, b->last_buf);
    out->flush = b->flush;
    out->last_buf = b->last_buf;
    out->last_in_chain = b->last_in_chain;
    if (chunk.len) {
        /* nginx takes the buffer back as soon as it is consumed, and fills it anew: the bytes must be our own */
        u_char *copy = ngx_pnalloc(r->pool, chunk.len);

        if (!copy)
            return NULL;
        memcpy(copy, chunk.data, chunk.len);
        out->pos = copy;
        out->last = copy + chunk.len;
        out->memory = 1;
    } else {
        out->sync = !out->last_buf && !out->flush;
    }
    b->pos = b->last; /* consumed */
    return out;
}

static ngx_int_t filter_body(ngx_http_request_t *r, struct tp_edge_request *er, ngx_chain_t *in)
{
    ngx_chain_t *out = NULL, **tail = &out;

    for (; in; in = in->next) {
        ngx_chain_t *link = ngx_alloc_chain_link(r->pool);

        if (!link)
            return NGX_ERROR;
        link->buf = filter_buf(r, er, in->buf);
        if (!link->buf)
            return NGX_ERROR;
        link->next = NULL;
        *tail = link;
        tail = &link->next;
    }
    return next_body_filter(r, out);
}

static ngx_int_t body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    struct tp_edge_request *er = tp_edge_request_of(r);

    if (!er || r != r->main || !in)
        return next_body_filter(r, in);
    if (er->answer == TP_EDGE_ERROR)
        return send_error_page(r, er);
    if (er->wants_body)
        return filter_body(r, er, in);
    return next_body_filter(r, in);
}

ngx_int_t tp_edge_filters_init(ngx_conf_t *cf)
{
    (void)cf;
    next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = header_filter;
    next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = body_filter;
    return NGX_OK;
}
