/* What goes upstream, as plugins see and change it: headers, path, method, body (turnpike/request.h). */
#include "gateway/request_priv.h"

/* --- Headers ------------------------------------------------------------------------------------ */

bool tp_request_header(const struct tp_request *req, struct tp_str name, struct tp_str *out)
{
    size_t at = tp_header_table_find(&req->headers, name, 0);

    if (at == req->headers.count)
        return false;
    *out = req->headers.items[at].value;
    return true;
}

size_t tp_request_header_count(const struct tp_request *req, struct tp_str name)
{
    size_t count = 0;

    for (size_t at = 0; (at = tp_header_table_find(&req->headers, name, at)) < req->headers.count; at++)
        count++;
    return count;
}

bool tp_request_header_next(const struct tp_request *req, size_t *i, struct tp_header *out)
{
    if (*i >= req->headers.count)
        return false;
    *out = req->headers.items[(*i)++];
    return true;
}

/* A copy that is safe in a head; false, and a line in the log, for a name that is no token. */
static bool copy_header(struct tp_request *req, struct tp_str *name, struct tp_str *value)
{
    if (!tp_header_name_valid(*name)) {
        tp_request_log(req, TP_LOG_WARN, "not a header name, left out: \"%.*s\"", TP_STR_ARG(tp_str_head(*name, 64)));
        return false;
    }
    *name = tp_arena_dup(req->arena, *name);
    *value = tp_arena_dup(req->arena, tp_header_safe_value(req->arena, value->data ? *value : TP_STR("")));
    if (tp_header_name_eq(*name, TP_STR("Host")))
        req->host_replaced = *value;
    return true;
}

void tp_request_set_header(struct tp_request *req, struct tp_str name, struct tp_str value)
{
    if (copy_header(req, &name, &value))
        tp_header_table_set(&req->headers, name, value);
}

void tp_request_add_header(struct tp_request *req, struct tp_str name, struct tp_str value)
{
    if (copy_header(req, &name, &value))
        tp_header_table_add(&req->headers, name, value);
}

void tp_request_clear_header(struct tp_request *req, struct tp_str name)
{
    tp_header_table_remove(&req->headers, name);
    if (tp_header_name_eq(name, TP_STR("Host")))
        req->host_replaced = TP_STR_NULL;
}

/* --- Path and method ---------------------------------------------------------------------------- */

struct tp_str tp_request_upstream_path(const struct tp_request *req)
{
    return req->upstream_path;
}

enum tp_err tp_request_set_upstream_path(struct tp_request *req, struct tp_str path)
{
    if (path.len == 0 || path.data[0] != '/')
        return TP_ERR_INVALID;
    req->upstream_path = tp_path_encode(req->arena, tp_arena_dup(req->arena, path));
    req->path_replaced = true;
    return TP_OK;
}

enum tp_err tp_request_set_upstream_method(struct tp_request *req, struct tp_str method)
{
    if (method.len > 64 || !tp_header_name_valid(method)) /* both are tokens */
        return TP_ERR_INVALID;
    req->method = tp_arena_dup(req->arena, method);
    return TP_OK;
}

/* --- Body --------------------------------------------------------------------------------------- */

bool tp_request_body(const struct tp_request *req, struct tp_str *out)
{
    if (req->body_replaced) {
        *out = req->new_body;
        return true;
    }
    if (!req->body_read || !req->body_known)
        return false;
    *out = req->body;
    return true;
}

void tp_request_set_body(struct tp_request *req, struct tp_str body)
{
    req->new_body = tp_arena_dup(req->arena, body.data ? body : TP_STR(""));
    req->body_replaced = true;
}

bool tp_request_replaced_body(const struct tp_request *req, struct tp_str *out)
{
    if (req->body_replaced)
        *out = req->new_body;
    return req->body_replaced;
}

void tp_request_limit_body(struct tp_request *req, uint64_t max_bytes)
{
    if (req->body_limit == 0 || max_bytes < req->body_limit)
        req->body_limit = max_bytes;
}

uint64_t tp_request_body_limit(const struct tp_request *req)
{
    return req->body_limit;
}
