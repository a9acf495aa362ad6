/*
 * From a client's object to an entity: the steps of entities.md §17 in order. Shorthands, merge, automatic
 * fields, defaults, normal forms, field checks, entity checks, presentation.
 */
#include "model/entity.h"

#include "base/hash.h"
#include "model/json.h"
#include "model/plugin_table.h"
#include "model/shape.h"
#include "model/validate.h"

#include <stdio.h>

#define RANDOM_TEXT_LEN 32
#define MAX_TTL 100000000

static const char ttl_message[] = "must be an integer between 0 and 100000000";

/* --- Looking up ------------------------------------------------------------------------------- */

const struct tp_entity *tp_entity_by_name(struct tp_str name)
{
    for (size_t i = 0; i < tp_entity_count; i++) {
        if (tp_str_eq(tp_str_from_cstr(tp_entities[i]->name), name))
            return tp_entities[i];
    }
    return NULL;
}

const struct tp_entity *tp_entity_by_api_name(struct tp_str api_name)
{
    for (size_t i = 0; i < tp_entity_count; i++) {
        if (tp_str_eq(tp_str_from_cstr(tp_entities[i]->api_name), api_name))
            return tp_entities[i];
    }
    return NULL;
}

const struct tp_field *tp_entity_field(const struct tp_entity *entity, const char *name)
{
    return tp_field_find(entity->fields, name);
}

/* --- Options ---------------------------------------------------------------------------------- */

static bool is_ttl(const json_t *value)
{
    int64_t seconds;

    return tp_json_is_null(value) || (tp_json_to_int(value, &seconds) && seconds >= 0 && seconds <= MAX_TTL);
}

bool tp_entity_options_valid(const struct tp_entity *entity, const json_t *input, json_t **options)
{
    if (!entity->has_ttl || is_ttl(json_object_get(input, "ttl")))
        return true;
    *options = json_pack("{s:s}", "ttl", ttl_message);
    return false;
}

/* --- Preparing -------------------------------------------------------------------------------- */

struct preparation {
    const struct tp_draft *draft;
    const struct tp_entity *entity; /* the draft's */
    const struct tp_plugin *plugin; /* plugins only; NULL: no such plugin */
    const struct tp_field *fields;  /* the entity's, or those of `table` */
    struct tp_plugin_table table;
    json_t *input;  /* the client's, copied; shorthands get translated in it */
    json_t *value;  /* grows into the result */
    json_t *errors; /* NULL: none so far */
};

/* Kong takes an empty list for an empty object. */
static bool copy_input(struct preparation *p)
{
    const json_t *input = p->draft->input;

    if (json_is_object(input))
        p->input = json_deep_copy(input);
    else if (json_is_array(input) && json_array_size(input) == 0)
        p->input = json_object();
    if (p->input)
        return true;
    p->errors = json_pack("{s:[s]}", "@entity", "expected a record");
    return false;
}

static const json_t *plugin_name(const struct preparation *p)
{
    const json_t *name = json_object_get(p->input, "name");

    if (!name && p->draft->write == TP_UPDATE)
        name = json_object_get(p->draft->stored, "name");
    return name;
}

static void choose_table(struct preparation *p)
{
    struct tp_str name;

    p->fields = p->entity->fields;
    if (!tp_entity_is_plugins(p->entity))
        return;
    name = tp_json_str(plugin_name(p));
    p->plugin = name.data ? tp_plugin_find(p->draft->registry, name, NULL) : NULL;
    if (!p->plugin)
        return;
    tp_plugin_table_init(&p->table, p->entity, p->plugin);
    p->fields = p->table.fields;
}

/* Shorthands are judged on their own: when one is wrong, nothing else is looked at. */
static bool translate(struct preparation *p)
{
    for (const struct tp_field *f = p->fields; f->name; f++) {
        json_t *err = f->write_only ? tp_validate_value(f, json_object_get(p->input, f->name)) : NULL;

        if (!err)
            continue;
        if (!p->errors)
            p->errors = json_object();
        json_object_set_new(p->errors, f->name, err);
    }
    if (p->errors)
        return false;
    if (p->entity->expand)
        p->entity->expand(p->input, p->draft->write == TP_UPDATE);
    for (const struct tp_field *f = p->fields; f->name; f++) {
        if (f->write_only)
            json_object_del(p->input, f->name);
    }
    p->errors = tp_shape_translate_aliases(p->fields, p->input);
    return !p->errors;
}

/* The time to live is no field: out of the way while fields are judged. */
static json_t *take_ttl(struct preparation *p)
{
    json_t *ttl;

    if (!p->entity->has_ttl)
        return NULL;
    ttl = json_incref(json_object_get(p->input, "ttl"));
    json_object_del(p->input, "ttl");
    if (!ttl && p->draft->write == TP_UPDATE)
        ttl = json_incref(json_object_get(p->draft->stored, "ttl"));
    return ttl ? ttl : json_null();
}

static json_t *automatic_value(const struct tp_field *f, int64_t now_s)
{
    char text[TP_UUID_TEXT_LEN + 1];
    struct tp_uuid uuid;

    if (f->timestamp)
        return json_integer(now_s);
    if (f->uuid) {
        uuid = tp_uuid_random();
        tp_uuid_format(&uuid, text);
    } else {
        tp_random_text(text, RANDOM_TEXT_LEN);
    }
    return json_string(text);
}

static void set_automatic(struct preparation *p)
{
    for (const struct tp_field *f = p->fields; f->name; f++) {
        bool is_update_time = strcmp(f->name, "updated_at") == 0;

        if (!f->automatic || (p->draft->write == TP_UPDATE && !is_update_time))
            continue;
        if (is_update_time || tp_json_is_null(json_object_get(p->value, f->name)))
            json_object_set_new(p->value, f->name, automatic_value(f, p->draft->now_s));
    }
}

/* The path in the URL names the row: a body cannot move it. */
static void keep_identity(struct preparation *p)
{
    json_t *id = p->draft->write == TP_INSERT ? NULL : json_object_get(p->draft->stored, "id");

    if (id)
        json_object_set(p->value, "id", id);
}

static void build_value(struct preparation *p)
{
    if (p->draft->write == TP_UPDATE)
        p->value = tp_shape_merge(p->fields, p->draft->stored, p->input);
    else
        p->value = json_deep_copy(p->input);
    keep_identity(p);
    set_automatic(p);
    tp_shape_fill(p->fields, p->value);
    tp_shape_normalize(p->fields, p->value);
}

/* A name without a plugin behind it: without its table there is nothing to say about the rest of the config. */
static void check_plugin_name(struct preparation *p)
{
    struct tp_str name = tp_json_str(json_object_get(p->value, "name"));

    if (p->plugin || !tp_entity_is_plugins(p->entity) || !name.data)
        return;
    json_object_set_new(
        p->errors, "name",
        tp_json_textf("plugin '%.*s' not enabled; add it to the 'plugins' configuration property", TP_STR_ARG(name)));
}

static bool validate(struct preparation *p)
{
    struct tp_check_context ctx = {
        .fields = p->fields,
        .value = p->value,
        .input = p->input,
        .is_update = p->draft->write == TP_UPDATE,
    };

    p->errors = tp_validate_fields(p->fields, p->value);
    check_plugin_name(p);
    ctx.errors = p->errors;
    tp_checks_run(&ctx, p->entity->checks);
    if (p->plugin)
        tp_checks_run(&ctx, p->plugin->checks);
    return json_object_size(p->errors) == 0;
}

static bool prepare(struct preparation *p)
{
    json_t *ttl;
    bool valid;

    if (!copy_input(p))
        return false;
    choose_table(p);
    if (!translate(p))
        return false;
    ttl = take_ttl(p);
    build_value(p);
    valid = validate(p);
    if (ttl && !is_ttl(ttl)) {
        json_object_set_new(p->errors, "ttl", json_string(ttl_message));
        valid = false;
    }
    if (json_is_integer(ttl) && json_integer_value(ttl) == 0) {
        json_decref(ttl);
        ttl = json_null(); /* no seconds to live: no end */
    }
    if (ttl)
        json_object_set_new(p->value, "ttl", ttl);
    if (valid)
        tp_shape_present(p->fields, p->value);
    return valid;
}

enum tp_err tp_entity_prepare(const struct tp_draft *draft, json_t **out, json_t **errors)
{
    struct preparation p = { .entity = draft->entity, .draft = draft };
    bool valid = prepare(&p);

    json_decref(p.input);
    if (!valid) {
        json_decref(p.value);
        *errors = p.errors;
        return TP_ERR_INVALID;
    }
    json_decref(p.errors);
    *out = p.value;
    return TP_OK;
}

bool tp_entity_key_valid(const struct tp_entity *entity, const char *name, struct tp_str value, char *message,
                         size_t size)
{
    const struct tp_field *field = tp_entity_field(entity, name);
    json_t *text, *err;

    if (!field)
        return false;
    text = json_stringn(value.data ? value.data : "", value.len);
    if (!text) {
        snprintf(message, size, "invalid utf-8 character sequence detected");
        return false;
    }
    err = tp_validate_value(field, text);
    if (err)
        snprintf(message, size, "%s", json_is_string(err) ? json_string_value(err) : "invalid value");
    json_decref(text);
    json_decref(err);
    return !err;
}
