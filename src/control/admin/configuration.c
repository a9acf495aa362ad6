/* Settings for GET /: configuration.h. */
#include "control/admin/configuration.h"

#include "control/admin/reply.h"

/* Names of settings whose values nobody may read; the settings are masked already, this is the second lock. */
static bool is_secret(const char *setting)
{
    static const char *const endings[] = { "_password", "_cert_key", "_token", "_secret", "_config_string" };
    struct tp_str name = tp_str_from_cstr(setting);

    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        if (tp_str_ends(name, tp_str_from_cstr(endings[i])))
            return true;
    }
    return tp_str_eq(name, TP_STR("proxy_server"));
}

static bool has_flag(struct tp_str flags, const char *wanted)
{
    struct tp_str word;

    while (tp_str_next(&flags, ' ', &word)) {
        if (tp_str_eq(word, tp_str_from_cstr(wanted)))
            return true;
    }
    return false;
}

/* "127.0.0.1:8001 ssl http2" as an object; NULL for "off" and what is no address. */
static json_t *listener(struct tp_str text)
{
    static const char *const flags[] = { "ssl", "http2", "proxy_protocol", "deferred", "bind", "reuseport" };
    struct tp_str rest = tp_str_trim(text), address, ip;
    ptrdiff_t colon = -1;
    int64_t port;
    json_t *out;

    tp_str_next(&rest, ' ', &address);
    for (size_t i = 0; i < address.len; i++)
        colon = address.data[i] == ':' ? (ptrdiff_t)i : colon;
    if (colon < 0 || !tp_str_to_i64(tp_str_from(address, (size_t)colon + 1), &port))
        return NULL;
    ip = tp_str_head(address, (size_t)colon);
    out = json_pack("{s:o,s:o,s:I}", "listener", tp_admin_json_text(tp_str_trim(text)), "ip", tp_admin_json_text(ip),
                    "port", (json_int_t)port);
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        json_object_set_new(out, flags[i], json_boolean(rest.data && has_flag(rest, flags[i])));
    return out;
}

static json_t *listeners(const json_t *setting)
{
    json_t *list = json_array(), *item;
    size_t i;

    json_array_foreach(setting, i, item) {
        json_t *one = listener(tp_str_from_cstr(json_string_value(item)));

        if (one)
            json_array_append_new(list, one);
    }
    return list;
}

/* "proxy_listen": what it means goes under "proxy_listeners", and whether TLS is among it. */
static void add_listeners(json_t *out, struct tp_arena *arena, const char *name, const json_t *setting)
{
    struct tp_str base = tp_str_head(tp_str_from_cstr(name), strlen(name) - strlen("_listen"));
    json_t *list = listeners(setting), *item;
    bool ssl = false;
    size_t i;

    json_array_foreach(list, i, item)
        ssl = ssl || json_is_true(json_object_get(item, "ssl"));
    json_object_set_new(out, tp_arena_printf(arena, "%.*s_listeners", TP_STR_ARG(base)).data, list);
    json_object_set_new(out, tp_arena_printf(arena, "%.*s_ssl_enabled", TP_STR_ARG(base)).data, json_boolean(ssl));
}

static json_t *loaded_plugins(const struct tp_registry *plugins)
{
    json_t *loaded = json_object();

    for (size_t i = 0; i < plugins->count; i++)
        json_object_set_new(loaded, plugins->plugins[i]->name, json_true());
    return loaded;
}

/* What tools expect to find even where no setting of ours says it. */
static void add_defaults(json_t *out)
{
    static const struct {
        const char *name, *value;
    } defaults[] = {
        { "role", "traditional" },
        { "database", "sqlite" },
        { "router_flavor", "traditional_compatible" },
        { "log_level", "notice" },
    };

    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        if (!json_object_get(out, defaults[i].name))
            json_object_set_new(out, defaults[i].name, json_string(defaults[i].value));
    }
}

json_t *tp_admin_configuration(const struct tp_admin_context *context)
{
    struct tp_arena *arena = tp_arena_new();
    json_t *settings = (json_t *)context->options.settings, *value;
    json_t *out = json_object();
    const char *name;

    json_object_foreach(settings, name, value) {
        json_object_set_new(out, name, is_secret(name) ? json_string("******") : json_deep_copy(value));
        if (tp_str_ends(tp_str_from_cstr(name), TP_STR("_listen")))
            add_listeners(out, arena, name, value);
    }
    add_defaults(out);
    json_object_set_new(out, "loaded_plugins", loaded_plugins(&context->plugins));
    tp_arena_free(arena);
    return out;
}
