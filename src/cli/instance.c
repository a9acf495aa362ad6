/* Settings, resolved to this machine. */
#include "cli/instance.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/paths.h"
#include "cli/machine.h"
#include "plan/plan.h"
#include "plugins/registry.h"
#include "turnpike/uuid.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#define SYSTEM_MODULES "/usr/lib/nginx/modules"
#define OUR_MODULE "ngx_http_turnpike_module.so"
#define STREAM_MODULE "ngx_stream_module.so"

static const char *const listen_settings[TP_NGINX_SERVERS] = { "proxy_listen", "admin_listen", "status_listen" };
static const char *const tls_stems[TP_NGINX_SERVERS] = { "", "admin_", "status_" };

char *tp_self_path(void)
{
    static const struct tp_str replaced = { " (deleted)", 10 };
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path));
    struct tp_str self;

    if (len <= 0 || len == sizeof(path))
        return NULL;
    self = tp_str_make(path, (size_t)len);
    if (tp_str_ends(self, replaced)) /* by an upgrade: what stands there now is meant */
        self.len -= replaced.len;
    return tp_strndup(self);
}

/* "auto" becomes a number. */
static void resolve_number(struct tp_settings *s, const char *name, int value)
{
    const char *text = tp_settings_text(s, name);
    char number[32];

    if (text && strcmp(text, "auto") != 0)
        return;
    snprintf(number, sizeof(number), "%d", value);
    tp_settings_resolve(s, name, number);
}

static void resolve_machine(struct tp_instance *in)
{
    struct tp_settings *s = in->settings;

    tp_settings_resolve(s, "prefix", in->layout.prefix);
    resolve_number(s, "nginx_worker_processes", tp_machine_processors());
    if (!tp_settings_text(s, "nginx_main_worker_processes"))
        tp_settings_resolve(s, "nginx_main_worker_processes", tp_settings_text(s, "nginx_worker_processes"));
    resolve_number(s, "nginx_main_worker_processes", tp_machine_processors());
    resolve_number(s, "nginx_main_worker_rlimit_nofile", tp_machine_open_files());
    resolve_number(s, "nginx_events_worker_connections", tp_machine_open_files());
}

static bool has_default(const struct tp_settings *s, const char *name)
{
    struct tp_setting_view view;

    for (size_t i = 0; tp_settings_at(s, i, &view); i++)
        if (strcmp(view.setting->name, name) == 0)
            return view.origin == TP_FROM_DEFAULT;
    return false;
}

static enum tp_err resolve_listeners(struct tp_instance *in, struct tp_diag *diag)
{
    enum tp_err err = TP_OK;

    /* Whoever gives a certificate wants a TLS listener, at Kong's port. */
    if (tp_settings_text(in->settings, "ssl_cert") && has_default(in->settings, "proxy_listen"))
        tp_settings_resolve(in->settings, "proxy_listen", "0.0.0.0:8000, 0.0.0.0:8443 http2 ssl");
    for (size_t k = 0; k < TP_NGINX_SERVERS && !err; k++) {
        struct tp_nginx_server *server = &in->servers[k];
        bool tls = false;

        if (!tp_listen_parse(&server->listen, listen_settings[k], tp_settings_text(in->settings, listen_settings[k]),
                             diag))
            return TP_ERR_INVALID;
        for (size_t i = 0; i < server->listen.count; i++)
            tls = tls || server->listen.entries[i].ssl;
        if (tls)
            err = tp_tls_files_make(&server->tls, tls_stems[k], in->settings, &in->layout, diag);
    }
    return err;
}

static char *existing(const char *folder, const char *name)
{
    char *path = tp_path_under(folder, name);

    if (access(path, R_OK) == 0)
        return path;
    free(path);
    return NULL;
}

static enum tp_err find_modules(struct tp_instance *in, struct tp_diag *diag)
{
    const char *given = tp_settings_text(in->settings, "nginx_module");
    char *self = tp_self_path(), *slash;

    if (given) {
        in->module = existing("", given[0] == '/' ? given : "/nonexistent");
    } else if (self && (slash = strrchr(self, '/'))) {
        *slash = '\0';
        in->module = existing(self, OUR_MODULE);
    }
    if (!in->module && !given)
        in->module = existing(SYSTEM_MODULES, OUR_MODULE);
    in->stream_module = existing(SYSTEM_MODULES, STREAM_MODULE);
    free(self);
    if (in->module)
        return TP_OK;
    tp_diag_add(diag, "nginx_module",
                given ? "no such file (an absolute path is needed): %s"
                      : "%s is neither beside this program nor in " SYSTEM_MODULES,
                given ? given : OUR_MODULE);
    return TP_ERR_NOT_FOUND;
}

/* "1.1.1.1, ::1" as nginx takes it: "1.1.1.1 [::1]". Owned. */
static char *resolver_list(const char *setting)
{
    struct tp_str rest = tp_str_from_cstr(setting), item;
    struct tp_buf out;

    tp_buf_init(&out, 0);
    while (tp_str_next(&rest, ',', &item)) {
        bool bare_v6;

        item = tp_str_trim(item);
        bare_v6 = item.data[0] != '[' && tp_str_chr(item, ':') != -1 &&
                  tp_str_chr(tp_str_from(item, (size_t)tp_str_chr(item, ':') + 1), ':') != -1;
        tp_buf_addf(&out, bare_v6 ? "%s[%.*s]" : "%s%.*s", out.len ? " " : "", TP_STR_ARG(item));
    }
    return tp_buf_take(&out);
}

static void resolve_search_list(struct tp_instance *in, const char *resolv_conf)
{
    char *search;
    int ndots;

    tp_resolv_conf_search(resolv_conf, &search, &ndots);
    if (search && !tp_settings_text(in->settings, "dns_search"))
        tp_settings_resolve(in->settings, "dns_search", search);
    resolve_number(in->settings, "dns_ndots", ndots);
    free(search);
}

static void find_resolvers(struct tp_instance *in)
{
    const char *given = tp_settings_text(in->settings, "dns_resolver");
    char *text = tp_file_text("/etc/resolv.conf");

    in->resolvers = given ? resolver_list(given) : tp_resolv_conf_parse(text ? text : "");
    resolve_search_list(in, text ? text : "");
    free(text);
}

/* The node's identity: given, or drawn once and kept. */
static enum tp_err resolve_node_id(struct tp_instance *in, struct tp_diag *diag)
{
    char *path, *kept, text[TP_UUID_TEXT_LEN + 2];
    struct tp_uuid id;
    enum tp_err err = TP_OK;

    if (tp_settings_text(in->settings, "node_id"))
        return TP_OK;
    path = tp_path_under(in->layout.prefix, TP_PATH_NODE_ID);
    kept = tp_file_text(path);
    if (!kept || !tp_uuid_parse(tp_str_head(tp_str_from_cstr(kept), TP_UUID_TEXT_LEN), &id)) {
        id = tp_uuid_random();
        tp_uuid_format(&id, text);
        text[TP_UUID_TEXT_LEN] = '\n';
        err = tp_file_replace(path, tp_str_make(text, TP_UUID_TEXT_LEN + 1), 0644, (gid_t)-1, diag);
    }
    tp_uuid_format(&id, text);
    if (!err)
        tp_settings_resolve(in->settings, "node_id", text);
    free(kept);
    free(path);
    return err;
}

/* The names in `plugins`, now rather than when a worker reads them. */
static enum tp_err check_plugins(const struct tp_instance *in, struct tp_diag *diag)
{
    struct tp_plugin_set *set = NULL;
    enum tp_err err = tp_plugin_set_new(&set, &tp_bundled_plugins,
                                        tp_str_from_cstr(tp_settings_text(in->settings, "plugins")), diag);

    tp_plugin_set_free(set);
    return err;
}

enum tp_err tp_instance_load(struct tp_instance **out, const struct tp_settings_input *input, struct tp_diag *diag)
{
    struct tp_instance *in = tp_new(struct tp_instance);
    enum tp_err err;

    err = tp_settings_load(&in->settings, input, diag);
    if (!err)
        err = check_plugins(in, diag);
    if (!err)
        err = tp_layout_prepare(&in->layout, in->settings, diag);
    if (!err)
        err = find_modules(in, diag);
    if (!err)
        err = resolve_listeners(in, diag);
    if (!err)
        err = resolve_node_id(in, diag);
    if (err)
        goto out;
    resolve_machine(in);
    find_resolvers(in);
    *out = in;
    in = NULL;
out:
    tp_instance_free(in);
    return err;
}

void tp_instance_free(struct tp_instance *in)
{
    if (!in)
        return;
    for (size_t k = 0; k < TP_NGINX_SERVERS; k++)
        tp_tls_files_fini(&in->servers[k].tls);
    free(in->module);
    free(in->stream_module);
    free(in->resolvers);
    tp_layout_fini(&in->layout);
    tp_settings_free(in->settings);
    free(in);
}

static enum tp_err write_json(const struct tp_instance *in, const char *relative, bool secrets, struct tp_diag *diag)
{
    char *path = tp_path_under(in->layout.prefix, relative);
    json_t *object = tp_settings_json(in->settings, secrets);
    char *text = json_dumps(object, JSON_INDENT(2) | JSON_SORT_KEYS);
    enum tp_err err;

    if (secrets)
        err = tp_file_replace(path, tp_str_from_cstr(text), 0600, (gid_t)-1, diag);
    else
        err = tp_file_replace(path, tp_str_from_cstr(text), 0640,
                              in->layout.drop_root ? in->layout.worker_gid : (gid_t)-1, diag);
    free(text);
    json_decref(object);
    free(path);
    return err;
}

enum tp_err tp_instance_write(const struct tp_instance *in, const char *ready_socket, struct tp_diag *diag)
{
    struct tp_nginx_conf_options options = {
        .settings = in->settings,
        .layout = &in->layout,
        .servers = in->servers,
        .module = in->module,
        .stream_module = in->stream_module,
        .resolvers = in->resolvers,
        .ready_socket = ready_socket,
    };
    char *conf, *path;
    enum tp_err err;

    err = write_json(in, TP_PATH_SETTINGS, false, diag);
    if (!err)
        err = write_json(in, TP_PATH_SECRETS, true, diag);
    if (err)
        return err;
    conf = tp_nginx_conf_render(&options);
    path = tp_path_under(in->layout.prefix, TP_PATH_NGINX_CONF);
    err = tp_file_replace(path, tp_str_from_cstr(conf), 0600, (gid_t)-1, diag);
    free(path);
    free(conf);
    return err;
}
