/* What a node says about itself: /, /endpoints, /plugins/enabled, /timers and smaller ones. */
#include "control/admin/configuration.h"
#include "control/admin/dispatch.h"
#include "control/admin/errors.h"
#include "control/admin/keys.h"
#include "control/admin/reply.h"

#define MAX_PIDS 256
#define ROBOTS "/robots.txt"
#define LUA_VERSION_TEXT "LuaJIT 2.1.0-beta3" /* Debian's; tools parse this form */

/* --- / ------------------------------------------------------------------------------------------- */

static json_t *pids(const struct tp_admin_options *options)
{
    int list[MAX_PIDS];
    size_t count = options->link ? tp_link_worker_pids(options->link, list, MAX_PIDS) : 0;
    json_t *workers = json_array();

    for (size_t i = 0; i < count && i < MAX_PIDS; i++)
        json_array_append_new(workers, json_integer(list[i]));
    return json_pack("{s:i,s:o}", "master", options->supervisor_pid, "workers", workers);
}

static json_t *available_plugins(const struct tp_registry *plugins)
{
    json_t *available = json_object();

    for (size_t i = 0; i < plugins->count; i++)
        json_object_set_new(
            available, plugins->plugins[i]->name,
            json_pack("{s:s,s:i}", "version", TP_ADMIN_VERSION, "priority", plugins->plugins[i]->priority));
    return available;
}

static void on_root(struct tp_admin_call *call)
{
    const struct tp_admin_context *context = call->context;
    char node_id[TP_UUID_TEXT_LEN + 1];
    json_t *names = NULL;
    enum tp_err err;

    if (!tp_admin_has_store(call))
        return;
    err = tp_store_plugin_names(call->store, &names);
    if (err) {
        tp_admin_fail_store(call, NULL, err, NULL);
        return;
    }
    tp_uuid_format(&context->options.node_id, node_id);
    tp_admin_reply_json(call, 200,
                        json_pack("{s:s,s:s,s:s,s:o,s:s,s:s,s:{s:i,s:i},s:o,s:{s:o,s:o},s:o}", "tagline",
                                  "Welcome to kong", "version", TP_ADMIN_VERSION, "edition", "community", "hostname",
                                  tp_admin_json_text(tp_str_from_cstr(context->hostname)), "node_id", node_id,
                                  "lua_version", LUA_VERSION_TEXT, "timers", "running", 0, "pending", 0, "pids",
                                  pids(&context->options), "plugins", "available_on_server",
                                  available_plugins(&context->plugins), "enabled_in_cluster", names, "configuration",
                                  tp_admin_configuration(context)));
}

/* --- Lists ----------------------------------------------------------------------------------------- */

static void on_endpoints(struct tp_admin_call *call)
{
    const struct tp_admin_endpoints *endpoints = call->context->endpoints;
    json_t *list = json_array();

    for (size_t i = 0; i < endpoints->count; i++) {
        if (strcmp(endpoints->items[i].pattern, ROBOTS) != 0) /* for crawlers, no part of the API */
            json_array_append_new(list, json_string(endpoints->items[i].pattern));
    }
    tp_admin_reply_json(call, 200, json_pack("{s:o}", "data", list));
}

static void on_enabled_plugins(struct tp_admin_call *call)
{
    const struct tp_registry *plugins = &call->context->plugins;
    json_t *list = json_array();

    for (size_t i = 0; i < plugins->count; i++)
        json_array_append_new(list, json_string(plugins->plugins[i]->name));
    tp_admin_reply_json(call, 200, json_pack("{s:o}", "enabled_plugins", list));
}

/* --- Smaller ones ------------------------------------------------------------------------------------ */

static void on_timers(struct tp_admin_call *call)
{
    struct tp_link *link = call->context->options.link;
    int workers = link ? (int)tp_link_worker_count(link) : 0;

    /* Kong's shape; nothing here runs on timers of that kind. */
    tp_admin_reply_json(call, 200,
                        json_pack("{s:{s:i,s:i},s:{s:{s:i,s:i,s:i,s:i,s:i},s:{},s:{s:s,s:s,s:s}}}", "worker", "id", 0,
                                  "count", workers, "stats", "sys", "total", 0, "runs", 0, "running", 0, "pending", 0,
                                  "waiting", 0, "timers", "flamegraph", "running", "", "pending", "", "elapsed_time",
                                  ""));
}

static void on_robots(struct tp_admin_call *call)
{
    tp_admin_reply_text(call, 200, "User-agent: *\nDisallow: /");
}

static const char *log_level(const struct tp_admin_call *call)
{
    const char *level = json_string_value(json_object_get(call->context->options.settings, "log_level"));

    return level ? level : "notice";
}

static void on_log_level(struct tp_admin_call *call)
{
    tp_admin_reply_message(call, 200, "log level: %s", log_level(call));
}

static void on_set_log_level(struct tp_admin_call *call)
{
    static const char *const levels[] = { "debug", "info", "notice", "warn", "error", "crit", "alert", "emerg" };
    struct tp_str wanted = call->params[0];
    bool known = false;

    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        known = known || tp_str_eq(wanted, tp_str_from_cstr(levels[i]));
    if (!known)
        tp_admin_reply_message(call, 400, "unknown log level: %.*s", TP_STR_ARG(wanted));
    else if (tp_str_eq(wanted, tp_str_from_cstr(log_level(call))))
        tp_admin_reply_message(call, 200, "log level is already %.*s", TP_STR_ARG(wanted));
    else
        tp_admin_reply_message(call, 501, "the log level cannot be changed while running: set log_level and reload");
}

/* Requests are answered from the read model: there is no cache to look into or to purge. */
static void on_cached(struct tp_admin_call *call)
{
    tp_admin_not_found(call);
}

static void on_purge(struct tp_admin_call *call)
{
    tp_admin_reply_empty(call, 204);
}

const struct tp_admin_endpoint tp_admin_node_endpoints[] = {
    { .pattern = "/", .on = { .get = on_root } },
    { .pattern = ROBOTS, .on = { .get = on_robots } },
    { .pattern = "/endpoints", .on = { .get = on_endpoints } },
    { .pattern = "/plugins/enabled", .on = { .get = on_enabled_plugins } },
    { .pattern = "/timers", .on = { .get = on_timers } },
    { .pattern = "/cache", .on = { .del = on_purge } },
    { .pattern = "/cache/{key}", .on = { .get = on_cached, .del = on_purge } },
    { .pattern = "/debug/node/log-level", .on = { .get = on_log_level } },
    { .pattern = "/debug/node/log-level/{log_level}", .on = { .put = on_set_log_level } },
    { .pattern = "/debug/cluster/log-level/{log_level}", .on = { .put = on_set_log_level } },
    { 0 },
};
