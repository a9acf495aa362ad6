/* Field by field validation; see validate.h. The order of the tests and every text are Kong's. */
#include "model/validate.h"

#include "base/buf.h"
#include "base/mem.h"
#include "model/json.h"
#include "model/lua_pattern.h"
#include "turnpike/uuid.h"

#include <math.h>
#include <stdio.h>

#define MAX_LIST_ERRORS 1000      /* reported for one list */
#define MAX_UNKNOWN_FIELDS 100    /* reported for one record */
#define MAX_POSITION_ERRORS 32768 /* a first bad element further on is reported under its number, without padding */
#define MAX_EXACT_INT 9007199254740992.0 /* 2^53: Lua's numbers are doubles */

const char *const tp_protocols_all[] = {
    "grpc", "grpcs", "http", "https", "tcp", "tls", "tls_passthrough", "udp", NULL
};

const struct tp_field *tp_field_find(const struct tp_field *fields, const char *name)
{
    for (; fields && fields->name; fields++) {
        if (strcmp(fields->name, name) == 0)
            return fields;
    }
    return NULL;
}

const struct tp_field *tp_field_find_path(const struct tp_field *fields, const char *path)
{
    for (; fields && fields->name; fields++) {
        size_t len = strlen(fields->name);

        if (strncmp(fields->name, path, len) != 0)
            continue;
        if (path[len] == '\0')
            return fields;
        if (path[len] == '.' && fields->type == TP_TYPE_RECORD)
            return tp_field_find_path(fields->fields, path + len + 1);
    }
    return NULL;
}

bool tp_json_to_int(const json_t *value, int64_t *out)
{
    double d;

    if (json_is_integer(value)) {
        *out = json_integer_value(value);
        return true;
    }
    if (!json_is_real(value))
        return false;
    d = json_real_value(value);
    if (!(fabs(d) <= MAX_EXACT_INT) || floor(d) != d)
        return false;
    *out = (int64_t)d;
    return true;
}

bool tp_json_to_size(const json_t *value, int64_t *out)
{
    struct tp_str text = tp_json_str(value);
    int64_t number;
    int shift = 0;

    if (!text.data)
        return tp_json_to_int(value, out);
    if (text.len == 0)
        return false;
    switch (text.data[text.len - 1]) {
    case 'k':
    case 'K': shift = 10; break;
    case 'm':
    case 'M': shift = 20; break;
    case 'g':
    case 'G': shift = 30; break;
    default: break;
    }
    if (!tp_str_to_i64(tp_str_head(text, text.len - (shift ? 1 : 0)), &number))
        return false;
    if (number < 0 || number > INT64_MAX >> shift)
        return false;
    *out = number << shift;
    return true;
}

/* --- Types ------------------------------------------------------------------------------------ */

static const char *wrong_type(const struct tp_field *field, const json_t *value)
{
    int64_t ignored;

    switch (field->type) {
    case TP_TYPE_STRING: return json_is_string(value) ? NULL : "expected a string";
    case TP_TYPE_INTEGER: return tp_json_to_int(value, &ignored) ? NULL : "expected an integer";
    case TP_TYPE_SIZE:
        return tp_json_to_size(value, &ignored) ? NULL : "expected a number of bytes, such as 512 or 10M";
    case TP_TYPE_NUMBER: return json_is_number(value) ? NULL : "expected a number";
    case TP_TYPE_BOOLEAN: return json_is_boolean(value) ? NULL : "expected a boolean";
    case TP_TYPE_ARRAY: return json_is_array(value) ? NULL : "expected an array";
    case TP_TYPE_SET: return json_is_array(value) ? NULL : "expected a set";
    case TP_TYPE_MAP: return json_is_object(value) ? NULL : "expected a map";
    case TP_TYPE_RECORD: return json_is_object(value) ? NULL : "expected a record";
    default: return NULL;
    }
}

/* --- Numbers ---------------------------------------------------------------------------------- */

static json_t *check_number(const struct tp_field *field, double number)
{
    if (field->gt.set && !(number > field->gt.min))
        return tp_json_textf("value must be greater than %.14g", field->gt.min);
    if (field->timestamp && !(number > 0))
        return json_string("expected a valid timestamp");
    if (field->between.set && !(number >= field->between.min && number <= field->between.max))
        return tp_json_textf("value should be between %.14g and %.14g", field->between.min, field->between.max);
    return NULL;
}

/* --- One of a list ---------------------------------------------------------------------------- */

/* A scalar as the tables write it. */
static bool scalar_is(const json_t *value, const char *want)
{
    double number;

    if (json_is_string(value))
        return tp_str_eq(tp_json_str(value), tp_str_from_cstr(want));
    if (json_is_number(value))
        return tp_str_to_double(tp_str_from_cstr(want), &number) && number == json_number_value(value);
    return json_is_boolean(value) && strcmp(want, json_is_true(value) ? "true" : "false") == 0;
}

static bool is_listed(const json_t *value, const char *const *list)
{
    for (; *list; list++) {
        if (scalar_is(value, *list))
            return true;
    }
    return false;
}

static json_t *list_error(const char *lead, const char *const *list)
{
    struct tp_buf buf;
    json_t *text;

    tp_buf_init(&buf, 0);
    tp_buf_add_cstr(&buf, lead);
    for (size_t i = 0; list[i]; i++)
        tp_buf_addf(&buf, "%s%s", i ? ", " : "", list[i]);
    text = tp_json_text(tp_buf_str(&buf));
    tp_buf_fini(&buf);
    return text;
}

static json_t *check_listed(const struct tp_field *field, const json_t *value)
{
    if (field->not_one_of && is_listed(value, field->not_one_of))
        return list_error("must not be one of: ", field->not_one_of);
    if (field->one_of && !is_listed(value, field->one_of))
        return list_error("expected one of: ", field->one_of);
    return NULL;
}

/* --- Lengths ---------------------------------------------------------------------------------- */

static json_t *check_length(const struct tp_field *field, size_t length)
{
    const struct tp_range *range = &field->length;

    if (!range->set)
        return NULL;
    if (range->min == range->max && (double)length != range->min)
        return tp_json_textf("length must be %.14g", range->min);
    if ((double)length < range->min)
        return tp_json_textf("length must be at least %.14g", range->min);
    if ((double)length > range->max)
        return tp_json_textf("length must be at most %.14g", range->max);
    return NULL;
}

/* --- Text ------------------------------------------------------------------------------------- */

static json_t *invalid_value(struct tp_str text, const char *err)
{
    return err ? json_string(err) : tp_json_textf("invalid value: %.*s", TP_STR_ARG(text));
}

static json_t *check_patterns(const struct tp_field *field, struct tp_str text)
{
    const struct tp_pattern *p;

    for (p = field->match_none; p && p->pattern; p++) {
        if (tp_lua_pattern_find(p->pattern, text))
            return invalid_value(text, p->err);
    }
    if (field->match && !tp_lua_pattern_find(field->match, text))
        return invalid_value(text, NULL);
    for (p = field->match_all; p && p->pattern; p++) {
        if (!tp_lua_pattern_find(p->pattern, text))
            return invalid_value(text, p->err);
    }
    if (!field->match_any)
        return NULL;
    for (p = field->match_any; p->pattern; p++) {
        if (tp_lua_pattern_find(p->pattern, text))
            return NULL;
    }
    return invalid_value(text, field->match_any_err);
}

/* The field's own function, with room for a message that quotes the text three times over. */
static json_t *run_check(const struct tp_field *field, struct tp_str text)
{
    size_t size = 512 + 3 * text.len;
    char *message = tp_malloc(size);
    json_t *err = NULL;

    message[0] = '\0';
    if (!field->check(text, message, size))
        err = tp_json_text(tp_str_from_cstr(message));
    free(message);
    return err;
}

static json_t *check_text(const struct tp_field *field, const json_t *value)
{
    struct tp_str text = tp_json_str(value);
    struct tp_uuid uuid;
    json_t *err;

    if (text.len == 0 && !field->nullable_text)
        return json_string("length must be at least 1");
    if (memchr(text.data, '\0', text.len))
        return json_string("must not contain NUL characters");
    err = check_listed(field, value);
    if (err)
        return err;
    if (field->uuid && !tp_uuid_parse(text, &uuid))
        return json_string("expected a valid UUID");
    err = check_length(field, text.len);
    if (err)
        return err;
    if (field->starts_with && !tp_str_starts(text, tp_str_from_cstr(field->starts_with)))
        return tp_json_textf("should start with: %s", field->starts_with);
    err = check_patterns(field, text);
    if (err)
        return err;
    return field->check && text.len ? run_check(field, text) : NULL;
}

/* --- Lists, maps, records --------------------------------------------------------------------- */

/* errors[i] = err, null before it. */
static void set_at(json_t *errors, size_t i, json_t *err)
{
    while (json_array_size(errors) < i)
        json_array_append_new(errors, json_null());
    json_array_append_new(errors, err);
}

static json_t *check_elements(const struct tp_field *field, const json_t *list)
{
    struct tp_field element = *field->element;
    json_t *errors = NULL, *value;
    size_t found = 0, i;

    element.required = true;
    json_array_foreach((json_t *)list, i, value) {
        json_t *err = tp_validate_value(&element, value);
        char position[32];

        if (!err)
            continue;
        if (!errors)
            errors = i < MAX_POSITION_ERRORS ? json_array() : json_object();
        if (json_is_array(errors) && i < 2 * MAX_POSITION_ERRORS) {
            set_at(errors, i, err);
        } else if (json_is_object(errors)) {
            snprintf(position, sizeof(position), "%zu", i + 1);
            json_object_set_new(errors, position, err);
        } else {
            json_decref(err);
        }
        if (++found == MAX_LIST_ERRORS)
            break;
    }
    return errors;
}

static bool list_has_any(const json_t *list, const char *const *members)
{
    const json_t *value;
    size_t i;

    json_array_foreach((json_t *)list, i, value) {
        if (is_listed(value, members))
            return true;
    }
    return false;
}

static json_t *check_exclusive(const struct tp_field *field, const json_t *list)
{
    struct tp_buf buf;
    json_t *err = NULL;
    size_t hits = 0;

    if (!field->exclusive_sets)
        return NULL;
    tp_buf_init(&buf, 0);
    tp_buf_add_cstr(&buf, "these sets are mutually exclusive: ");
    for (size_t i = 0; field->exclusive_sets[i]; i++) {
        const char *const *members = field->exclusive_sets[i];

        if (!list_has_any(list, members))
            continue;
        tp_buf_addf(&buf, "%s(", hits++ ? ", " : "");
        for (size_t k = 0; members[k]; k++)
            tp_buf_addf(&buf, "%s'%s'", k ? ", " : "", members[k]);
        tp_buf_add_char(&buf, ')');
    }
    if (hits > 1)
        err = tp_json_text(tp_buf_str(&buf));
    tp_buf_fini(&buf);
    return err;
}

static json_t *check_list(const struct tp_field *field, const json_t *list)
{
    json_t *err = check_elements(field, list);

    if (!err)
        err = check_length(field, json_array_size(list));
    if (!err)
        err = check_exclusive(field, list);
    return err;
}

/* A map has no place for errors of single entries: the first one counts for all of it. */
static json_t *check_map(const struct tp_field *field, const json_t *map)
{
    const char *name;
    json_t *value, *err = NULL;

    json_object_foreach((json_t *)map, name, value) {
        json_t *key = tp_json_text(tp_str_from_cstr(name));

        if (field->key)
            err = tp_validate_value(field->key, key);
        json_decref(key);
        if (!err && field->element)
            err = tp_validate_value(field->element, value);
        if (err)
            return err;
    }
    return check_length(field, json_object_size(map));
}

static json_t *check_record(const struct tp_field *field, const json_t *record)
{
    struct tp_check_context ctx = { .fields = field->fields, .value = record };

    if (!field->fields)
        return NULL; /* abstract: nobody knows what belongs in it */
    ctx.errors = tp_validate_fields(field->fields, record);
    tp_checks_run(&ctx, field->checks);
    if (json_object_size(ctx.errors) > 0)
        return ctx.errors;
    json_decref(ctx.errors);
    return NULL;
}

/* Anything without an id is told that the id is missing, whatever else it is. */
static json_t *check_foreign(const json_t *value)
{
    const json_t *id = json_object_get(value, "id");
    const char *text = NULL;
    struct tp_uuid uuid;

    if (tp_json_is_null(id))
        text = "missing primary key";
    else if (!json_is_string(id))
        text = "expected a string";
    else if (!tp_uuid_parse(tp_json_str(id), &uuid))
        text = "expected a valid UUID";
    return text ? json_pack("{s:s}", "id", text) : NULL;
}

/* --- One value -------------------------------------------------------------------------------- */

static bool is_reference(const struct tp_field *field, const json_t *value)
{
    struct tp_str text = tp_json_str(value);

    return field->referenceable && text.data && tp_str_starts(text, TP_STR("{vault://")) &&
           tp_str_ends(text, TP_STR("}"));
}

static json_t *check_scalar(const struct tp_field *field, const json_t *value)
{
    json_t *err = check_listed(field, value);

    if (!err && json_is_number(value))
        err = check_number(field, json_number_value(value));
    return err;
}

static json_t *check_size(const struct tp_field *field, const json_t *value)
{
    int64_t bytes = 0;

    tp_json_to_size(value, &bytes);
    return check_number(field, (double)bytes);
}

json_t *tp_validate_value(const struct tp_field *field, const json_t *value)
{
    const char *wrong;

    if (tp_json_is_null(value))
        return field->required ? json_string("required field missing") : NULL;
    if (field->must_be_null)
        return json_string("value must be null");
    if (is_reference(field, value))
        return NULL;
    wrong = wrong_type(field, value);
    if (wrong)
        return json_string(wrong);
    switch (field->type) {
    case TP_TYPE_STRING: return check_text(field, value);
    case TP_TYPE_SIZE: return check_size(field, value);
    case TP_TYPE_ARRAY:
    case TP_TYPE_SET: return check_list(field, value);
    case TP_TYPE_MAP: return check_map(field, value);
    case TP_TYPE_RECORD: return check_record(field, value);
    case TP_TYPE_FOREIGN: return check_foreign(value);
    case TP_TYPE_ANY: return NULL;
    default: return check_scalar(field, value);
    }
}

/* --- All fields of an object ------------------------------------------------------------------ */

static void report_unknown(const struct tp_field *fields, const json_t *object, json_t *errors)
{
    const char *name;
    json_t *value;
    size_t found = 0;

    json_object_foreach((json_t *)object, name, value) {
        if (tp_field_find(fields, name))
            continue;
        json_object_set_new(errors, name, json_string("unknown field"));
        if (++found == MAX_UNKNOWN_FIELDS)
            return;
    }
}

json_t *tp_validate_fields(const struct tp_field *fields, const json_t *object)
{
    json_t *errors = json_object();

    for (const struct tp_field *f = fields; f->name; f++) {
        json_t *err;

        if (f->write_only || f->alias_of)
            continue; /* translated before */
        err = tp_validate_value(f, json_object_get(object, f->name));
        if (err)
            json_object_set_new(errors, f->name, err);
    }
    report_unknown(fields, object, errors);
    return errors;
}
