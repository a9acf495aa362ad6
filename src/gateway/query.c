/*
 * The query on its way upstream: raw text until somebody asks for arguments; what is not changed keeps every byte.
 */
#include "base/url.h"
#include "gateway/request_priv.h"

#define MAX_ARGS 100

/* Split "name=value" and decode both. */
static struct tp_arg read_arg(struct tp_arena *arena, struct tp_str item)
{
    ptrdiff_t equals = tp_str_chr(item, '=');
    struct tp_arg arg = { .has_value = equals >= 0 };

    if (equals >= 0) {
        arg.value = tp_url_decode(arena, tp_str_from(item, (size_t)equals + 1), true);
        item = tp_str_head(item, (size_t)equals);
    }
    arg.name = tp_url_decode(arena, item, true);
    return arg;
}

size_t tp_request_query_args(struct tp_request *req, const struct tp_arg **out)
{
    struct tp_str rest = req->upstream_query, item;

    if (!req->args_read) {
        req->args_read = true;
        req->arg_count = 0;
        if (rest.len)
            req->args = tp_arena_new_array(req->arena, struct tp_arg, MAX_ARGS);
        while (rest.len && req->arg_count < MAX_ARGS && tp_str_next(&rest, '&', &item)) {
            if (item.len)
                req->args[req->arg_count++] = read_arg(req->arena, item);
        }
    }
    *out = req->args;
    return req->arg_count;
}

static void set_query(struct tp_request *req, struct tp_str query)
{
    req->upstream_query = query;
    req->args_read = false;
}

void tp_request_set_query_args(struct tp_request *req, const struct tp_arg *args, size_t count)
{
    size_t size = 1, w = 0;
    char *text;

    for (size_t i = 0; i < count; i++)
        size += 3 * (args[i].name.len + args[i].value.len) + 2;
    text = tp_arena_alloc(req->arena, size);
    for (size_t i = 0; i < count; i++) {
        struct tp_str name = tp_url_encode(req->arena, args[i].name);

        if (w)
            text[w++] = '&';
        memcpy(text + w, name.data, name.len);
        w += name.len;
        if (args[i].has_value) {
            struct tp_str value = tp_url_encode(req->arena, args[i].value.data ? args[i].value : TP_STR(""));

            text[w++] = '=';
            memcpy(text + w, value.data, value.len);
            w += value.len;
        }
    }
    text[w] = '\0';
    set_query(req, w ? tp_str_make(text, w) : TP_STR_NULL);
}

void tp_request_remove_query_arg(struct tp_request *req, struct tp_str name)
{
    struct tp_str rest = req->upstream_query, item;
    char *text;
    size_t w = 0;
    bool removed = false;

    if (!rest.len)
        return;
    text = tp_arena_alloc(req->arena, rest.len + 1);
    while (tp_str_next(&rest, '&', &item)) {
        if (item.len && tp_str_eq(read_arg(req->arena, item).name, name)) {
            removed = true;
            continue;
        }
        if (w)
            text[w++] = '&';
        memcpy(text + w, item.data, item.len);
        w += item.len;
    }
    text[w] = '\0';
    if (removed)
        set_query(req, w ? tp_str_make(text, w) : TP_STR_NULL);
}
