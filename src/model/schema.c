/*
 * Field tables as the JSON that GET /schemas/… answers: the member names are Kong's, the descriptions ours.
 */
#include "base/mem.h"
#include "model/entity.h"
#include "model/json.h"
#include "model/plugin_table.h"
#include "model/shape.h"
#include "model/validate.h"

#include <math.h>

static json_t *field_schema(const struct tp_field *field, const char *plugin);
static json_t *checks_schema(const struct tp_check *checks);

static const char *type_name(enum tp_type type)
{
    switch (type) {
    case TP_TYPE_STRING: return "string";
    case TP_TYPE_INTEGER: return "integer";
    case TP_TYPE_NUMBER: return "number";
    case TP_TYPE_BOOLEAN: return "boolean";
    case TP_TYPE_ARRAY: return "array";
    case TP_TYPE_SET: return "set";
    case TP_TYPE_MAP: return "map";
    case TP_TYPE_RECORD: return "record";
    case TP_TYPE_FOREIGN: return "foreign";
    case TP_TYPE_SIZE: return "string";
    default: return "any";
    }
}

static void set_text(json_t *out, const char *name, const char *text)
{
    if (text)
        json_object_set_new(out, name, json_string(text));
}

static void set_flag(json_t *out, const char *name, bool on)
{
    if (on)
        json_object_set_new(out, name, json_true());
}

static json_t *number(double value)
{
    return floor(value) == value && fabs(value) < 1e15 ? json_integer((json_int_t)value) : json_real(value);
}

static json_t *names(const char *const *list)
{
    json_t *out = json_array();

    for (; *list; list++)
        json_array_append_new(out, json_string(*list));
    return out;
}

/* Tables write numbers as text in these lists. */
static void set_choices(json_t *out, const char *name, const struct tp_field *field, const char *const *list)
{
    json_t *choices;

    if (!list)
        return;
    if (field->type == TP_TYPE_STRING) {
        choices = names(list);
    } else {
        choices = json_array();
        for (; *list; list++)
            json_array_append_new(choices, json_loads(*list, JSON_DECODE_ANY, NULL));
    }
    json_object_set_new(out, name, choices);
}

static void set_patterns(json_t *out, const char *name, const struct tp_pattern *patterns)
{
    json_t *list;

    if (!patterns)
        return;
    list = json_array();
    for (; patterns->pattern; patterns++) {
        json_t *entry = json_pack("{s:s}", "pattern", patterns->pattern);

        set_text(entry, "err", patterns->err);
        json_array_append_new(list, entry);
    }
    json_object_set_new(out, name, list);
}

static void set_match_any(json_t *out, const struct tp_field *field)
{
    json_t *any;
    json_t *list;

    if (!field->match_any)
        return;
    list = json_array();
    for (const struct tp_pattern *p = field->match_any; p->pattern; p++)
        json_array_append_new(list, json_string(p->pattern));
    any = json_pack("{s:o}", "patterns", list);
    set_text(any, "err", field->match_any_err);
    json_object_set_new(out, "match_any", any);
}

static void set_ranges(json_t *out, const struct tp_field *field)
{
    if (field->between.set)
        json_object_set_new(out, "between",
                            json_pack("[o, o]", number(field->between.min), number(field->between.max)));
    if (field->gt.set)
        json_object_set_new(out, "gt", number(field->gt.min));
    if (field->nullable_text)
        json_object_set_new(out, "len_min", json_integer(0));
    if (!field->length.set)
        return;
    if (field->length.min > 0)
        json_object_set_new(out, "len_min", number(field->length.min));
    if (isfinite(field->length.max))
        json_object_set_new(out, "len_max", number(field->length.max));
}

static void set_text_rules(json_t *out, const struct tp_field *field)
{
    set_text(out, "starts_with", field->starts_with);
    set_text(out, "match", field->match);
    set_patterns(out, "match_none", field->match_none);
    set_patterns(out, "match_all", field->match_all);
    set_match_any(out, field);
    set_choices(out, "one_of", field, field->one_of);
    set_choices(out, "not_one_of", field, field->not_one_of);
    set_flag(out, "uuid", field->uuid);
    set_flag(out, "timestamp", field->timestamp);
}

static void set_exclusive(json_t *out, const struct tp_field *field)
{
    json_t *sets;

    if (!field->exclusive_sets)
        return;
    sets = json_array();
    for (size_t i = 0; field->exclusive_sets[i]; i++)
        json_array_append_new(sets, names(field->exclusive_sets[i]));
    json_object_set_new(out, "mutually_exclusive_subsets", sets);
}

/* { "redis_host": {…, "deprecation": {…}} } */
static json_t *alias_schema(const struct tp_field *field, const char *plugin)
{
    struct tp_str rest = tp_str_from_cstr(field->alias_of), step;
    json_t *schema = field_schema(field, plugin), *path = json_array(), *deprecation;

    while (tp_str_next(&rest, '.', &step))
        json_array_append_new(path, tp_json_text(step));
    deprecation = json_pack("{s:s, s:[{s:o}]}", "removal_in_version", "4.0", "replaced_with", "path", path);
    json_object_set_new(deprecation, "message",
                        tp_json_textf("%s: config.%s is deprecated, please use config.%s instead", plugin ? plugin : "",
                                      field->name, field->alias_of));
    json_object_set_new(schema, "deprecation", deprecation);
    return json_pack("{s:o}", field->name, schema);
}

static json_t *fields_schema(const struct tp_field *fields, const char *plugin)
{
    json_t *out = json_array();

    for (; fields && fields->name; fields++) {
        if (fields->extension || fields->write_only || fields->alias_of)
            continue;
        json_array_append_new(out, json_pack("{s:o}", fields->name, field_schema(fields, plugin)));
    }
    return out;
}

static void set_record(json_t *out, const struct tp_field *field, const char *plugin)
{
    json_t *aliases = json_array();

    if (!field->fields) {
        set_flag(out, "abstract", true);
    } else {
        json_object_set_new(out, "fields", fields_schema(field->fields, plugin));
        for (const struct tp_field *f = field->fields; f->name; f++) {
            if (f->alias_of)
                json_array_append_new(aliases, alias_schema(f, plugin));
        }
    }
    if (json_array_size(aliases) > 0)
        json_object_set(out, "shorthand_fields", aliases);
    json_decref(aliases);
    if (field->checks)
        json_object_set_new(out, "entity_checks", checks_schema(field->checks));
}

static void set_relations(json_t *out, const struct tp_field *field, const char *plugin)
{
    switch (field->type) {
    case TP_TYPE_ARRAY:
    case TP_TYPE_SET: json_object_set_new(out, "elements", field_schema(field->element, plugin)); break;
    case TP_TYPE_MAP:
        if (field->key)
            json_object_set_new(out, "keys", field_schema(field->key, plugin));
        if (field->element)
            json_object_set_new(out, "values", field_schema(field->element, plugin));
        break;
    case TP_TYPE_RECORD: set_record(out, field, plugin); break;
    case TP_TYPE_FOREIGN:
        set_text(out, "reference", field->reference);
        set_text(out, "on_delete", field->cascade ? "cascade" : NULL);
        break;
    default: break;
    }
}

static json_t *field_schema(const struct tp_field *field, const char *plugin)
{
    json_t *out = json_pack("{s:s}", "type", type_name(field->type));

    set_text(out, "description", field->about);
    if (field->def)
        json_object_set_new(out, "default", tp_shape_default(field));
    set_flag(out, "required", field->required);
    if (field->optional)
        json_object_set_new(out, "required", json_false());
    set_flag(out, "unique", field->unique);
    set_flag(out, "auto", field->automatic);
    set_flag(out, "referenceable", field->referenceable);
    set_flag(out, "encrypted", field->encrypted);
    if (field->must_be_null)
        json_object_set_new(out, "eq", json_null());
    set_ranges(out, field);
    set_text_rules(out, field);
    set_exclusive(out, field);
    set_relations(out, field, plugin);
    return out;
}

/* --- Checks ----------------------------------------------------------------------------------- */

static json_t *condition_schema(const struct tp_condition *condition)
{
    if (condition->one_of)
        return json_pack("{s:o}", "one_of", names(condition->one_of));
    if (condition->not_one_of)
        return json_pack("{s:o}", "not_one_of", names(condition->not_one_of));
    if (condition->equals)
        return json_pack("{s:s}", "eq", condition->equals);
    if (condition->is_null)
        return json_pack("{s:n}", "eq");
    return json_pack("{s:b}", "required", 1);
}

static json_t *check_schema(const struct tp_check *check)
{
    static const char *const kinds[] = {
        [TP_CHECK_AT_LEAST_ONE_OF] = "at_least_one_of",
        [TP_CHECK_ONLY_ONE_OF] = "only_one_of",
        [TP_CHECK_MUTUALLY_EXCLUSIVE] = "mutually_exclusive",
        [TP_CHECK_MUTUALLY_REQUIRED] = "mutually_required",
    };

    if (check->kind == TP_CHECK_CUSTOM)
        return check->shown ? json_loads(check->shown, 0, NULL) : NULL;
    if (check->kind != TP_CHECK_CONDITIONAL)
        return json_pack("{s:o}", kinds[check->kind], names(check->fields));
    return json_pack("{s:{s:s, s:o, s:s, s:o}}", "conditional", "if_field", check->if_field, "if_match",
                     condition_schema(&check->if_match), "then_field", check->then_field, "then_match",
                     condition_schema(&check->then_match));
}

static json_t *checks_schema(const struct tp_check *checks)
{
    json_t *out = json_array();

    for (; checks && checks->kind != TP_CHECK_END; checks++) {
        json_t *schema = check_schema(checks);

        if (schema)
            json_array_append_new(out, schema);
    }
    return out;
}

json_t *tp_entity_schema(const struct tp_entity *entity)
{
    return json_pack("{s:o, s:o}", "fields", fields_schema(entity->fields, NULL), "entity_checks",
                     checks_schema(entity->checks));
}

static void add_field(json_t *list, const struct tp_field *field, const char *plugin)
{
    json_array_append_new(list, json_pack("{s:o}", field->name, field_schema(field, plugin)));
}

/* Of the entity's fields only those that the plugin changes. */
json_t *tp_plugin_schema(const struct tp_plugin *plugin)
{
    const struct tp_entity *plugins = tp_entity_by_name(TP_STR("plugins"));
    struct tp_plugin_table *table = tp_new(struct tp_plugin_table);
    json_t *fields = json_array();

    tp_plugin_table_init(table, plugins, plugin);
    for (const struct tp_field *f = table->fields; f->name; f++) {
        struct tp_field forbidden = *f;

        if (!f->must_be_null)
            continue;
        forbidden.def = NULL; /* what is never set has no default and cascades nothing */
        forbidden.cascade = false;
        add_field(fields, &forbidden, plugin->name);
    }
    add_field(fields, tp_field_find(table->fields, "protocols"), plugin->name);
    add_field(fields, tp_field_find(table->fields, "config"), plugin->name);
    free(table);
    return json_pack("{s:o, s:o}", "fields", fields, "entity_checks", checks_schema(plugin->checks));
}
