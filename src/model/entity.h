/*
 * Entities: what the Admin API manages. One file each under src/model/entities; the folder is the list.
 *
 * An entity value is a jansson object that holds every field of its table, unset ones as null. This
 * module knows no database and no HTTP.
 */
#ifndef TP_MODEL_ENTITY_H
#define TP_MODEL_ENTITY_H

#include "turnpike/check.h"
#include "turnpike/err.h"
#include "turnpike/field.h"
#include "turnpike/plugin.h"

#include <jansson.h>

struct tp_entity {
    const char *name;         /* table name: "services", "keyauth_credentials" */
    const char *api_name;     /* collection in URLs: "services", "key-auths" */
    const char *nested_name;  /* under a parent: "key-auth"; NULL: as api_name */
    const char *endpoint_key; /* field that may stand for the id in URLs; NULL: none */
    const struct tp_field *fields;
    const struct tp_check *checks;       /* ends with { 0 }; NULL: none */
    const char *const *composite_unique; /* fields unique together, nulls equal; NULL: none */
    bool has_ttl;                        /* accepts "ttl" seconds; rows vanish when it has passed */
    bool in_plan;                        /* a change may rebuild the compiled plan (services, routes, plugins) */

    /* Translate shorthand input (url → protocol, host, port, path) in place; NULL: none. */
    void (*expand)(json_t *input, bool is_update);
};

/* All of them, sorted by name; made by the build from src/model/entities. */
extern const struct tp_entity *const tp_entities[];
extern const size_t tp_entity_count;

const struct tp_entity *tp_entity_by_name(struct tp_str name);
const struct tp_entity *tp_entity_by_api_name(struct tp_str api_name);

/* The table entry of a top-level field; NULL: none. */
const struct tp_field *tp_entity_field(const struct tp_entity *entity, const char *name);

enum tp_write { TP_INSERT, TP_UPSERT, TP_UPDATE };

/* What is to become an entity. */
struct tp_draft {
    const struct tp_entity *entity;
    const struct tp_registry *registry; /* whose tables `config` of plugins follows */
    enum tp_write write;
    const json_t *input;  /* the client's object; not changed */
    const json_t *stored; /* UPDATE: what is there; UPSERT: NULL when nothing is */
    int64_t now_s;        /* epoch seconds, for timestamps */
};

/*
 * Make a complete, valid value from a client's input.
 *
 * INSERT, UPSERT: shorthands, automatic fields, defaults. UPDATE: `stored` is merged with the input by
 * Kong's rules (records field by field, everything else replaced). Then all field checks and entity
 * checks; for plugins, `config` against the plugin's own table in `registry`.
 * UPSERT: where `stored` is given the value keeps its id, whatever the input says.
 * Foreign keys stay as given: {"id": …} or by another unique field ({"name": …}); the caller resolves the
 * latter before, since without an id they are refused here.
 *
 * TP_OK: *out is owned by the caller. TP_ERR_INVALID: *errors is Kong's `fields` tree, owned;
 * tp_errors_message renders it.
 */
enum tp_err tp_entity_prepare(const struct tp_draft *draft, json_t **out, json_t **errors);

/*
 * The plugin that a row of that name runs: a bundled one, or for a clone such as "request-transformer_1251" the one
 * named before the underscore. *priority (may be NULL): the plugin's own, or the clone's number. NULL: none.
 * Whether the name is enabled is for the caller's plugin set to say.
 */
const struct tp_plugin *tp_plugin_find(const struct tp_registry *registry, struct tp_str name, int *priority);

/*
 * Options beside the fields (ttl of entities that have one). False: *options is the object of messages that Kong
 * answers with code 11 ({"ttl": "must be …"}), owned. Call before tp_entity_prepare, which would report
 * the same among the fields.
 */
bool tp_entity_options_valid(const struct tp_entity *entity, const json_t *input, json_t **options);

/* "2 schema violations (a: x; b: y)" for a `fields` tree. Owned text. */
char *tp_errors_message(const json_t *errors);

/* Kong's "{name=\"x\"}" notation of an object, keys sorted. Owned text. */
char *tp_lua_literal(const json_t *value);

/*
 * Give text from a form or a query the types that the schema asks for, in place: "" → null, numbers,
 * booleans, scalars into lists. Plugins: `config` by the plugin named in `input` or `plugin_name`.
 */
void tp_entity_infer(const struct tp_entity *entity, const struct tp_registry *registry, const char *plugin_name,
                     json_t *input);

/* GET /schemas/…: {"fields": […], "entity_checks": […]}. Owned. */
json_t *tp_entity_schema(const struct tp_entity *entity);
json_t *tp_plugin_schema(const struct tp_plugin *plugin);

/* True when `value` is fit for the unique field `name`: else the message Kong gives for code 10. */
bool tp_entity_key_valid(const struct tp_entity *entity, const char *name, struct tp_str value, char *message,
                         size_t size);

#endif
