/*
 * The verbs over named arguments: query and form.
 */
#include "transform.h"

enum tp_err tp_transform_value(struct run *run, const struct rule *rule, struct tp_str *out)
{
    if (rule->broken) {
        tp_request_log(run->req, TP_LOG_ERROR, "request-transformer: \"%.*s\" is no template", TP_STR_ARG(rule->value));
        return TP_ERR_INVALID;
    }
    *out = rule->value;
    return rule->tpl ? tp_template_render_in(rule->tpl, run->scope, out) : TP_OK;
}

void tp_args_start(struct tp_arena *arena, struct arg_list *list, const struct tp_arg *args, size_t count)
{
    list->capacity = count + 16;
    list->items = tp_arena_new_array(arena, struct tp_arg, list->capacity);
    list->count = count;
    if (count)
        memcpy(list->items, args, count * sizeof(*args));
}

static void push(struct tp_arena *arena, struct arg_list *list, struct tp_str name, struct tp_str value)
{
    if (list->count == list->capacity)
        tp_args_start(arena, list, list->items, list->count);
    list->items[list->count++] = (struct tp_arg){ name, value, true };
}

static bool has(const struct arg_list *list, struct tp_str name)
{
    for (size_t i = 0; i < list->count; i++)
        if (tp_str_eq(list->items[i].name, name))
            return true;
    return false;
}

static void remove_all(struct arg_list *list, struct tp_str name)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++)
        if (!tp_str_eq(list->items[i].name, name))
            list->items[kept++] = list->items[i];
    list->count = kept;
}

static void rename_all(struct arg_list *list, struct tp_str old, struct tp_str name)
{
    if (!has(list, old) || tp_str_eq(old, name))
        return;
    remove_all(list, name);
    for (size_t i = 0; i < list->count; i++)
        if (tp_str_eq(list->items[i].name, old))
            list->items[i].name = name;
}

static void edit_one(struct tp_arena *arena, struct arg_list *list, char verb, struct tp_str name, struct tp_str value)
{
    switch (verb) {
    case 'n': rename_all(list, name, value); break;
    case 'r':
        if (has(list, name)) {
            remove_all(list, name);
            push(arena, list, name, value);
        }
        break;
    case 'a':
        if (!has(list, name))
            push(arena, list, name, value);
        break;
    default: push(arena, list, name, value);
    }
}

static enum tp_err edit(struct run *run, struct arg_list *list, char verb, const struct rules *rules)
{
    for (size_t i = 0; i < rules->count; i++) {
        struct tp_str value;
        enum tp_err err = tp_transform_value(run, &rules->items[i], &value);

        if (err)
            return err;
        edit_one(tp_request_arena(run->req), list, verb, rules->items[i].name, value);
    }
    return TP_OK;
}

enum tp_err tp_args_edit(struct run *run, const struct edits *edits, bool adds_only, struct arg_list *list)
{
    enum tp_err err = TP_OK;

    if (!adds_only) {
        for (size_t i = 0; i < edits->remove.count; i++)
            remove_all(list, edits->remove.items[i].name);
        err = edit(run, list, 'n', &edits->rename);
        if (!err)
            err = edit(run, list, 'r', &edits->replace);
    }
    if (!err)
        err = edit(run, list, 'a', &edits->add);
    if (!err)
        err = edit(run, list, 'p', &edits->append);
    tp_args_sort(tp_request_arena(run->req), list->items, list->count);
    return err;
}

enum tp_err tp_transform_query(struct run *run)
{
    const struct tp_arg *args;
    struct arg_list list;
    enum tp_err err;
    size_t count;

    if (!run->conf->query.any)
        return TP_OK;
    count = tp_request_query_args(run->req, &args);
    tp_args_start(tp_request_arena(run->req), &list, args, count);
    err = tp_args_edit(run, &run->conf->query, false, &list);
    if (!err)
        tp_request_set_query_args(run->req, list.items, list.count);
    return err;
}
