/*
 * The verbs over bodies: form, JSON object, multipart. A body that is not what its Content-Type says, or too long to
 * be read, goes on as it is.
 */
#include "transform.h"

static bool contains_nocase(struct tp_str s, struct tp_str what)
{
    for (size_t i = 0; i + what.len <= s.len; i++)
        if (tp_str_eq_nocase(tp_str_make(s.data + i, what.len), what))
            return true;
    return false;
}

/* Anywhere in the header's value, as Kong looks. */
static enum tp_body_kind kind_of(struct tp_str type)
{
    if (contains_nocase(type, TP_STR("application/json")))
        return TP_BODY_JSON;
    if (contains_nocase(type, TP_STR("multipart/form-data")))
        return TP_BODY_MULTIPART;
    if (contains_nocase(type, TP_STR("application/x-www-form-urlencoded")))
        return TP_BODY_FORM;
    return TP_BODY_OTHER;
}

static enum tp_err transform_form(struct run *run, struct tp_str body)
{
    struct tp_arena *arena = tp_request_arena(run->req);
    const struct tp_arg *args;
    struct arg_list list;
    size_t count = tp_form_parse(arena, body, &args);
    enum tp_err err;

    tp_args_start(arena, &list, args, count);
    err = tp_args_edit(run, &run->conf->body, body.len == 0, &list);
    if (!err)
        tp_request_set_body(run->req, tp_form_write(arena, list.items, list.count));
    return err;
}

/* --- JSON ------------------------------------------------------------------------------------- */

static const char *key_of(struct run *run, struct tp_str name)
{
    return tp_arena_dup(tp_request_arena(run->req), name).data;
}

/* A member that is false counts as absent, one that is null as present: as in Kong. */
static bool is_present(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return value && !json_is_false(value);
}

static json_t *text_value(struct tp_str value)
{
    return json_stringn(value.data, value.len);
}

static void append_value(json_t *object, const char *key, json_t *value)
{
    json_t *old = json_object_get(object, key);
    json_t *list;

    if (json_is_array(old)) {
        json_array_append_new(old, value);
        return;
    }
    list = json_array();
    if (old)
        json_array_append(list, old);
    json_array_append_new(list, value);
    json_object_set_new(object, key, list);
}

/* False: the value, or the new name, is no UTF-8, which JSON cannot hold. */
static bool edit_member(struct run *run, json_t *object, char verb, const char *key, struct tp_str value)
{
    json_t *text;

    if (verb == 'n') {
        const char *to = key_of(run, value);

        if (is_present(object, key) && strcmp(key, to) != 0) {
            if (json_object_set(object, to, json_object_get(object, key)))
                return false;
            json_object_del(object, key);
        }
        return true;
    }
    if ((verb == 'r') != is_present(object, key) && verb != 'p')
        return true;
    text = text_value(value);
    if (!text)
        return false;
    if (verb == 'p')
        append_value(object, key, text);
    else
        json_object_set_new(object, key, text);
    return true;
}

static enum tp_err edit_object(struct run *run, json_t *object, char verb, const struct rules *rules)
{
    for (size_t i = 0; i < rules->count; i++) {
        struct tp_str value;
        enum tp_err err = tp_transform_value(run, &rules->items[i], &value);

        if (err)
            return err;
        if (!edit_member(run, object, verb, key_of(run, rules->items[i].name), value)) {
            tp_request_log(run->req, TP_LOG_WARN, "request-transformer: a text for the body is not UTF-8: left out");
            continue;
        }
    }
    return TP_OK;
}

static enum tp_err transform_json(struct run *run, struct tp_str body)
{
    struct tp_arena *arena = tp_request_arena(run->req);
    const struct edits *edits = &run->conf->body;
    json_t *object = tp_json_parse(arena, body.len ? body : TP_STR("{}"));
    enum tp_err err = TP_OK;

    if (!json_is_object(object))
        return TP_OK;
    if (body.len > 0) {
        for (size_t i = 0; i < edits->remove.count; i++)
            json_object_del(object, key_of(run, edits->remove.items[i].name));
        err = edit_object(run, object, 'n', &edits->rename);
        if (!err)
            err = edit_object(run, object, 'r', &edits->replace);
    }
    if (!err)
        err = edit_object(run, object, 'a', &edits->add);
    if (!err)
        err = edit_object(run, object, 'p', &edits->append);
    if (!err)
        tp_request_set_body(run->req, tp_json_write(arena, object));
    return err;
}

/* --- Multipart -------------------------------------------------------------------------------- */

struct part_list {
    struct tp_part *items;
    size_t count;
};

static bool is_named(const struct tp_part *part, struct tp_str name)
{
    return part->name.data && tp_str_eq(part->name, name);
}

static bool has_part(const struct part_list *list, struct tp_str name)
{
    for (size_t i = 0; i < list->count; i++)
        if (is_named(&list->items[i], name))
            return true;
    return false;
}

static void remove_parts(struct part_list *list, struct tp_str name)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++)
        if (!is_named(&list->items[i], name))
            list->items[kept++] = list->items[i];
    list->count = kept;
}

/* A name that could not stand between quotes, or would end its line, is not put into a part's headers. */
static bool is_quotable(struct tp_str name)
{
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.data[i] < ' ' || name.data[i] == '"' || name.data[i] == 0x7f)
            return false;
    return true;
}

static struct tp_part plain_part(struct run *run, struct tp_str name, struct tp_str value)
{
    return (struct tp_part){ name, tp_part_headers(tp_request_arena(run->req), name), value };
}

static void edit_part(struct run *run, struct part_list *list, char verb, struct tp_str name, struct tp_str value)
{
    bool present = has_part(list, name);

    if (verb == 'a') {
        if (!present && is_quotable(name))
            list->items[list->count++] = plain_part(run, name, value);
        return;
    }
    if (!present || (verb == 'n' && (tp_str_eq(name, value) || !is_quotable(value))))
        return;
    if (verb == 'n')
        remove_parts(list, value);
    for (size_t i = 0; i < list->count; i++) {
        if (!is_named(&list->items[i], name))
            continue;
        if (verb == 'n')
            list->items[i] = plain_part(run, value, list->items[i].value);
        else
            list->items[i].value = value;
    }
}

static enum tp_err edit_parts(struct run *run, struct part_list *list, char verb, const struct rules *rules)
{
    for (size_t i = 0; i < rules->count; i++) {
        struct tp_str value;
        enum tp_err err = tp_transform_value(run, &rules->items[i], &value);

        if (err)
            return err;
        edit_part(run, list, verb, rules->items[i].name, value);
    }
    return TP_OK;
}

/* A multipart body without any part is nothing at all. */
static struct tp_str write_parts(struct run *run, struct tp_str type, const struct part_list *list)
{
    if (list->count == 0)
        return TP_STR("");
    return tp_multipart_write(tp_request_arena(run->req), type, list->items, list->count);
}

static enum tp_err transform_multipart(struct run *run, struct tp_str type, struct tp_str body)
{
    const struct edits *edits = &run->conf->body;
    const struct tp_part *parts = NULL;
    struct part_list list = { NULL, 0 };
    enum tp_err err = TP_OK;

    if (body.len > 0 && tp_multipart_parse(tp_request_arena(run->req), type, body, &parts, &list.count))
        return TP_OK;
    list.items = tp_arena_new_array(tp_request_arena(run->req), struct tp_part, list.count + edits->add.count + 1);
    if (list.count)
        memcpy(list.items, parts, list.count * sizeof(*parts));
    if (body.len > 0) {
        err = edit_parts(run, &list, 'n', &edits->rename);
        for (size_t i = 0; !err && i < edits->remove.count; i++)
            remove_parts(&list, edits->remove.items[i].name);
        if (!err)
            err = edit_parts(run, &list, 'r', &edits->replace);
    }
    if (!err)
        err = edit_parts(run, &list, 'a', &edits->add);
    if (!err)
        tp_request_set_body(run->req, write_parts(run, type, &list));
    return err;
}

enum tp_err tp_transform_body(struct run *run)
{
    struct tp_str type, body = TP_STR("");

    if (!run->conf->body.any || !tp_request_header(run->req, TP_STR("content-type"), &type))
        return TP_OK;
    if (!tp_request_body(run->req, &body) && tp_request_content_length(run->req) != 0) {
        tp_request_log(run->req, TP_LOG_WARN, "request-transformer: the body is too long and goes on as it is");
        return TP_OK;
    }
    if (body.len == 0 && run->conf->body.add.count == 0 && run->conf->body.append.count == 0)
        return TP_OK;
    switch (kind_of(type)) {
    case TP_BODY_FORM: return transform_form(run, body);
    case TP_BODY_JSON: return transform_json(run, body);
    case TP_BODY_MULTIPART: return transform_multipart(run, type, body);
    case TP_BODY_OTHER: break;
    }
    return TP_OK;
}
