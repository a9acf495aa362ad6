/* See shape.h. */
#include "model/shape.h"

#include "base/map.h"
#include "base/mem.h"
#include "model/json.h"
#include "model/validate.h"
#include "turnpike/uuid.h"

/* --- Deprecated names ------------------------------------------------------------------------- */

/* As Lua prints it in a message. */
static char *scalar_text(const json_t *value)
{
    if (json_is_string(value))
        return tp_strndup(tp_json_str(value));
    return json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(14));
}

static json_t *mismatch(const struct tp_field *field, const json_t *old_value, const json_t *new_value)
{
    char *old_text = scalar_text(old_value), *new_text = scalar_text(new_value);
    json_t *err = tp_json_textf("both deprecated and new field are used but their values mismatch: %s = %s vs %s = %s",
                                field->name, old_text, field->alias_of, new_text);

    free(old_text);
    free(new_text);
    return err;
}

static json_t *translate_alias(const struct tp_field *field, json_t *object, const json_t *value)
{
    json_t *current = tp_json_at(object, field->alias_of), *err;

    err = tp_validate_value(field, value);
    if (err)
        return err;
    if (!tp_json_is_null(current)) {
        if (tp_json_is_null(value) || json_equal(value, current))
            return NULL;
        return mismatch(field, value, current);
    }
    /* A parent that is no object is reported under its own name later. */
    tp_json_put(object, field->alias_of, json_deep_copy(value));
    return NULL;
}

static void add_error(json_t **errors, const char *name, json_t *err)
{
    if (!err)
        return;
    if (!*errors)
        *errors = json_object();
    json_object_set_new(*errors, name, err);
}

json_t *tp_shape_translate_aliases(const struct tp_field *fields, json_t *object)
{
    json_t *errors = NULL;

    for (const struct tp_field *f = fields; f && f->name; f++) {
        json_t *value = json_object_get(object, f->name);

        if (!value)
            continue;
        if (f->alias_of) {
            json_incref(value);
            json_object_del(object, f->name);
            add_error(&errors, f->name, translate_alias(f, object, value));
            json_decref(value);
        } else if (f->type == TP_TYPE_RECORD && json_is_object(value)) {
            add_error(&errors, f->name, tp_shape_translate_aliases(f->fields, value));
        }
    }
    return errors;
}

/* --- Merging ---------------------------------------------------------------------------------- */

/* What a table knows of a stored object; leftovers of other versions and echoes of deprecated names are dropped. */
static json_t *known_part(const struct tp_field *fields, const json_t *stored)
{
    json_t *out = json_object();

    for (const struct tp_field *f = fields; f->name; f++) {
        json_t *value = json_object_get(stored, f->name);

        if (!value || f->alias_of || f->write_only)
            continue;
        if (f->type == TP_TYPE_RECORD && f->fields && json_is_object(value))
            json_object_set_new(out, f->name, known_part(f->fields, value));
        else
            json_object_set_new(out, f->name, json_deep_copy(value));
    }
    return out;
}

/* Lay `input` over `target`, in place. */
static void lay_over(const struct tp_field *fields, json_t *target, const json_t *input)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)input, name, value) {
        const struct tp_field *f = tp_field_find(fields, name);
        json_t *old = json_object_get(target, name);

        if (f && f->type == TP_TYPE_RECORD && f->fields && json_is_object(old) && json_is_object(value))
            lay_over(f->fields, old, value);
        else
            json_object_set_new(target, name, json_deep_copy(value));
    }
}

json_t *tp_shape_merge(const struct tp_field *fields, const json_t *stored, const json_t *input)
{
    json_t *out = known_part(fields, stored);

    lay_over(fields, out, input);
    return out;
}

/* --- Defaults --------------------------------------------------------------------------------- */

json_t *tp_shape_default(const struct tp_field *field)
{
    json_t *value;

    if (field->def) {
        value = json_loads(field->def, JSON_DECODE_ANY, NULL);
        if (value && (field->type != TP_TYPE_STRING || json_is_string(value) || json_is_null(value)))
            return value;
        json_decref(value); /* bare text, even if it reads like a number */
        return json_string(field->def);
    }
    if (field->type != TP_TYPE_RECORD || !field->required)
        return json_null();
    value = json_object();
    tp_shape_fill(field->fields, value);
    return value;
}

static void fill_elements(const struct tp_field *element, json_t *list)
{
    const char *name;
    json_t *value;
    size_t i;

    if (!element || element->type != TP_TYPE_RECORD)
        return;
    json_array_foreach(list, i, value) {
        if (json_is_object(value))
            tp_shape_fill(element->fields, value);
    }
    json_object_foreach(list, name, value) {
        if (json_is_object(value))
            tp_shape_fill(element->fields, value);
    }
}

void tp_shape_fill(const struct tp_field *fields, json_t *object)
{
    for (const struct tp_field *f = fields; f && f->name; f++) {
        json_t *value = json_object_get(object, f->name);

        if (f->alias_of || f->write_only)
            continue;
        if (!value)
            json_object_set_new(object, f->name, tp_shape_default(f));
        else if (f->type == TP_TYPE_RECORD && json_is_object(value))
            tp_shape_fill(f->fields, value);
        else
            fill_elements(f->element, value);
    }
}

/* --- Normal forms ----------------------------------------------------------------------------- */

static json_t *normalized(const struct tp_field *field, json_t *value);

static json_t *lower_uuid(json_t *value)
{
    char text[TP_UUID_TEXT_LEN + 1];
    struct tp_uuid uuid;

    if (!tp_uuid_parse(tp_json_str(value), &uuid))
        return json_incref(value);
    tp_uuid_format(&uuid, text);
    return json_string(text);
}

/* Integral numbers become integers, as Lua knows only one kind. */
static json_t *plain_number(json_t *value)
{
    int64_t number;

    if (json_is_real(value) && tp_json_to_int(value, &number))
        return json_integer(number);
    return json_incref(value);
}

/* Scalars only: two equal records are two members, as in Kong. First occurrences stay, in order. */
static json_t *without_duplicates(const json_t *list)
{
    struct tp_map *seen = tp_map_new();
    json_t *out = json_array(), *value;
    size_t i;

    json_array_foreach((json_t *)list, i, value) {
        char *text = json_is_object(value) || json_is_array(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);
        struct tp_str key = tp_str_from_cstr(text);

        if (!text || !tp_map_get(seen, key)) {
            json_array_append(out, value);
            if (text)
                tp_map_set(seen, key, out); /* any address serves */
        }
        free(text);
    }
    tp_map_free(seen, NULL);
    return out;
}

static json_t *normal_list(const struct tp_field *field, json_t *value)
{
    json_t *element;
    size_t i;

    if (json_is_object(value) && json_object_size(value) == 0)
        return json_array();
    if (!json_is_array(value))
        return json_incref(value);
    for (i = 0; i < json_array_size(value); i++) {
        element = json_array_get(value, i);
        json_array_set_new(value, i, normalized(field->element, element));
    }
    return field->type == TP_TYPE_SET ? without_duplicates(value) : json_incref(value);
}

static json_t *normal_map(const struct tp_field *field, json_t *value)
{
    const char *name;
    json_t *entry;
    void *next;

    json_object_foreach_safe(value, next, name, entry) {
        if (field->element)
            json_object_set_new(value, name, normalized(field->element, entry));
    }
    return json_incref(value);
}

/* Only the id counts: the row is named, not described. */
static json_t *normal_foreign(json_t *value)
{
    json_t *id = json_object_get(value, "id");

    return json_is_string(id) ? json_pack("{s:o}", "id", lower_uuid(id)) : json_incref(value);
}

/* The value in its field's notation: owned, maybe `value` itself. */
static json_t *normalized(const struct tp_field *field, json_t *value)
{
    bool empty_list = json_is_array(value) && json_array_size(value) == 0;

    switch (field->type) {
    case TP_TYPE_STRING: return field->uuid ? lower_uuid(value) : json_incref(value);
    case TP_TYPE_INTEGER:
    case TP_TYPE_SIZE:
    case TP_TYPE_NUMBER: return plain_number(value);
    case TP_TYPE_ARRAY:
    case TP_TYPE_SET: return normal_list(field, value);
    case TP_TYPE_MAP: return empty_list ? json_object() : normal_map(field, value);
    case TP_TYPE_RECORD:
        if (empty_list)
            value = json_object();
        else
            json_incref(value);
        if (json_is_object(value) && field->fields)
            tp_shape_normalize(field->fields, value);
        return value;
    case TP_TYPE_FOREIGN: return normal_foreign(value);
    default: return json_incref(value);
    }
}

void tp_shape_normalize(const struct tp_field *fields, json_t *object)
{
    for (const struct tp_field *f = fields; f->name; f++) {
        json_t *value = json_object_get(object, f->name);

        if (!tp_json_is_null(value))
            json_object_set_new(object, f->name, normalized(f, value));
    }
}

/* --- Answers ---------------------------------------------------------------------------------- */

void tp_shape_present(const struct tp_field *fields, json_t *object)
{
    for (const struct tp_field *f = fields; f && f->name; f++) {
        json_t *value = json_object_get(object, f->name);

        if (f->alias_of) {
            value = tp_json_at(object, f->alias_of);
            json_object_set_new(object, f->name, value ? json_deep_copy(value) : json_null());
        } else if (f->extension && tp_json_is_null(value)) {
            json_object_del(object, f->name);
        } else if (f->type == TP_TYPE_RECORD && json_is_object(value)) {
            tp_shape_present(f->fields, value);
        }
    }
}
