/*
 * Checks between fields (struct tp_check). They see the merged entity and the errors found so far: a check
 * whose fields are invalid is not run, except those that only ask whether something is there.
 */
#include "base/buf.h"
#include "model/json.h"
#include "model/validate.h"

#include <stdarg.h>
#include <stdio.h>

/* --- Reading ---------------------------------------------------------------------------------- */

bool tp_check_get_number(struct tp_check_context *ctx, const char *path, double *out)
{
    const json_t *value = tp_json_at(ctx->value, path);

    if (!json_is_number(value))
        return false;
    *out = json_number_value(value);
    return true;
}

bool tp_check_get_text(struct tp_check_context *ctx, const char *path, struct tp_str *out)
{
    struct tp_str text = tp_json_str(tp_json_at(ctx->value, path));

    if (!text.data)
        return false;
    *out = text;
    return true;
}

bool tp_check_get_bool(struct tp_check_context *ctx, const char *path, bool *out)
{
    const json_t *value = tp_json_at(ctx->value, path);

    if (!json_is_boolean(value))
        return false;
    *out = json_is_true(value);
    return true;
}

size_t tp_check_get_count(struct tp_check_context *ctx, const char *path)
{
    const json_t *value = tp_json_at(ctx->value, path);

    return json_is_array(value) ? json_array_size(value) : json_object_size(value);
}

bool tp_check_get_item(struct tp_check_context *ctx, const char *path, size_t i, struct tp_str *out)
{
    struct tp_str text = tp_json_str(json_array_get(tp_json_at(ctx->value, path), i));

    if (!text.data)
        return false;
    *out = text;
    return true;
}

/* --- Errors ----------------------------------------------------------------------------------- */

void tp_check_add_entity_error(json_t *errors, json_t *text)
{
    json_t *list = json_object_get(errors, "@entity");

    if (!list) {
        list = json_array();
        json_object_set_new(errors, "@entity", list);
    }
    json_array_append_new(list, text);
}

void tp_check_fail(struct tp_check_context *ctx, const char *path, const char *format, ...)
{
    va_list args;

    if (path && tp_json_at(ctx->errors, path))
        return;
    va_start(args, format);
    if (path)
        tp_json_put(ctx->errors, path, tp_json_vtextf(format, args));
    else
        tp_check_add_entity_error(ctx->errors, tp_json_vtextf(format, args));
    va_end(args);
}

/* Is there an error at `path`, below it, or at something that holds it? */
static bool has_error(const json_t *errors, const char *path)
{
    char prefix[128];

    if (tp_json_at(errors, path))
        return true;
    for (const char *dot = strchr(path, '.'); dot; dot = strchr(dot + 1, '.')) {
        snprintf(prefix, sizeof(prefix), "%.*s", (int)(dot - path), path);
        if (json_is_string(tp_json_at(errors, prefix)))
            return true;
    }
    return false;
}

/* --- Kinds ------------------------------------------------------------------------------------ */

static bool is_set(const struct tp_check_context *ctx, const char *path)
{
    const json_t *value = tp_json_at(ctx->value, path);

    if (json_is_string(value))
        return json_string_length(value) > 0;
    if (json_is_array(value))
        return json_array_size(value) > 0;
    if (json_is_object(value))
        return json_object_size(value) > 0;
    return !tp_json_is_null(value);
}

static void fail_names(struct tp_check_context *ctx, const char *lead, const char *const *names)
{
    struct tp_buf buf;

    tp_buf_init(&buf, 0);
    tp_buf_add_cstr(&buf, lead);
    for (size_t i = 0; names[i]; i++)
        tp_buf_addf(&buf, "%s'%s'", i ? ", " : "", names[i]);
    tp_check_fail(ctx, NULL, "%.*s", TP_STR_ARG(tp_buf_str(&buf)));
    tp_buf_fini(&buf);
}

static void run_counting(struct tp_check_context *ctx, const struct tp_check *check)
{
    size_t set = 0, all = 0;

    for (; check->fields[all]; all++)
        set += is_set(ctx, check->fields[all]);
    if (check->kind == TP_CHECK_AT_LEAST_ONE_OF && set == 0)
        fail_names(ctx,
                   ctx->is_update ? "when updating, at least one of these fields must be non-empty: "
                                  : "at least one of these fields must be non-empty: ",
                   check->fields);
    if (check->kind == TP_CHECK_ONLY_ONE_OF && set != 1)
        fail_names(ctx, "exactly one of these fields must be non-empty: ", check->fields);
    if (check->kind == TP_CHECK_MUTUALLY_EXCLUSIVE && set > 1)
        fail_names(ctx, "only one or none of these fields must be set: ", check->fields);
    if (check->kind == TP_CHECK_MUTUALLY_REQUIRED && set != 0 && set != all)
        fail_names(ctx, "all or none of these fields must be set: ", check->fields);
}

/* A field that is restricted by the condition as well. */
static struct tp_field restricted(const struct tp_field *field, const struct tp_condition *condition,
                                  const char *equals[2])
{
    struct tp_field f = *field;

    if (condition->one_of)
        f.one_of = condition->one_of;
    if (condition->not_one_of)
        f.not_one_of = condition->not_one_of;
    if (condition->equals) {
        equals[0] = condition->equals;
        equals[1] = NULL;
        f.one_of = equals;
    }
    f.must_be_null = condition->is_null;
    f.required = f.required || condition->required;
    return f;
}

static json_t *violation(struct tp_check_context *ctx, const char *path, const struct tp_condition *condition)
{
    const struct tp_field *field = tp_field_find_path(ctx->fields, path);
    const char *equals[2];
    struct tp_field f;

    TP_ASSERT(field);
    f = restricted(field, condition, equals);
    return tp_validate_value(&f, tp_json_at(ctx->value, path));
}

static bool condition_holds(struct tp_check_context *ctx, const struct tp_check *check)
{
    json_t *err;

    /* Null satisfies no condition on a value. */
    if (!check->if_match.is_null && tp_json_is_null(tp_json_at(ctx->value, check->if_field)))
        return false;
    err = violation(ctx, check->if_field, &check->if_match);
    json_decref(err);
    return !err;
}

static void run_conditional(struct tp_check_context *ctx, const struct tp_check *check)
{
    json_t *err;

    /* Kong looks for errors of top-level fields only: nested ones are judged again here. */
    if (json_object_get(ctx->errors, check->if_field) || json_object_get(ctx->errors, check->then_field))
        return;
    if (!condition_holds(ctx, check))
        return;
    err = violation(ctx, check->then_field, &check->then_match);
    if (!err)
        return;
    tp_check_fail(ctx, NULL, "failed conditional validation given value of field '%s'", check->if_field);
    tp_json_put(ctx->errors, check->then_field, err);
}

static void run_custom(struct tp_check_context *ctx, const struct tp_check *check)
{
    if (!check->fn)
        return; /* only shown */
    for (size_t i = 0; check->fields && check->fields[i]; i++) {
        if (has_error(ctx->errors, check->fields[i]))
            return;
    }
    check->fn(ctx);
}

static bool any_field_invalid(const struct tp_check_context *ctx, const struct tp_check *check)
{
    for (size_t i = 0; check->fields[i]; i++) {
        if (json_object_get(ctx->errors, check->fields[i]))
            return true;
    }
    return false;
}

void tp_checks_run(struct tp_check_context *ctx, const struct tp_check *checks)
{
    for (; checks && checks->kind != TP_CHECK_END; checks++) {
        switch (checks->kind) {
        case TP_CHECK_CONDITIONAL: run_conditional(ctx, checks); break;
        case TP_CHECK_CUSTOM: run_custom(ctx, checks); break;
        case TP_CHECK_MUTUALLY_EXCLUSIVE:
        case TP_CHECK_MUTUALLY_REQUIRED:
            if (any_field_invalid(ctx, checks))
                break;
            run_counting(ctx, checks);
            break;
        default: run_counting(ctx, checks); break;
        }
    }
}
