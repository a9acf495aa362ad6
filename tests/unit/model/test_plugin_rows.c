/* Rows of `plugins`: config by the plugin's own table, clones, deprecated names, extensions. */
#include "model_test.h"

static const char *const policies[] = { "local", "redis", NULL };

static const struct tp_field redis_fields[] = {
    TP_FIELD_ONLY("host", STRING, .check = tp_check_host),
    TP_FIELD_ONLY("port", INTEGER, .def = "6379", .between = TP_BETWEEN(0, 65535)),
    { 0 },
};
static const struct tp_field meter_fields[] = {
    TP_FIELD_ONLY("minute", NUMBER, .gt = TP_GREATER(0)),
    TP_FIELD_ONLY("hour", NUMBER, .gt = TP_GREATER(0)),
    TP_FIELD_ONLY("policy", STRING, .def = "local", .one_of = policies),
    TP_FIELD_ONLY("redis", RECORD, .required = true, .fields = redis_fields),
    TP_FIELD_ONLY("redis_host", STRING, .alias_of = "redis.host"),
    TP_FIELD_ONLY("ours", STRING, .extension = true),
    { 0 },
};

static void check_order(struct tp_check_context *ctx)
{
    double minute, hour;

    if (tp_check_get_number(ctx, "config.minute", &minute) && tp_check_get_number(ctx, "config.hour", &hour) &&
        hour < minute)
        tp_check_fail(ctx, "config", "hour(%.1f) is below minute(%.1f)", hour, minute);
}

static const struct tp_check meter_checks[] = {
    { .kind = TP_CHECK_AT_LEAST_ONE_OF, .fields = (const char *const[]){ "config.minute", "config.hour", NULL } },
    { .kind = TP_CHECK_CONDITIONAL,
      .if_field = "config.policy",
      .if_match = { .equals = "redis" },
      .then_field = "config.redis.host",
      .then_match = { .required = true } },
    { .kind = TP_CHECK_CUSTOM,
      .fields = (const char *const[]){ "config.minute", "config.hour", NULL },
      .fn = check_order },
    { 0 },
};

static const struct tp_plugin meter = {
    .name = "meter",
    .priority = 900,
    .fields = meter_fields,
    .checks = meter_checks,
    .no_consumer = true,
};
static const struct tp_plugin *const plugins[] = { &meter, NULL };
static const struct tp_registry registry = { plugins, 1 };

#define REFUSED(input, want) CHECK_REFUSED_BY(&registry, "plugins", input, want)

TEST(config_is_filled_by_the_plugins_table)
{
    json_t *p = prepared("plugins", &registry, TP_INSERT, "{'name':'meter','config':{'minute':5}}", NULL);

    CHECK_FIELD(p, "config",
                "{'minute':5,'hour':null,'policy':'local','redis':{'host':null,'port':6379},'redis_host':null}");
    CHECK_FIELD(p, "protocols", "['grpc','grpcs','http','https']");
    CHECK_FIELD(p, "enabled", "true");
    CHECK_FIELD(p, "route", "null");
    CHECK(json_object_get(p, "ordering") == NULL);
    json_decref(p);
}

TEST(plugin_names)
{
    REFUSED("{}", "schema violation (name: required field missing)");
    REFUSED("{'name':'nope','config':{'x':1}}",
            "schema violation (name: plugin 'nope' not enabled; add it to the 'plugins' configuration property)");
    REFUSED("{'name':''}",
            "schema violation (name: plugin '' not enabled; add it to the 'plugins' configuration property)");
    REFUSED("{'name':5}", "schema violation (name: expected a string)");
}

TEST(config_errors)
{
    REFUSED("{'name':'meter'}",
            "schema violation (at least one of these fields must be non-empty: 'config.minute', 'config.hour')");
    REFUSED("{'name':'meter','config':null}",
            "2 schema violations (at least one of these fields must be non-empty: 'config.minute', 'config.hour'; "
            "config: required field missing)");
    REFUSED("{'name':'meter','config':{'minute':0}}", "schema violation (config.minute: value must be greater than 0)");
    REFUSED("{'name':'meter','config':{'minute':1,'x':1}}", "schema violation (config.x: unknown field)");
    REFUSED("{'name':'meter','config':{'minute':9,'hour':3}}",
            "schema violation (config: hour(3.0) is below minute(9.0))");
    REFUSED("{'name':'meter','config':{'minute':1,'policy':'redis'}}",
            "2 schema violations (failed conditional validation given value of field 'config.policy'; config.redis: "
            "{\n  host = \"required field missing\"\n})");
}

TEST(scopes_and_protocols_are_narrowed)
{
    REFUSED("{'name':'meter','config':{'minute':1},'consumer':{'id':'00000000-0000-4000-8000-000000000001'}}",
            "schema violation (consumer: value must be null)");
    REFUSED("{'name':'meter','config':{'minute':1},'protocols':['tcp']}",
            "schema violation (protocols.1: expected one of: grpc, grpcs, http, https)");
}

TEST(deprecated_names_are_moved_and_echoed)
{
    json_t *p = prepared("plugins", &registry, TP_INSERT,
                         "{'name':'meter','config':{'minute':5,'redis_host':'a.test'}}", NULL);
    json_t *q;

    CHECK(same_json(json_object_get(json_object_get(p, "config"), "redis"), "{'host':'a.test','port':6379}"));
    CHECK_FIELD(json_object_get(p, "config"), "redis_host", "'a.test'");
    q = prepared("plugins", &registry, TP_UPDATE, "{'config':{'redis':{'host':'b.test'}}}", p);
    CHECK_FIELD(json_object_get(q, "config"), "redis_host", "'b.test'");
    CHECK_FIELD(json_object_get(q, "config"), "minute", "5");
    json_decref(p);
    p = prepared("plugins", &registry, TP_UPDATE, "{'config':{'redis_host':'c.test'}}", q);
    CHECK_FIELD(json_object_get(json_object_get(p, "config"), "redis"), "host", "'c.test'");
    json_decref(q);
    json_decref(p);
    REFUSED("{'name':'meter','config':{'minute':5,'redis_host':'a','redis':{'host':'b'}}}",
            "schema violation (config.redis_host: both deprecated and new field are used but their values mismatch: "
            "redis_host = a vs redis.host = b)");
    REFUSED("{'name':'meter','config':{'minute':5,'redis_host':7}}",
            "schema violation (config.redis_host: expected a string)");
}

TEST(extensions_show_only_when_set)
{
    json_t *p = prepared("plugins", &registry, TP_INSERT,
                         "{'name':'meter','config':{'minute':5,'ours':'x'},"
                         "'ordering':{'before':{'access':['key-auth']}}}",
                         NULL);

    CHECK_FIELD(json_object_get(p, "config"), "ours", "'x'");
    CHECK_FIELD(p, "ordering", "{'before':{'access':['key-auth']},'after':null}");
    json_decref(p);
}

TEST(clones_run_the_plugin_before_the_underscore)
{
    int priority = 0;
    json_t *p;

    CHECK(tp_plugin_find(&registry, TP_STR("meter_1251"), &priority) == &meter);
    CHECK_INT(priority, 1251);
    CHECK(tp_plugin_find(&registry, TP_STR("meter"), &priority) == &meter);
    CHECK_INT(priority, 900);
    CHECK(tp_plugin_find(&registry, TP_STR("meter_"), NULL) == NULL);
    CHECK(tp_plugin_find(&registry, TP_STR("meter_1x"), NULL) == NULL);
    CHECK(tp_plugin_find(&registry, TP_STR("meter_-1"), &priority) == &meter);
    CHECK_INT(priority, -1);
    CHECK(tp_plugin_find(&registry, TP_STR("meter_--1"), NULL) == NULL);
    CHECK(tp_plugin_find(&registry, TP_STR("meter_99999999999"), NULL) == NULL);
    CHECK(tp_plugin_find(&registry, TP_STR("meter_99999999999"), NULL) == NULL);
    CHECK(tp_plugin_find(&registry, TP_STR("_1"), NULL) == NULL);
    p = prepared("plugins", &registry, TP_INSERT, "{'name':'meter_7','config':{'minute':1}}", NULL);
    CHECK_FIELD(p, "name", "'meter_7'");
    json_decref(p);
}

TEST(plugin_schema_shows_what_the_plugin_changes)
{
    json_t *schema = tp_plugin_schema(&meter), *fields = json_object_get(schema, "fields"), *config, *alias;

    CHECK_INT(json_array_size(fields), 3);
    CHECK(json_object_get(json_array_get(fields, 0), "consumer") != NULL);
    CHECK(json_object_get(json_array_get(fields, 1), "protocols") != NULL);
    config = json_object_get(json_array_get(fields, 2), "config");
    CHECK_INT(json_array_size(json_object_get(config, "fields")), 4);
    alias = json_object_get(json_array_get(json_object_get(config, "shorthand_fields"), 0), "redis_host");
    CHECK_FIELD(alias, "deprecation",
                "{'message':'meter: config.redis_host is deprecated, please use config.redis.host instead',"
                "'removal_in_version':'4.0','replaced_with':[{'path':['redis','host']}]}");
    CHECK_INT(json_array_size(json_object_get(schema, "entity_checks")), 2);
    json_decref(schema);
}

TEST(forms_infer_by_the_plugins_table)
{
    json_t *in = json_of("{'config':{'minute':'5','redis':{'port':'1'},'policy':''},'enabled':'false'}");

    tp_entity_infer(entity_of("plugins"), &registry, "meter", in);
    CHECK(same_json(in, "{'config':{'minute':5,'redis':{'port':1},'policy':null},'enabled':false}"));
    json_decref(in);
}
