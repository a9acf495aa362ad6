/*
 * Plugin instances. `config` belongs to the plugin that `name` says: its table is put in by plugin_table.c, which
 * also narrows `protocols` and `consumer`.
 */
#include "model/entities/common.h"
#include "model/entity.h"

static const struct tp_field protocol = { .type = TP_TYPE_STRING, .one_of = tp_protocols_all };

static const struct tp_field plugin_name = { .type = TP_TYPE_STRING };
static const struct tp_field phases[] = {
    TP_FIELD_ONLY("access", ARRAY, .element = &plugin_name, .about = "Names of plugins, for the access phase."),
    { 0 },
};
static const struct tp_field ordering[] = {
    TP_FIELD_ONLY("before", RECORD, .fields = phases, .about = "Run before these."),
    TP_FIELD_ONLY("after", RECORD, .fields = phases, .about = "Run after these."),
    { 0 },
};

static const struct tp_field fields[] = {
    TP_FIELD_ID,
    TP_FIELD_ONLY("name", STRING, .required = true, .about = "Which plugin it is."),
    TP_FIELD_ONLY("instance_name", STRING, .unique = true, .check = tp_check_utf8_name,
                  .about = "A unique name of this instance."),
    TP_FIELD_CREATED_AT,
    TP_FIELD_UPDATED_AT,
    TP_FIELD_ONLY("route", FOREIGN, .reference = "routes", .def = "null", .cascade = true,
                  .about = "Run for requests of this route only."),
    TP_FIELD_ONLY("service", FOREIGN, .reference = "services", .def = "null", .cascade = true,
                  .about = "Run for requests to this service only."),
    TP_FIELD_ONLY("consumer", FOREIGN, .reference = "consumers", .def = "null", .cascade = true,
                  .about = "Run for requests of this consumer only."),
    TP_FIELD_ONLY("config", RECORD, .about = "The plugin's own settings."),
    TP_FIELD_ONLY("protocols", SET, .required = true, .element = &protocol,
                  .def = "[\"grpc\", \"grpcs\", \"http\", \"https\"]",
                  .about = "Run for requests that come by one of these."),
    TP_FIELD_ONLY("enabled", BOOLEAN, .required = true, .def = "true", .about = "Whether it runs at all."),
    TP_FIELD_TAGS,
    TP_FIELD_ONLY("ordering", RECORD, .extension = true, .fields = ordering,
                  .about = "When it runs relative to other plugins, instead of by priority."),
    { 0 },
};

const struct tp_entity tp_entity_plugins = {
    .name = "plugins",
    .api_name = "plugins",
    .endpoint_key = "instance_name",
    .fields = fields,
    .composite_unique = TP_NAMES("name", "route", "service", "consumer"),
    .in_plan = true,
};
