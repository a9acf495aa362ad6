/* Answers: reply.h. */
#include "control/admin/reply.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <stdio.h>

static const char json_content[] = "application/json; charset=utf-8";

static void set(struct tp_admin_call *call, int status, const char *type, char *body)
{
    free(call->reply.body);
    call->reply.status = status;
    call->reply.content_type = type;
    call->reply.body = body;
    call->reply.body_len = body ? strlen(body) : 0;
}

void tp_admin_reply_json(struct tp_admin_call *call, int status, json_t *body)
{
    /* Slashes as they are and 16 digits: what Kong's encoder writes, going by the lengths of recorded answers. */
    char *text = json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(16));

    json_decref(body);
    TP_ASSERT(text);
    set(call, status, json_content, text);
}

void tp_admin_reply_empty(struct tp_admin_call *call, int status)
{
    set(call, status, NULL, NULL);
}

void tp_admin_reply_message(struct tp_admin_call *call, int status, const char *format, ...)
{
    struct tp_str text;
    va_list args;

    va_start(args, format);
    text = tp_arena_vprintf(call->arena, format, args);
    va_end(args);
    tp_admin_reply_json(call, status, json_pack("{s:o}", "message", tp_admin_json_text(text)));
}

void tp_admin_reply_text(struct tp_admin_call *call, int status, const char *text)
{
    set(call, status, "text/plain; charset=utf-8", tp_strdup(text));
}

void tp_admin_reply_page(struct tp_admin_call *call, int status, const char *reason)
{
    struct tp_str page = tp_arena_printf(call->arena,
                                         "<html>\r\n<head><title>%d %s</title></head>\r\n<body>\r\n"
                                         "<center><h1>%d %s</h1></center>\r\n</body>\r\n</html>\r\n",
                                         status, reason, status, reason);

    set(call, status, "text/html; charset=UTF-8", tp_strndup(page));
}

void tp_admin_reply_header(struct tp_admin_call *call, const char *name, struct tp_str value)
{
    struct tp_admin_reply *reply = &call->reply;
    char *clean;

    TP_ASSERT(reply->header_count < TP_ADMIN_MAX_HEADERS);
    clean = tp_arena_alloc(call->arena, value.len + 1);
    for (size_t i = 0; i < value.len; i++)
        clean[i] = (unsigned char)value.data[i] < 0x20 || value.data[i] == 0x7f ? ' ' : value.data[i];
    clean[value.len] = '\0';
    reply->headers[reply->header_count++] = (struct tp_admin_header){ .name = name,
                                                                      .value = tp_str_make(clean, value.len) };
}

/* scheme://host[:port] of a URL: what an Origin header holds. */
static struct tp_str origin_of(struct tp_str url)
{
    ptrdiff_t scheme = tp_str_find(url, TP_STR("://"));
    ptrdiff_t path;

    if (scheme < 0)
        return url;
    path = tp_str_chr(tp_str_from(url, (size_t)scheme + 3), '/');
    return path < 0 ? url : tp_str_head(url, (size_t)scheme + 3 + (size_t)path);
}

/* The origin to allow: the caller's own, unless the setting admin_gui_url names others. */
static struct tp_str allowed_origin(const struct tp_admin_call *call)
{
    const json_t *setting = json_object_get(call->context->options.settings, "admin_gui_url");
    struct tp_str first = TP_STR_NULL, item, rest = tp_str_from_cstr(json_string_value(setting));
    size_t i;
    const json_t *element;

    if (json_is_array(setting)) {
        json_array_foreach(setting, i, element) {
            item = origin_of(tp_str_from_cstr(json_string_value(element)));
            if (item.len && tp_str_eq(item, call->origin))
                return item;
            if (!first.len)
                first = item;
        }
    }
    while (tp_str_next(&rest, ',', &item)) {
        item = origin_of(tp_str_trim(item));
        if (item.len && tp_str_eq(item, call->origin))
            return item;
        if (!first.len)
            first = item;
    }
    if (first.len)
        return first;
    return call->origin.len ? call->origin : TP_STR("*");
}

void tp_admin_reply_cors(struct tp_admin_call *call)
{
    tp_admin_reply_header(call, "Access-Control-Allow-Origin", allowed_origin(call));
    tp_admin_reply_header(call, "Access-Control-Allow-Credentials", TP_STR("true"));
}

void tp_admin_not_found(struct tp_admin_call *call)
{
    tp_admin_reply_message(call, 404, "Not found");
}

void tp_admin_method_not_allowed(struct tp_admin_call *call)
{
    tp_admin_reply_message(call, 405, "Method not allowed");
}

void tp_admin_unexpected(struct tp_admin_call *call)
{
    tp_admin_reply_message(call, 500, "An unexpected error occurred");
}

json_t *tp_admin_json_text(struct tp_str s)
{
    size_t valid = tp_utf8_valid_prefix(s);
    char *text, *end;
    json_t *value;

    if (valid == s.len)
        return json_stringn(s.data ? s.data : "", s.len);
    text = end = tp_malloc(s.len * 3);
    while (s.len) {
        memcpy(end, s.data, valid);
        end += valid;
        s = tp_str_from(s, valid);
        if (s.len) {
            memcpy(end, "\xef\xbf\xbd", 3);
            end += 3;
            s = tp_str_from(s, 1);
        }
        valid = tp_utf8_valid_prefix(s);
    }
    value = json_stringn(text, (size_t)(end - text));
    free(text);
    return value;
}
