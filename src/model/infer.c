/*
 * Text from forms and queries gets the types that the field tables ask for (admin-api.md §1.4). What does not
 * look like its type stays text, and validation says so.
 */
#include "model/entity.h"
#include "model/json.h"
#include "model/plugin_table.h"

#include <math.h>

static json_t *inferred(const struct tp_field *field, json_t *value);

static json_t *infer_number(json_t *value)
{
    struct tp_str text = tp_json_str(value);
    int64_t whole;
    double number;

    if (tp_str_to_i64(text, &whole))
        return json_integer(whole);
    if (tp_str_to_double(text, &number) && isfinite(number))
        return json_real(number);
    return json_incref(value);
}

static json_t *infer_boolean(json_t *value)
{
    if (tp_str_eq(tp_json_str(value), TP_STR("true")))
        return json_true();
    if (tp_str_eq(tp_json_str(value), TP_STR("false")))
        return json_false();
    return json_incref(value);
}

static json_t *infer_list(const struct tp_field *field, json_t *value)
{
    json_t *list;

    if (json_is_string(value)) {
        list = json_array();
        json_array_append_new(list, inferred(field->element, value));
        return list;
    }
    for (size_t i = 0; i < json_array_size(value); i++)
        json_array_set_new(value, i, inferred(field->element, json_array_get(value, i)));
    return json_incref(value);
}

static void infer_fields(const struct tp_field *fields, json_t *object)
{
    for (const struct tp_field *f = fields; f && f->name; f++) {
        json_t *value = json_object_get(object, f->name);

        if (value)
            json_object_set_new(object, f->name, inferred(f, value));
    }
}

/* In a map every entry has the element's type; anything else keeps its text but for empty ones. */
static void infer_entries(const struct tp_field *element, json_t *map)
{
    const char *name;
    json_t *value;
    void *next;

    json_object_foreach_safe(map, next, name, value) {
        if (element)
            json_object_set_new(map, name, inferred(element, value));
    }
}

static json_t *inferred(const struct tp_field *field, json_t *value)
{
    if (json_is_string(value) && json_string_length(value) == 0)
        return json_null();
    switch (field->type) {
    case TP_TYPE_INTEGER:
    case TP_TYPE_NUMBER: return json_is_string(value) ? infer_number(value) : json_incref(value);
    case TP_TYPE_BOOLEAN: return json_is_string(value) ? infer_boolean(value) : json_incref(value);
    case TP_TYPE_ARRAY:
    case TP_TYPE_SET: return infer_list(field, value);
    case TP_TYPE_MAP: infer_entries(field->element, value); return json_incref(value);
    case TP_TYPE_RECORD:
        if (json_is_object(value))
            infer_fields(field->fields, value);
        return json_incref(value);
    default: return json_incref(value);
    }
}

void tp_entity_infer(const struct tp_entity *entity, const struct tp_registry *registry, const char *plugin_name,
                     json_t *input)
{
    static const struct tp_field ttl = { .name = "ttl", .type = TP_TYPE_INTEGER };
    struct tp_plugin_table table;
    struct tp_str name = tp_json_str(json_object_get(input, "name"));
    const struct tp_field *fields = entity->fields;
    const struct tp_plugin *plugin;
    json_t *value;

    if (tp_entity_is_plugins(entity)) {
        if (!name.data)
            name = tp_str_from_cstr(plugin_name);
        plugin = name.data ? tp_plugin_find(registry, name, NULL) : NULL;
        if (plugin) {
            tp_plugin_table_init(&table, entity, plugin);
            fields = table.fields;
        }
    }
    infer_fields(fields, input);
    value = entity->has_ttl ? json_object_get(input, "ttl") : NULL;
    if (value)
        json_object_set_new(input, "ttl", inferred(&ttl, value));
}
