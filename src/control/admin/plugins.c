/* Plugins of the Admin API: plugins.h. */
#include "control/admin/plugins.h"

#include "base/mem.h"
#include "control/admin/errors.h"
#include "control/admin/keys.h"
#include "control/admin/reply.h"

#define ROUTES_PER_PAGE 100

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct tp_plugin *const *)a)->name, (*(const struct tp_plugin *const *)b)->name);
}

void tp_admin_plugins_init(struct tp_registry *out, const struct tp_plugin_set *set)
{
    const struct tp_enabled_plugin *enabled = NULL;
    size_t count = set ? tp_plugin_set_list(set, &enabled) : 0;
    const struct tp_plugin **list = tp_calloc(count + 1, sizeof(*list));

    for (size_t i = 0; i < count; i++) {
        struct tp_plugin *plugin = tp_new(struct tp_plugin);

        *plugin = *enabled[i].plugin;
        plugin->name = tp_strndup(enabled[i].name);
        plugin->priority = enabled[i].priority;
        list[i] = plugin;
    }
    qsort(list, count, sizeof(*list), by_name);
    *out = (struct tp_registry){ .plugins = list, .count = count };
}

void tp_admin_plugins_fini(struct tp_registry *registry)
{
    for (size_t i = 0; i < registry->count; i++) {
        free((char *)registry->plugins[i]->name);
        free((struct tp_plugin *)registry->plugins[i]);
    }
    free((void *)registry->plugins);
    *registry = (struct tp_registry){ 0 };
}

static bool is_plugins(const struct tp_entity *entity)
{
    return strcmp(entity->name, "plugins") == 0;
}

bool tp_admin_check_enabled(struct tp_admin_call *call, const struct tp_entity *entity, const json_t *input)
{
    const json_t *value = json_object_get(input, "name");
    struct tp_str name = tp_str_make(json_string_value(value), json_string_length(value));
    struct tp_str message;

    if (!is_plugins(entity) || !json_is_string(value) || tp_registry_find(&call->context->plugins, name))
        return true;
    message = tp_arena_printf(call->arena, "plugin '%.*s' not enabled; add it to the 'plugins' configuration property",
                              TP_STR_ARG(name));
    return tp_admin_fail_schema(call, json_pack("{s:o}", "name", tp_admin_json_text(message)));
}

static bool have_common(const json_t *a, const json_t *b)
{
    size_t i, k;
    json_t *x, *y;

    json_array_foreach(a, i, x) {
        json_array_foreach(b, k, y) {
            if (json_equal(x, y))
                return true;
        }
    }
    return false;
}

static bool mismatch(struct tp_admin_call *call, const char *message)
{
    return tp_admin_fail_schema(call, json_pack("{s:s}", "protocols", message));
}

static bool agrees_with_route(struct tp_admin_call *call, const json_t *protocols, const struct tp_uuid *id)
{
    const struct tp_entity *routes = tp_entity_by_name(TP_STR("routes"));
    json_t *route = NULL;
    enum tp_err err = tp_store_get(call->store, routes, id, &route);
    bool fine;

    if (err && err != TP_ERR_NOT_FOUND)
        return tp_admin_fail_store(call, routes, err, NULL);
    /* A route that is not there is the store's to report. */
    fine = !route || have_common(protocols, json_object_get(route, "protocols"));
    json_decref(route);
    return fine ? true : mismatch(call, "must match the associated route's protocols");
}

/* Look at one page of the service's routes. *fine: no route at all, or one that agrees. */
static enum tp_err look_at_routes(struct tp_admin_call *call, const json_t *protocols, struct tp_page_query *query,
                                  struct tp_uuid *last, bool *fine, bool *more)
{
    json_t *rows = NULL, *route;
    enum tp_err err = tp_store_page(call->store, tp_entity_by_name(TP_STR("routes")), query, &rows, more);
    size_t i;

    if (err)
        return err;
    *fine = !query->after && !json_array_size(rows);
    json_array_foreach(rows, i, route) {
        *fine = *fine || have_common(protocols, json_object_get(route, "protocols"));
        *last = tp_admin_id_of(route);
    }
    json_decref(rows);
    query->after = last;
    return TP_OK;
}

static bool agrees_with_service(struct tp_admin_call *call, const json_t *protocols, const struct tp_uuid *id)
{
    struct tp_page_query query = { .foreign_field = "service", .foreign = id, .size = ROUTES_PER_PAGE };
    struct tp_uuid last;
    bool fine = false, more = true;

    while (more && !fine) {
        enum tp_err err = look_at_routes(call, protocols, &query, &last, &fine, &more);

        if (err)
            return tp_admin_fail_store(call, tp_entity_by_name(TP_STR("routes")), err, NULL);
    }
    if (fine)
        return true;
    return mismatch(call, "must match the protocols of at least one route pointing to this Plugin's service");
}

bool tp_admin_check_protocols(struct tp_admin_call *call, const struct tp_entity *entity, const json_t *value)
{
    const json_t *protocols = json_object_get(value, "protocols");
    const struct tp_field *route, *service;
    struct tp_uuid id;

    if (!is_plugins(entity) || !json_is_array(protocols))
        return true;
    route = tp_entity_field(entity, "route");
    service = tp_entity_field(entity, "service");
    if (route && tp_admin_foreign_id(value, route, &id))
        return agrees_with_route(call, protocols, &id);
    if (service && tp_admin_foreign_id(value, service, &id))
        return agrees_with_service(call, protocols, &id);
    return true;
}
