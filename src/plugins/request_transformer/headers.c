/*
 * The verbs over headers. Host is left alone by all of them but `replace`. A value cannot break out of its line: the
 * gateway writes control characters as %XX.
 */
#include "transform.h"

static bool is_host(struct tp_str name)
{
    return tp_str_eq_nocase(name, TP_STR("host"));
}

static bool has(const struct tp_request *req, struct tp_str name)
{
    return tp_request_header_count(req, name) > 0;
}

/* As the gateway compares names: without case, '_' as '-'. */
static bool is_named(struct tp_str a, struct tp_str b)
{
    for (size_t i = 0; i < a.len && a.len == b.len; i++) {
        char x = a.data[i] == '_' ? '-' : a.data[i], y = b.data[i] == '_' ? '-' : b.data[i];

        if (!tp_str_eq_nocase(tp_str_make(&x, 1), tp_str_make(&y, 1)))
            return false;
    }
    return a.len == b.len;
}

/* An empty value is sent as a space, as Kong does. */
static struct tp_str or_space(struct tp_str value)
{
    return value.len ? value : TP_STR(" ");
}

/* Move the values of `old` to `name`, which they overwrite. */
static void rename_header(struct run *run, struct tp_str old, struct tp_str name)
{
    struct tp_arena *arena = tp_request_arena(run->req);
    size_t count = tp_request_header_count(run->req, old), i = 0, n = 0;
    struct tp_str *values;
    struct tp_header header;

    if (count == 0 || is_host(old) || is_host(name) || tp_str_eq(old, name))
        return;
    values = tp_arena_new_array(arena, struct tp_str, count);
    while (n < count && tp_request_header_next(run->req, &i, &header))
        if (is_named(header.name, old))
            values[n++] = header.value;
    tp_request_clear_header(run->req, old);
    tp_request_clear_header(run->req, name);
    for (i = 0; i < n; i++)
        tp_request_add_header(run->req, name, values[i]);
}

static void edit_one(struct run *run, char verb, struct tp_str name, struct tp_str value)
{
    if (verb == 'r' && (is_host(name) || has(run->req, name)))
        tp_request_set_header(run->req, name, or_space(value));
    else if (is_host(name))
        return;
    else if (verb == 'p' || (verb == 'a' && !has(run->req, name)))
        tp_request_add_header(run->req, name, or_space(value));
}

/* What each rule gives for this request; data NULL: nothing behind its colon, so it does nothing. */
static enum tp_err render(struct run *run, const struct rules *rules, struct tp_str **out)
{
    struct tp_str *values = tp_arena_new_array(tp_request_arena(run->req), struct tp_str, rules->count + 1);

    for (size_t i = 0; i < rules->count; i++) {
        enum tp_err err;

        values[i] = TP_STR_NULL;
        if (rules->items[i].value.len == 0)
            continue;
        err = tp_transform_value(run, &rules->items[i], &values[i]);
        if (err)
            return err;
        if (!values[i].data)
            values[i] = TP_STR("");
    }
    *out = values;
    return TP_OK;
}

static void edit(struct run *run, char verb, const struct rules *rules, const struct tp_str *values)
{
    for (size_t i = 0; i < rules->count; i++)
        if (values[i].data)
            edit_one(run, verb, rules->items[i].name, values[i]);
}

enum tp_err tp_transform_headers(struct run *run)
{
    const struct edits *edits = &run->conf->headers;
    struct tp_str *replaced, *added, *appended;
    enum tp_err err;

    /* All values before the first edit: templates see the headers as they came, removed and renamed ones too. */
    err = render(run, &edits->replace, &replaced);
    if (!err)
        err = render(run, &edits->add, &added);
    if (!err)
        err = render(run, &edits->append, &appended);
    if (err)
        return err;
    for (size_t i = 0; i < edits->remove.count; i++)
        if (!is_host(edits->remove.items[i].name))
            tp_request_clear_header(run->req, edits->remove.items[i].name);
    for (size_t i = 0; i < edits->rename.count; i++)
        rename_header(run, edits->rename.items[i].name, edits->rename.items[i].value);
    edit(run, 'r', &edits->replace, replaced);
    edit(run, 'a', &edits->add, added);
    edit(run, 'p', &edits->append, appended);
    return TP_OK;
}
