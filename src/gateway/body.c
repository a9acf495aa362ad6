/*
 * Request bodies for plugins: turnpike/body.h.
 */
#include "turnpike/body.h"

#include "base/url.h"

#include <stdlib.h>

enum tp_body_kind tp_body_kind_of(struct tp_str content_type)
{
    struct tp_str type = tp_str_trim(content_type);

    if (!content_type.data)
        return TP_BODY_OTHER;
    if (tp_str_starts_nocase(type, TP_STR("application/x-www-form-urlencoded")))
        return TP_BODY_FORM;
    if (tp_str_starts_nocase(type, TP_STR("application/json")))
        return TP_BODY_JSON;
    if (tp_str_starts_nocase(type, TP_STR("multipart/form-data")))
        return TP_BODY_MULTIPART;
    return TP_BODY_OTHER;
}

/* --- Forms ------------------------------------------------------------------------------------ */

size_t tp_form_parse(struct tp_arena *arena, struct tp_str text, const struct tp_arg **out)
{
    struct tp_arg *args = tp_arena_new_array(arena, struct tp_arg, TP_BODY_ARGS_MAX);
    struct tp_str rest = text, item;
    size_t count = 0;

    *out = args;
    while (count < TP_BODY_ARGS_MAX && tp_str_next(&rest, '&', &item)) {
        ptrdiff_t equals = tp_str_chr(item, '=');

        if (item.len == 0 || equals == 0)
            continue;
        args[count].has_value = equals > 0;
        args[count].name = tp_url_decode(arena, equals > 0 ? tp_str_head(item, (size_t)equals) : item, true);
        if (equals > 0)
            args[count].value = tp_url_decode(arena, tp_str_from(item, (size_t)equals + 1), true);
        count++;
    }
    return count;
}

static struct tp_str arg_text(struct tp_arena *arena, const struct tp_arg *arg)
{
    struct tp_str name = tp_url_encode(arena, arg->name);

    if (!arg->has_value)
        return name;
    return tp_arena_concat(arena, tp_arena_concat(arena, name, TP_STR("=")), tp_url_encode(arena, arg->value));
}

struct tp_str tp_form_write(struct tp_arena *arena, const struct tp_arg *args, size_t count)
{
    struct tp_str *texts = tp_arena_new_array(arena, struct tp_str, count + 1);
    size_t len = 0, at = 0;
    char *data;

    for (size_t i = 0; i < count; i++) {
        texts[i] = arg_text(arena, &args[i]);
        len += texts[i].len + 1;
    }
    data = tp_arena_alloc(arena, len + 1);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            data[at++] = '&';
        memcpy(data + at, texts[i].data, texts[i].len);
        at += texts[i].len;
    }
    data[at] = '\0';
    return tp_str_make(data, at);
}

struct keyed_arg {
    struct tp_str text;
    struct tp_arg arg;
};

static int compare_keyed(const void *a, const void *b)
{
    return tp_str_cmp(((const struct keyed_arg *)a)->text, ((const struct keyed_arg *)b)->text);
}

void tp_args_sort(struct tp_arena *arena, struct tp_arg *args, size_t count)
{
    struct keyed_arg *keyed = tp_arena_new_array(arena, struct keyed_arg, count + 1);

    for (size_t i = 0; i < count; i++)
        keyed[i] = (struct keyed_arg){ arg_text(arena, &args[i]), args[i] };
    qsort(keyed, count, sizeof(*keyed), compare_keyed);
    for (size_t i = 0; i < count; i++)
        args[i] = keyed[i].arg;
}

/* --- Multipart (RFC 7578) --------------------------------------------------------------------- */

/* The value of parameter `name` in a header's value: name=token or name="text". */
static bool find_parameter(struct tp_str header, struct tp_str name, struct tp_str *out)
{
    for (size_t i = 0; i < header.len; i++) {
        struct tp_str rest;
        size_t end = 0;

        if (header.data[i] != ';')
            continue;
        for (rest = tp_str_from(header, i + 1); rest.len && (rest.data[0] == ' ' || rest.data[0] == '\t');)
            rest = tp_str_from(rest, 1); /* not trimmed behind: a long tail of blanks would be walked for each ';' */
        if (!tp_str_starts_nocase(rest, name) || rest.len <= name.len || rest.data[name.len] != '=')
            continue;
        rest = tp_str_from(rest, name.len + 1);
        if (rest.len > 0 && rest.data[0] == '"') {
            ptrdiff_t quote = tp_str_chr(tp_str_from(rest, 1), '"');

            *out = tp_str_head(tp_str_from(rest, 1), quote < 0 ? 0 : (size_t)quote);
            return quote >= 0;
        }
        while (end < rest.len && rest.data[end] != ';' && rest.data[end] != ' ' && rest.data[end] != '\r')
            end++;
        *out = tp_str_head(rest, end);
        return true;
    }
    return false;
}

static bool find_boundary(struct tp_arena *arena, struct tp_str content_type, struct tp_str *delimiter)
{
    struct tp_str boundary;

    if (!find_parameter(content_type, TP_STR("boundary"), &boundary) || boundary.len == 0 || boundary.len > 70)
        return false;
    *delimiter = tp_arena_concat(arena, TP_STR("--"), boundary);
    return true;
}

static struct tp_str part_name(struct tp_str headers)
{
    struct tp_str rest = headers, line, name = TP_STR_NULL;

    while (tp_str_next(&rest, '\n', &line))
        if (tp_str_starts_nocase(line, TP_STR("content-disposition:")) && find_parameter(line, TP_STR("name"), &name))
            return name;
    return TP_STR_NULL;
}

/* One part's text, from behind the delimiter's line to before the next one. */
static bool parse_part(struct tp_str text, struct tp_part *out)
{
    ptrdiff_t end;

    if (tp_str_starts(text, TP_STR("\r\n"))) {
        out->headers = tp_str_head(text, 0);
        out->value = tp_str_from(text, 2);
    } else {
        end = tp_str_find(text, TP_STR("\r\n\r\n"));
        if (end < 0)
            return false;
        out->headers = tp_str_head(text, (size_t)end + 2);
        out->value = tp_str_from(text, (size_t)end + 4);
    }
    out->name = part_name(out->headers);
    return true;
}

enum tp_err tp_multipart_parse(struct tp_arena *arena, struct tp_str content_type, struct tp_str body,
                               const struct tp_part **out, size_t *count)
{
    struct tp_part *parts = NULL;
    size_t used = 0, capacity = 0;
    struct tp_str delimiter, inner, rest = body;
    ptrdiff_t at;

    if (!find_boundary(arena, content_type, &delimiter))
        return TP_ERR_INVALID;
    inner = tp_arena_concat(arena, TP_STR("\r\n"), delimiter);
    at = tp_str_starts(rest, delimiter) ? 0 : tp_str_find(rest, inner);
    if (at < 0)
        return TP_ERR_INVALID;
    rest = tp_str_from(rest, (size_t)at + (at == 0 ? delimiter.len : inner.len));
    while (!tp_str_starts(rest, TP_STR("--"))) {
        if (!tp_str_starts(rest, TP_STR("\r\n")) || used == TP_BODY_PARTS_MAX)
            return TP_ERR_INVALID;
        rest = tp_str_from(rest, 2);
        at = tp_str_find(rest, inner);
        if (used == capacity) {
            struct tp_part *more = tp_arena_new_array(arena, struct tp_part, capacity ? capacity * 2 : 16);

            if (used)
                memcpy(more, parts, used * sizeof(*parts));
            capacity = capacity ? capacity * 2 : 16;
            parts = more;
        }
        if (at < 0 || !parse_part(tp_str_head(rest, (size_t)at), &parts[used]))
            return TP_ERR_INVALID;
        used++;
        rest = tp_str_from(rest, (size_t)at + inner.len);
    }
    *out = parts;
    *count = used;
    return TP_OK;
}

static size_t put(char *data, size_t at, struct tp_str s)
{
    if (data && s.len)
        memcpy(data + at, s.data, s.len);
    return at + s.len;
}

/* With data NULL: only the length. */
static size_t write_parts(char *data, struct tp_str delimiter, const struct tp_part *parts, size_t count)
{
    size_t at = 0;

    for (size_t i = 0; i < count; i++) {
        at = put(data, at, delimiter);
        at = put(data, at, TP_STR("\r\n"));
        at = put(data, at, parts[i].headers);
        at = put(data, at, TP_STR("\r\n"));
        at = put(data, at, parts[i].value);
        at = put(data, at, TP_STR("\r\n"));
    }
    at = put(data, at, delimiter);
    return put(data, at, TP_STR("--\r\n"));
}

struct tp_str tp_multipart_write(struct tp_arena *arena, struct tp_str content_type, const struct tp_part *parts,
                                 size_t count)
{
    struct tp_str delimiter;
    size_t len;
    char *data;

    if (!find_boundary(arena, content_type, &delimiter))
        return TP_STR("");
    len = write_parts(NULL, delimiter, parts, count);
    data = tp_arena_alloc(arena, len + 1);
    write_parts(data, delimiter, parts, count);
    data[len] = '\0';
    return tp_str_make(data, len);
}

struct tp_str tp_part_headers(struct tp_arena *arena, struct tp_str name)
{
    return tp_arena_printf(arena, "Content-Disposition: form-data; name=\"%.*s\"\r\n", TP_STR_ARG(name));
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void unref_json(void *value)
{
    json_decref(value);
}

static void free_text(void *text)
{
    free(text);
}

json_t *tp_json_parse(struct tp_arena *arena, struct tp_str text)
{
    json_error_t error;
    json_t *value = json_loadb(text.data ? text.data : "", text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

    /* Integers beyond 64 bits become real numbers, as in Kong: a body that holds one is still read. */
    if (!value && json_error_code(&error) == json_error_numeric_overflow)
        value = json_loadb(text.data, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
    if (value)
        tp_arena_defer(arena, unref_json, value);
    return value;
}

struct tp_str tp_json_write(struct tp_arena *arena, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

    TP_ASSERT(text);
    tp_arena_defer(arena, free_text, text);
    return tp_str_from_cstr(text);
}
