/* /schemas and /plugins/schema: what fields there are, and whether a value would be accepted. */
#include "control/admin/dispatch.h"
#include "control/admin/errors.h"
#include "control/admin/plugins.h"
#include "control/admin/reply.h"

#include "base/clock.h"

static const struct tp_entity *named_entity(struct tp_admin_call *call)
{
    const struct tp_entity *entity = tp_entity_by_name(call->params[0]);

    if (!entity)
        tp_admin_reply_message(call, 404, "No entity named '%.*s'", TP_STR_ARG(call->params[0]));
    return entity;
}

static void on_entity(struct tp_admin_call *call)
{
    const struct tp_entity *entity = named_entity(call);

    if (entity)
        tp_admin_reply_json(call, 200, tp_entity_schema(entity));
}

static const struct tp_plugin *named_plugin(struct tp_admin_call *call)
{
    const struct tp_plugin *plugin = tp_registry_find(&call->context->plugins, call->params[0]);

    if (!plugin)
        tp_admin_reply_message(call, 404, "No plugin named '%.*s'", TP_STR_ARG(call->params[0]));
    return plugin;
}

static void on_plugin(struct tp_admin_call *call)
{
    const struct tp_plugin *plugin = named_plugin(call);

    if (plugin)
        tp_admin_reply_json(call, 200, tp_plugin_schema(plugin));
}

/* The old form: the fields of `config` alone. */
static void on_plugin_config(struct tp_admin_call *call)
{
    const struct tp_plugin *plugin = named_plugin(call);
    json_t *schema, *field, *config = NULL;
    size_t i;

    if (!plugin)
        return;
    schema = tp_plugin_schema(plugin);
    json_array_foreach(json_object_get(schema, "fields"), i, field) {
        if (json_object_get(field, "config"))
            config = json_object_get(field, "config");
    }
    tp_admin_reply_json(call, 200,
                        json_pack("{s:O?,s:[]}", "fields", json_object_get(config, "fields"), "entity_checks"));
    json_decref(schema);
}

static void validate(struct tp_admin_call *call, const struct tp_entity *entity)
{
    struct tp_draft draft = { entity, &call->context->plugins, TP_INSERT, call->input, NULL, tp_clock_now_ms() / 1000 };
    json_t *value = NULL, *errors = NULL;
    enum tp_err err;

    if (call->input_is_text)
        tp_entity_infer(entity, &call->context->plugins, NULL, call->input);
    if (!tp_admin_check_enabled(call, entity, call->input))
        return;
    err = tp_entity_prepare(&draft, &value, &errors);
    json_decref(value);
    if (!err)
        tp_admin_reply_message(call, 200, "schema validation successful");
    else if (errors)
        tp_admin_fail_schema(call, errors);
    else
        tp_admin_unexpected(call);
}

static void on_validate(struct tp_admin_call *call)
{
    const struct tp_entity *entity = named_entity(call);

    if (entity)
        validate(call, entity);
}

static void on_validate_plugin(struct tp_admin_call *call)
{
    validate(call, tp_entity_by_name(TP_STR("plugins")));
}

static void on_vault(struct tp_admin_call *call)
{
    tp_admin_reply_message(call, 404, "No vault named '%.*s'", TP_STR_ARG(call->params[0]));
}

static void on_filter(struct tp_admin_call *call)
{
    tp_admin_reply_message(call, 404, "Filter '%.*s' not found", TP_STR_ARG(call->params[0]));
}

const struct tp_admin_endpoint tp_admin_schema_endpoints[] = {
    { .pattern = "/schemas/{name}", .on = { .get = on_entity } },
    { .pattern = "/schemas/{db_entity_name}/validate", .on = { .post = on_validate } },
    { .pattern = "/schemas/plugins/{name}", .on = { .get = on_plugin } },
    { .pattern = "/schemas/plugins/validate", .on = { .post = on_validate_plugin } },
    { .pattern = "/schemas/vaults/{name}", .on = { .get = on_vault } },
    { .pattern = "/schemas/filters/{name}", .on = { .get = on_filter } },
    { .pattern = "/plugins/schema/{name}", .on = { .get = on_plugin_config } },
    { 0 },
};
