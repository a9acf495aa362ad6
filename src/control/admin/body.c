/* Request bodies: body.h. */
#include "control/admin/body.h"

#include "base/utf8.h"
#include "control/admin/args.h"
#include "control/admin/form.h"
#include "control/admin/multipart.h"

static const char bad_json[] = "Cannot parse JSON body";
static const char too_many[] = "Too many arguments";
static const char too_many_values[] = "The JSON body holds more than 100000 values";
static const char bad_text[] = "The body is not valid UTF-8 text";
static const char bad_name[] = "An argument's name is too long, too deeply nested, or not valid UTF-8 text";

enum { MAX_JSON_VALUES = 100000 };

enum tp_admin_body_type tp_admin_body_type(struct tp_str content_type, size_t body_len)
{
    if (!content_type.data)
        return body_len ? TP_ADMIN_BODY_UNSUPPORTED : TP_ADMIN_BODY_NONE;
    if (tp_str_starts(content_type, TP_STR("application/json")))
        return TP_ADMIN_BODY_JSON;
    if (tp_str_starts(content_type, TP_STR("application/x-www-form-urlencoded")))
        return TP_ADMIN_BODY_FORM;
    if (tp_str_starts(content_type, TP_STR("multipart/form-data")))
        return TP_ADMIN_BODY_MULTIPART;
    return TP_ADMIN_BODY_UNSUPPORTED;
}

/* Ten megabytes of "[]," are half a gigabyte of values: no more values than any entity can use. */
static bool has_too_many_values(struct tp_str text)
{
    size_t values = 0;

    for (size_t i = 0; i < text.len; i++)
        values += text.data[i] == ',' || text.data[i] == '[' || text.data[i] == '{';
    return values > MAX_JSON_VALUES;
}

static json_t *load_json(struct tp_str text, size_t flags)
{
    json_error_t error;
    json_t *value = json_loadb(text.data ? text.data : "", text.len, flags, &error);

    /* Numbers beyond 64 bits are numbers all the same: the schema says what is wrong with them. */
    if (!value && json_error_code(&error) == json_error_numeric_overflow)
        value = json_loadb(text.data, text.len, flags | JSON_DECODE_INT_AS_REAL, &error);
    return value;
}

static enum tp_err parse_json(struct tp_str body, json_t **out, const char **message)
{
    json_t *value;

    if (has_too_many_values(body)) {
        *message = too_many_values;
        return TP_ERR_INVALID;
    }
    value = load_json(body, 0);

    /* An empty list and an empty object are one thing to clients written in Lua or PHP. */
    if (json_is_array(value) && !json_array_size(value)) {
        json_decref(value);
        value = json_object();
    }
    if (!json_is_object(value)) {
        json_decref(value);
        *message = bad_json;
        return TP_ERR_INVALID;
    }
    *out = value;
    return TP_OK;
}

/* Text as a JSON string; NULL when it is not text. */
static json_t *text_value(struct tp_str s)
{
    if (tp_utf8_valid_prefix(s) != s.len || tp_str_chr(s, '\0') >= 0)
        return NULL;
    return json_stringn(s.data ? s.data : "", s.len);
}

static enum tp_err add(json_t *root, struct tp_str name, json_t *value, const char **message)
{
    if (!value) {
        *message = bad_text;
        return TP_ERR_INVALID;
    }
    if (tp_admin_args_add(root, name, value)) {
        *message = bad_name;
        return TP_ERR_INVALID;
    }
    return TP_OK;
}

static enum tp_err parse_form(struct tp_arena *arena, struct tp_str body, json_t *root, const char **message)
{
    struct tp_admin_pairs pairs;
    enum tp_err err = tp_admin_pairs_parse(arena, body, &pairs);

    if (err) {
        *message = too_many;
        return err;
    }
    for (size_t i = 0; i < pairs.count && !err; i++) {
        const struct tp_admin_pair *pair = &pairs.items[i];

        /* A bare name is a flag. */
        err = add(root, pair->name, pair->value.data ? text_value(pair->value) : json_true(), message);
    }
    return err;
}

static enum tp_err parse_multipart(struct tp_str content_type, struct tp_str body, json_t *root, const char **message)
{
    struct tp_multipart mp;
    struct tp_multipart_part part;
    size_t count = 0;
    enum tp_err err = TP_OK;

    tp_multipart_init(&mp, body, tp_multipart_boundary(content_type));
    while (!err && tp_multipart_next(&mp, &part)) {
        json_t *value;

        if (++count > TP_ADMIN_MAX_ARGS) {
            *message = too_many;
            return TP_ERR_TOO_LARGE;
        }
        if (part.content_type.data && tp_str_starts(part.content_type, TP_STR("application/json"))) {
            value = has_too_many_values(part.value) ? NULL : load_json(part.value, JSON_DECODE_ANY);
            if (!value) {
                *message = bad_json;
                return TP_ERR_INVALID;
            }
        } else {
            value = text_value(part.value);
        }
        err = add(root, part.name, value, message);
    }
    return err;
}

enum tp_err tp_admin_body_parse(struct tp_arena *arena, enum tp_admin_body_type type, struct tp_str content_type,
                                struct tp_str body, json_t **out, const char **message)
{
    json_t *root;
    enum tp_err err = TP_OK;

    if (type == TP_ADMIN_BODY_JSON)
        return parse_json(body, out, message);
    root = json_object();
    if (type == TP_ADMIN_BODY_FORM)
        err = parse_form(arena, body, root, message);
    else if (type == TP_ADMIN_BODY_MULTIPART)
        err = parse_multipart(content_type, body, root, message);
    if (err) {
        json_decref(root);
        return err;
    }
    tp_admin_args_finish(root);
    *out = root;
    return TP_OK;
}
