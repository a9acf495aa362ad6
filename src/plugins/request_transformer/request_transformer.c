/*
 * request-transformer: changes a request on its way upstream. The order of work is fixed: path, method, headers, body,
 * query; in each remove, rename, replace, add, append.
 */
#include "transform.h"

#include <stdio.h>

static const char *const known_methods[] = {
    "GET",  "HEAD",     "PUT",       "POST", "DELETE", "OPTIONS", "MKCOL", "COPY",
    "MOVE", "PROPFIND", "PROPPATCH", "LOCK", "UNLOCK", "PATCH",   "TRACE", NULL,
};

static enum tp_err replace_path(struct run *run)
{
    struct tp_str path;
    enum tp_err err;

    if (!run->conf->replace.uri.data)
        return TP_OK;
    err = tp_transform_value(run, &run->conf->uri, &path);
    if (!err)
        err = tp_request_set_upstream_path(run->req, path);
    if (err)
        tp_request_log(run->req, TP_LOG_ERROR, "request-transformer: replace.uri gives no path that starts with '/'");
    return err;
}

static bool is_known_method(struct tp_str method)
{
    for (size_t i = 0; known_methods[i]; i++)
        if (tp_str_eq(method, tp_str_from_cstr(known_methods[i])))
            return true;
    return false;
}

/* A form that becomes a GET speaks through its query too. */
static void form_into_query(struct run *run)
{
    struct tp_arena *arena = tp_request_arena(run->req);
    struct tp_str type, body;
    const struct tp_arg *query, *form;
    struct tp_arg *all;
    size_t query_count, form_count;

    if (!tp_request_header(run->req, TP_STR("content-type"), &type) || tp_body_kind_of(type) != TP_BODY_FORM ||
        !tp_request_body(run->req, &body))
        return;
    form_count = tp_form_parse(arena, body, &form);
    query_count = tp_request_query_args(run->req, &query);
    all = tp_arena_new_array(arena, struct tp_arg, form_count + query_count + 1);
    for (size_t i = 0; i < query_count + form_count; i++)
        all[i] = i < query_count ? query[i] : form[i - query_count];
    tp_args_sort(arena, all, query_count + form_count);
    tp_request_set_query_args(run->req, all, query_count + form_count);
}

static enum tp_err replace_method(struct run *run)
{
    struct tp_str method = run->conf->http_method;

    if (!method.data)
        return TP_OK;
    if (!is_known_method(method)) {
        tp_request_log(run->req, TP_LOG_ERROR, "request-transformer: unknown method \"%.*s\"", TP_STR_ARG(method));
        return TP_ERR_INVALID;
    }
    if (tp_request_set_upstream_method(run->req, method))
        return TP_ERR_INVALID;
    if (run->conf->method_is_form_query)
        form_into_query(run);
    return TP_OK;
}

static enum tp_verdict transform(struct tp_request *req, const struct transformer_conf *conf)
{
    struct run run = { .req = req, .conf = conf, .scope = tp_template_scope_new(req) };
    enum tp_err err = replace_path(&run);

    if (!err)
        err = replace_method(&run);
    if (!err)
        err = tp_transform_headers(&run);
    if (!err)
        err = tp_transform_body(&run);
    if (!err)
        err = tp_transform_query(&run);
    return err ? TP_FAIL : TP_NEXT;
}

static enum tp_verdict on_body_read(struct tp_request *req, const void *conf, void *state)
{
    (void)state;
    return transform(req, conf);
}

/* A body that no rule can touch is not worth waiting for: it streams on. */
static bool needs_body(const struct tp_request *req, const struct transformer_conf *conf)
{
    struct tp_str type;

    if (!conf->body.any && !conf->method_is_form_query)
        return false;
    return tp_request_content_length(req) != 0 &&
           (conf->sets_content_type || tp_request_header(req, TP_STR("content-type"), &type));
}

static enum tp_verdict on_access(struct tp_request *req, const void *conf)
{
    if (needs_body(req, conf))
        return tp_request_read_body(req, BODY_MAX, on_body_read, NULL);
    return transform(req, conf);
}

const struct tp_plugin tp_plugin_request_transformer = {
    .name = "request-transformer",
    .priority = 801,
    .conf_size = sizeof(struct transformer_conf),
    .fields = tp_request_transformer_fields,
    .any_protocol = true,
    .on_configure = tp_request_transformer_configure,
    .on_access = on_access,
};
