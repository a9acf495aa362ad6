/*
 * What leaves for the logs: never the request line, URL or Referer as sent, since keys travel in them.
 */
#include "edge/edge.h"

static struct tp_str target_of(const struct tp_edge_request *er)
{
    return er->req ? tp_request_log_target(er->req) : TP_STR("-");
}

/* The path of the target alone: the query of a request whose key plugin has not run yet may hold the key. */
static struct tp_str path_of(struct tp_str target)
{
    ptrdiff_t mark = tp_str_chr(target, '?');

    return mark < 0 ? target : tp_str_head(target, (size_t)mark);
}

static u_char *add(u_char *p, u_char *last, const char *label, ngx_str_t text)
{
    return text.len ? ngx_snprintf(p, (size_t)(last - p), ", %s: \"%V\"", label, &text) : p;
}

u_char *tp_edge_log_request(ngx_http_request_t *r, u_char *buf, size_t len)
{
    const struct tp_edge_request *er = tp_edge_request_of(r);
    u_char *last = buf + len, *p = buf;

    p = ngx_snprintf(p, (size_t)(last - p), ", request: \"%V", &r->method_name);
    if (er && er->req) {
        ngx_str_t path = tp_edge_ngx_str(path_of(target_of(er)));

        p = ngx_snprintf(p, (size_t)(last - p), " %V", &path);
    }
    p = ngx_snprintf(p, (size_t)(last - p), "\"");
    if (er && r->upstream && er->peer_name.len)
        p = add(p, last, "upstream", er->peer_name);
    if (r->headers_in.host)
        p = add(p, last, "host", r->headers_in.host->value);
    if (er && er->req)
        p = add(p, last, "request_id", tp_edge_ngx_str(tp_request_id(er->req)));
    return p;
}

/* --- Variables for access logs -------------------------------------------------------------------- */

enum variable { VAR_REQUEST, VAR_REQUEST_ID, VAR_REFERER };

static ngx_int_t set_value(ngx_http_variable_value_t *v, struct tp_str text)
{
    v->data = tp_edge_ngx_str(text).data;
    v->len = (unsigned)text.len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = text.data == NULL;
    return NGX_OK;
}

/* "GET /path?query HTTP/1.1" with secrets masked. */
static ngx_int_t set_request(ngx_http_request_t *r, const struct tp_edge_request *er, ngx_http_variable_value_t *v)
{
    ngx_str_t target = tp_edge_ngx_str(target_of(er));
    size_t len = r->method_name.len + 1 + target.len + 1 + r->http_protocol.len;
    u_char *text = ngx_pnalloc(r->pool, len);

    if (!text)
        return NGX_ERROR;
    ngx_snprintf(text, len, "%V %V %V", &r->method_name, &target, &r->http_protocol);
    return set_value(v, tp_str_make((const char *)text, len));
}

/* Origin of the Referer: a page of ours may have a key in its own path. */
static struct tp_str referer_origin(const ngx_http_request_t *r)
{
    struct tp_str referer, rest;
    ptrdiff_t at;

    if (!r->headers_in.referer)
        return TP_STR_NULL;
    referer = tp_edge_str(r->headers_in.referer->value);
    at = tp_str_find(referer, TP_STR("://"));
    if (at < 0)
        return TP_STR_NULL;
    rest = tp_str_from(referer, (size_t)at + 3);
    for (size_t i = 0; i < rest.len; i++) {
        if (rest.data[i] == '/' || rest.data[i] == '?' || rest.data[i] == '#')
            return tp_str_head(referer, (size_t)at + 3 + i);
    }
    return referer;
}

static ngx_int_t get_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data)
{
    const struct tp_edge_request *er = tp_edge_request_of(r);

    switch ((enum variable)data) {
    case VAR_REQUEST:
        if (er && er->req)
            return set_request(r, er, v);
        break;
    case VAR_REQUEST_ID:
        if (er && er->req)
            return set_value(v, tp_request_id(er->req));
        break;
    case VAR_REFERER: return set_value(v, referer_origin(r));
    }
    return set_value(v, TP_STR_NULL);
}

ngx_int_t tp_edge_variables_init(ngx_conf_t *cf)
{
    static const struct {
        ngx_str_t name;
        enum variable variable;
    } table[] = {
        { ngx_string("turnpike_request"), VAR_REQUEST },
        { ngx_string("turnpike_request_id"), VAR_REQUEST_ID },
        { ngx_string("turnpike_referer"), VAR_REFERER },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        ngx_str_t name = table[i].name;
        ngx_http_variable_t *v = ngx_http_add_variable(cf, &name, NGX_HTTP_VAR_NOCACHEABLE);

        if (!v)
            return NGX_ERROR;
        v->get_handler = get_variable;
        v->data = table[i].variable;
    }
    return NGX_OK;
}
