/*
 * Dotted and bracketed names: args.h.
 *
 * While the tree grows, an entry under a bracketed number has the key "\x01" and the number, so that the
 * order of arrival does not matter and finish can tell a list from a map.
 */
#include "control/admin/args.h"

#include "base/utf8.h"

#include <stdio.h>

#define INDEX_MARK '\x01'

enum step_kind { STEP_NAME, STEP_APPEND };

struct step {
    enum step_kind kind;
    struct tp_str name; /* STEP_NAME; may start with INDEX_MARK */
    char index[24];     /* storage of a marked number */
};

struct steps {
    struct step items[TP_ADMIN_ARGS_DEPTH];
    size_t count;
};

static bool is_text(struct tp_str s)
{
    return tp_utf8_valid_prefix(s) == s.len && tp_str_chr(s, '\0') < 0;
}

static struct step *add_step(struct steps *steps, enum step_kind kind, struct tp_str name)
{
    struct step *step;

    if (steps->count == TP_ADMIN_ARGS_DEPTH)
        return NULL;
    step = &steps->items[steps->count++];
    step->kind = kind;
    step->name = name;
    return step;
}

/* What stands in brackets: nothing, a number, or a name. */
static bool add_bracket(struct steps *steps, struct tp_str inner)
{
    struct step *step = add_step(steps, inner.len ? STEP_NAME : STEP_APPEND, inner);
    int64_t number;

    if (!step)
        return false;
    if (inner.len && inner.len < 10 && tp_str_to_i64(inner, &number) && number >= 0) {
        int n = snprintf(step->index, sizeof(step->index), "%c%lld", INDEX_MARK, (long long)number);

        step->name = tp_str_make(step->index, (size_t)n);
    }
    return true;
}

/* The name up to a dot or bracket; a bracket without its end belongs to the name. */
static struct tp_str take_name(struct tp_str *rest)
{
    struct tp_str name;
    size_t n = 0;

    while (n < rest->len && rest->data[n] != '.' &&
           !(rest->data[n] == '[' && n > 0 && tp_str_chr(tp_str_from(*rest, n), ']') > 0))
        n++;
    name = tp_str_head(*rest, n);
    *rest = tp_str_from(*rest, n);
    return name;
}

static bool split(struct tp_str text, struct steps *steps)
{
    struct tp_str rest = text;

    steps->count = 0;
    if (!add_step(steps, STEP_NAME, take_name(&rest)))
        return false;
    while (rest.len) {
        ptrdiff_t end = rest.data[0] == '[' ? tp_str_chr(rest, ']') : -1;

        if (end > 0) {
            if (!add_bracket(steps, tp_str_make(rest.data + 1, (size_t)end - 1)))
                return false;
            rest = tp_str_from(rest, (size_t)end + 1);
            continue;
        }
        if (rest.data[0] == '.')
            rest = tp_str_from(rest, 1);
        if (!add_step(steps, STEP_NAME, take_name(&rest)))
            return false;
    }
    return true;
}

/* A new tree that holds `value` behind the steps. */
static json_t *build(const struct step *steps, size_t count, json_t *value)
{
    json_t *node;

    if (!count)
        return value;
    if (steps->kind == STEP_APPEND) {
        node = json_array();
        json_array_append_new(node, build(steps + 1, count - 1, value));
        return node;
    }
    node = json_object();
    json_object_setn_new_nocheck(node, steps->name.data, steps->name.len, build(steps + 1, count - 1, value));
    return node;
}

static json_t *append(json_t *node, json_t *value)
{
    json_t *list = json_is_array(node) ? node : json_array();

    if (list != node)
        json_array_append_new(list, node);
    json_array_append_new(list, value);
    return list;
}

/* `node` (taken, may be NULL) with `value` added behind the steps. Where shapes clash the later one wins. */
static json_t *merge(json_t *node, const struct step *steps, size_t count, json_t *value)
{
    json_t *child;

    if (!node)
        return build(steps, count, value);
    if (json_is_object(node) ? !count || steps->kind == STEP_APPEND : count && steps->kind == STEP_NAME) {
        json_decref(node);
        return build(steps, count, value);
    }
    if (!count)
        return append(node, value);
    if (steps->kind == STEP_APPEND)
        return append(node, build(steps + 1, count - 1, value));
    child = json_object_getn(node, steps->name.data, steps->name.len);
    child = merge(json_incref(child), steps + 1, count - 1, value);
    json_object_setn_new_nocheck(node, steps->name.data, steps->name.len, child);
    return node;
}

enum tp_err tp_admin_args_add(json_t *root, struct tp_str name, json_t *value)
{
    struct steps steps;

    if (name.len > TP_ADMIN_ARGS_NAME_MAX || !is_text(name) || !split(name, &steps)) {
        json_decref(value);
        return TP_ERR_INVALID;
    }
    merge(root, steps.items, steps.count, value);
    return TP_OK;
}

static void finish_object(json_t *object);
static json_t *finished(json_t *node);

/* Entries 1 … n of a map of marked numbers as an array; NULL when they are anything else. */
static json_t *as_array(const json_t *object)
{
    size_t count = json_object_size(object);
    json_t *array = json_array();

    for (size_t i = 1; i <= count; i++) {
        char key[24];
        json_t *item;

        snprintf(key, sizeof(key), "%c%zu", INDEX_MARK, i);
        item = json_object_get(object, key);
        if (!item) {
            json_decref(array);
            return NULL;
        }
        json_array_append_new(array, finished(json_incref(item)));
    }
    return array;
}

/* `node` (taken) in its final shape. */
static json_t *finished(json_t *node)
{
    json_t *array, *item;
    size_t i;

    if (json_is_array(node)) {
        json_array_foreach(node, i, item)
            json_array_set_new(node, i, finished(json_incref(item)));
        return node;
    }
    if (!json_is_object(node) || !json_object_size(node))
        return node;
    array = as_array(node);
    if (array) {
        json_decref(node);
        return array;
    }
    finish_object(node);
    return node;
}

static void finish_object(json_t *object)
{
    json_t *plain = json_object(), *value;
    const char *key;

    json_object_foreach(object, key, value)
        json_object_set_new_nocheck(plain, key + (key[0] == INDEX_MARK), finished(json_incref(value)));
    json_object_clear(object);
    json_object_update(object, plain);
    json_decref(plain);
}

void tp_admin_args_finish(json_t *root)
{
    finish_object(root);
}
