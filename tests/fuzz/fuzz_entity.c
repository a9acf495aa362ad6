/*
 * Entities from a client's JSON. The first byte chooses the table and whether the types are inferred, as for a form;
 * then a new value, a newline, and a change to it. What was accepted can be decoded, and a change of nothing leaves
 * it as it is.
 */
#include "model/entity.h"
#include "model/fields.h"
#include "model/json.h"
#include "plan/decode.h"
#include "plugins/registry.h"

#include <stdlib.h>

#define NOW 1700000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *prepared(const struct tp_entity *entity, enum tp_write write, const json_t *input, const json_t *stored)
{
    struct tp_draft draft = { entity, &tp_bundled_plugins, write, input, stored, NOW };
    json_t *value = NULL, *errors = NULL;
    char *message;

    if (tp_entity_prepare(&draft, &value, &errors) == TP_OK)
        return value;
    TP_ASSERT(json_object_size(errors) > 0);
    message = tp_errors_message(errors);
    TP_ASSERT(message[0] != '\0');
    free(message);
    json_decref(errors);
    return NULL;
}

static void check_plugin(const json_t *value, struct tp_arena *arena)
{
    const struct tp_plugin *plugin = tp_plugin_find(&tp_bundled_plugins, tp_json_str(json_object_get(value, "name")),
                                                    NULL);
    void *conf;

    TP_ASSERT(plugin);
    conf = tp_arena_calloc(arena, 1, plugin->conf_size);
    TP_ASSERT(tp_fields_decode(plugin->fields, json_object_get(value, "config"), conf, arena, NULL) == TP_OK);
    if (plugin->on_configure)
        plugin->on_configure(conf, arena, NULL);
    json_decref(tp_fields_masked(plugin->fields, json_object_get(value, "config")));
}

static void check_decodes(const struct tp_entity *entity, const json_t *value)
{
    struct tp_arena *arena = tp_arena_new();
    struct tp_service service;
    struct tp_route route;
    struct tp_ordering ordering;

    if (strcmp(entity->name, "services") == 0)
        TP_ASSERT(tp_decode_service(value, arena, &service, NULL) == TP_OK);
    else if (strcmp(entity->name, "routes") == 0)
        TP_ASSERT(tp_decode_route(value, arena, &route, NULL) == TP_OK);
    else if (strcmp(entity->name, "plugins") == 0) {
        check_plugin(value, arena);
        TP_ASSERT(tp_decode_ordering(json_object_get(value, "ordering"), arena, &ordering, NULL) == TP_OK);
    }
    tp_arena_free(arena);
}

static void check_same(const struct tp_entity *entity, const json_t *value)
{
    json_t *nothing = json_object(), *same = prepared(entity, TP_UPDATE, nothing, value);

    TP_ASSERT(same && json_equal(same, value));
    json_decref(same);
    json_decref(nothing);
}

/* JSON before the newline; *rest goes behind it. */
static json_t *take_json(struct tp_str *rest)
{
    struct tp_str text = TP_STR("");

    tp_str_next(rest, '\n', &text);
    return json_loadb(text.data ? text.data : "", text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tp_str rest = tp_str_make((const char *)data + 1, size ? size - 1 : 0);
    const struct tp_entity *entity;
    json_t *input, *change, *value, *changed;

    if (!size)
        return 0;
    entity = tp_entities[(data[0] >> 1) % tp_entity_count];
    input = take_json(&rest);
    change = take_json(&rest);
    if (data[0] & 1) {
        tp_entity_infer(entity, &tp_bundled_plugins, NULL, input);
        tp_entity_infer(entity, &tp_bundled_plugins, NULL, change);
    }
    value = prepared(entity, TP_INSERT, input, NULL);
    if (value) {
        check_decodes(entity, value);
        check_same(entity, value);
        changed = prepared(entity, TP_UPDATE, change, value);
        if (changed)
            check_decodes(entity, changed);
        json_decref(changed);
    }
    json_decref(value);
    json_decref(change);
    json_decref(input);
    return 0;
}
