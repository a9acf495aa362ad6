/*
 * Rendering of nginx.conf. The shape is fixed; what an operator may change are settings, and directives injected as
 * nginx_<block>_<directive>, which replace ours of the same name. src/edge/module.c says what the module wants.
 */
#include "cli/nginx_conf.h"

#include "base/buf.h"
#include "base/paths.h"

#include <netinet/in.h>
#include <stdio.h>

struct renderer {
    const struct tp_nginx_conf_options *options;
    const struct tp_settings *settings;
    struct tp_buf out;
};

/* Directives that stand unless an injected one of the same name replaces them. */
static const struct {
    const char *block, *directive, *value;
} defaults[] = {
    { "http", "server_tokens", "off" },
    { "http", "default_type", "''" },
    { "http", "underscores_in_headers", "on" },
    { "http", "merge_slashes", "off" },
    { "http", "keepalive_timeout", "75s" },
    { "http", "client_header_buffer_size", "1k" },
    { "http", "large_client_header_buffers", "4 8k" },
    { "http", "tcp_nopush", "on" },
    { "http", "log_not_found", "off" },
    { "http", "resolver_timeout", "5s" },
    { "http", "map_hash_bucket_size", "128" },
};

/* Injected directives that mean something to Kong's nginx only, or that we render elsewhere. */
static bool is_left_out(const char *block, const char *directive)
{
    if (strncmp(directive, "lua_", 4) == 0 || strncmp(directive, "wasm_", 5) == 0)
        return true;
    if (strcmp(block, "main") == 0)
        return strcmp(directive, "daemon") == 0 || strcmp(directive, "user") == 0 || strcmp(directive, "pid") == 0;
    return false;
}

static bool is_injected(const struct renderer *r, const char *block, const char *directive)
{
    struct tp_setting_view view;
    const char *b, *d;

    for (size_t i = 0; tp_settings_at(r->settings, i, &view); i++)
        if (view.value && tp_setting_directive(view.setting->name, &b, &d) && strcmp(b, block) == 0 &&
            strcmp(d, directive) == 0)
            return true;
    return false;
}

static void add_directives(struct renderer *r, const char *block, const char *indent)
{
    struct tp_setting_view view;
    const char *b, *d;

    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
        if (strcmp(defaults[i].block, block) == 0 && !is_injected(r, block, defaults[i].directive))
            tp_buf_addf(&r->out, "%s%s %s;\n", indent, defaults[i].directive, defaults[i].value);
    for (size_t i = 0; tp_settings_at(r->settings, i, &view); i++)
        if (view.value && tp_setting_directive(view.setting->name, &b, &d) && strcmp(b, block) == 0 &&
            !is_left_out(b, d))
            tp_buf_addf(&r->out, "%s%s %s;\n", indent, d, view.value);
}

/* A path as one word of nginx's configuration. tp_settings_check has refused what quotes cannot hold. */
static void add_path(struct renderer *r, const char *relative)
{
    tp_buf_addf(&r->out, "\"%s/%s\"", r->options->layout->prefix, relative);
}

/* error_log: a path below the prefix, a device, syslog:… or off. */
static void add_error_log(struct renderer *r, const char *setting, const char *level, const char *indent)
{
    const char *target = tp_settings_text(r->settings, setting);

    if (strcmp(target, "off") == 0)
        tp_buf_addf(&r->out, "%serror_log /dev/null emerg;\n", indent);
    else
        tp_buf_addf(&r->out, "%serror_log %s %s;\n", indent, target, level);
}

/*
 * Below "notice" nginx logs what it reads of a request's head, keys included. Only our location, where the head has
 * been read, may say more.
 */
static void add_server_error_log(struct renderer *r, const char *setting)
{
    const char *level = tp_settings_text(r->settings, "log_level");
    bool tells_all = strcmp(level, "debug") == 0 || strcmp(level, "info") == 0;

    add_error_log(r, setting, tells_all ? "notice" : level, "        ");
}

/* access_log: the same; a format may be named behind the target. */
static void add_access_log(struct renderer *r, const char *setting, const char *format, const char *indent)
{
    const char *target = tp_settings_text(r->settings, setting);

    if (strcmp(target, "off") == 0 || strchr(target, ' '))
        tp_buf_addf(&r->out, "%saccess_log %s;\n", indent, target);
    else
        tp_buf_addf(&r->out, "%saccess_log %s %s;\n", indent, target, format);
}

static bool is_wildcard(const struct tp_listen *entry)
{
    static const struct in6_addr any;

    if (entry->sockaddr.ss_family == AF_INET)
        return ((const struct sockaddr_in *)&entry->sockaddr)->sin_addr.s_addr == INADDR_ANY;
    return memcmp(&((const struct sockaddr_in6 *)&entry->sockaddr)->sin6_addr, &any, sizeof(any)) == 0;
}

bool tp_listen_covered(const struct tp_nginx_server *servers, const struct tp_listen *entry)
{
    if (is_wildcard(entry))
        return false;
    for (size_t s = 0; s < TP_NGINX_SERVERS; s++)
        for (size_t i = 0; i < servers[s].listen.count; i++) {
            const struct tp_listen *other = &servers[s].listen.entries[i];

            if (other->port == entry->port && other->sockaddr.ss_family == entry->sockaddr.ss_family &&
                is_wildcard(other))
                return true;
        }
    return false;
}

static void add_listen(struct renderer *r, const struct tp_listen *entry)
{
    tp_buf_addf(&r->out, "        listen %s%s%s%s", entry->address, entry->ssl ? " ssl" : "",
                entry->http2 ? " http2" : "", entry->proxy_protocol ? " proxy_protocol" : "");
    if (!tp_listen_covered(r->options->servers, entry)) {
        if (entry->deferred)
            tp_buf_add_cstr(&r->out, " deferred");
        if (entry->backlog)
            tp_buf_addf(&r->out, " backlog=%d", entry->backlog);
        if (entry->ipv6only >= 0)
            tp_buf_addf(&r->out, " ipv6only=%s", entry->ipv6only ? "on" : "off");
        if (entry->keepalive[0])
            tp_buf_addf(&r->out, " so_keepalive=%s", entry->keepalive);
    }
    tp_buf_add_cstr(&r->out, ";\n");
}

static void add_ciphers(struct renderer *r)
{
    static const char intermediate[] =
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
        "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
        "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384";
    const char *suite = tp_settings_text(r->settings, "ssl_cipher_suite");
    const char *protocols = "TLSv1.2 TLSv1.3", *ciphers = intermediate, *prefer = "off";

    if (strcmp(suite, "modern") == 0) {
        protocols = "TLSv1.3";
        ciphers = NULL;
    } else if (strcmp(suite, "old") == 0) {
        protocols = "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3";
        ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:DHE+AES:RSA+AESGCM:RSA+AES:@SECLEVEL=0";
        prefer = "on";
    } else if (strcmp(suite, "fips") == 0) {
        ciphers = "TLSv1.2+FIPS:kRSA+FIPS:!eNULL:!aNULL";
        prefer = "on";
    } else if (strcmp(suite, "custom") == 0) {
        protocols = tp_settings_text(r->settings, "ssl_protocols");
        ciphers = tp_settings_text(r->settings, "ssl_ciphers");
        prefer = tp_settings_text(r->settings, "ssl_prefer_server_ciphers");
    }
    if (protocols)
        tp_buf_addf(&r->out, "        ssl_protocols %s;\n", protocols);
    if (ciphers)
        tp_buf_addf(&r->out, "        ssl_ciphers %s;\n", ciphers);
    if (prefer)
        tp_buf_addf(&r->out, "        ssl_prefer_server_ciphers %s;\n", prefer);
}

static void add_tls(struct renderer *r, const struct tp_tls_files *tls)
{
    const char *value;

    if (tls->count == 0)
        return;
    for (size_t i = 0; i < tls->count; i++)
        tp_buf_addf(&r->out, "        ssl_certificate \"%s\";\n        ssl_certificate_key \"%s\";\n",
                    tls->pairs[i].certificate, tls->pairs[i].key);
    add_ciphers(r);
    if ((value = tp_settings_text(r->settings, "ssl_session_cache_size")))
        tp_buf_addf(&r->out, "        ssl_session_cache shared:TLS:%s;\n", value);
    if ((value = tp_settings_text(r->settings, "ssl_session_timeout")))
        tp_buf_addf(&r->out, "        ssl_session_timeout %s;\n", value);
    if ((value = tp_settings_text(r->settings, "ssl_session_tickets")))
        tp_buf_addf(&r->out, "        ssl_session_tickets %s;\n", value);
    if ((value = tp_settings_text(r->settings, "ssl_dhparam")))
        tp_buf_addf(&r->out, "        ssl_dhparam %s;\n", value);
}

/* Opens a server block; false when the listener is off. */
static bool begin_server(struct renderer *r, enum tp_nginx_server_kind kind)
{
    const struct tp_nginx_server *server = &r->options->servers[kind];

    if (server->listen.count == 0)
        return false;
    tp_buf_add_cstr(&r->out, "\n    server {\n");
    for (size_t i = 0; i < server->listen.count; i++)
        add_listen(r, &server->listen.entries[i]);
    add_tls(r, &server->tls);
    return true;
}

static void add_real_ip(struct renderer *r)
{
    struct tp_str rest = tp_str_from_cstr(tp_settings_text(r->settings, "trusted_ips")), item;

    while (tp_str_next(&rest, ',', &item)) {
        item = tp_str_trim(item);
        tp_buf_addf(&r->out, "        set_real_ip_from %.*s;\n", TP_STR_ARG(item));
    }
    if (!is_injected(r, "proxy", "real_ip_header"))
        tp_buf_addf(&r->out, "        real_ip_header %s;\n", tp_settings_text(r->settings, "real_ip_header"));
    if (!is_injected(r, "proxy", "real_ip_recursive") && tp_settings_text(r->settings, "real_ip_recursive"))
        tp_buf_addf(&r->out, "        real_ip_recursive %s;\n", tp_settings_text(r->settings, "real_ip_recursive"));
}

/*
 * Our module adds the charset itself: nginx's filter would spend as much on each answer as routing does. Whoever wants
 * more of that filter than its charset gets the filter.
 */
static void add_charset(struct renderer *r)
{
    static const char *const others[] = { "charset_types", "override_charset", "source_charset" };
    const char *charset = tp_settings_text(r->settings, "nginx_http_charset");
    bool plain = charset &&
                 charset[strspn(charset, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")] == '\0';

    if (!plain || strcmp(charset, "off") == 0 || is_injected(r, "proxy", "charset"))
        return;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (is_injected(r, "http", others[i]) || is_injected(r, "proxy", others[i]))
            return;
    tp_buf_addf(&r->out, "        charset off;\n        turnpike_charset %s;\n", charset);
}

static void add_proxy_server(struct renderer *r)
{
    if (!begin_server(r, TP_NGINX_PROXY))
        return;
    add_access_log(r, "proxy_access_log", "turnpike", "        ");
    add_server_error_log(r, "proxy_error_log");
    add_real_ip(r);
    tp_buf_add_cstr(&r->out, "        turnpike_error;\n");
    add_charset(r);
    add_directives(r, "proxy", "        ");
    tp_buf_add_cstr(&r->out, "        location / {\n            turnpike_gateway;\n");
    add_error_log(r, "proxy_error_log", tp_settings_text(r->settings, "log_level"), "            ");
    add_directives(r, "location", "            ");
    tp_buf_add_cstr(&r->out, "        }\n    }\n");
}

/* Where the Admin API is reached from inside: control, on its socket. */
static void add_control(struct renderer *r, const char *location)
{
    tp_buf_addf(&r->out, "        location %s {\n            proxy_pass \"http://unix:%s/%s\";\n", location,
                r->options->layout->prefix, TP_PATH_ADMIN);
    tp_buf_add_cstr(&r->out, "            proxy_http_version 1.1;\n"
                             "            proxy_set_header Host $http_host;\n"
                             "            proxy_set_header Connection '';\n"
                             "            proxy_set_header X-Real-IP $remote_addr;\n"
                             "            proxy_pass_header Server;\n"
                             "            proxy_pass_header Date;\n"
                             "            proxy_read_timeout 300s;\n"
                             "            proxy_next_upstream off;\n"
                             "            error_page 502 504 = @control_away;\n"
                             "        }\n");
}

static void add_control_away(struct renderer *r)
{
    tp_buf_add_cstr(&r->out, "        location @control_away {\n"
                             "            default_type 'application/json; charset=utf-8';\n"
                             "            add_header Retry-After 1 always;\n"
                             "            return 503 '{\"message\":\"The control daemon is not available; it is being "
                             "restarted. Traffic goes on.\"}';\n"
                             "        }\n");
}

static void add_admin_server(struct renderer *r)
{
    if (!begin_server(r, TP_NGINX_ADMIN))
        return;
    add_access_log(r, "admin_access_log", "turnpike_admin", "        ");
    add_server_error_log(r, "admin_error_log");
    tp_buf_add_cstr(&r->out, "        charset off;\n");
    add_directives(r, "admin", "        ");
    add_control(r, "/");
    add_control_away(r);
    tp_buf_add_cstr(&r->out, "    }\n");
}

/* What a monitor may see: reading only, and nothing of the configuration. */
static void add_status_server(struct renderer *r)
{
    static const char *const locations[] = { "= /status", "/status/", "= /metrics", "/schemas/" };

    if (!begin_server(r, TP_NGINX_STATUS))
        return;
    add_access_log(r, "status_access_log", "turnpike_admin", "        ");
    add_server_error_log(r, "status_error_log");
    tp_buf_add_cstr(&r->out, "        charset off;\n");
    add_directives(r, "status", "        ");
    tp_buf_add_cstr(&r->out, "        default_type 'application/json; charset=utf-8';\n"
                             "        if ($request_method !~ ^(GET|HEAD|OPTIONS)$) {\n"
                             "            return 405 '{\"message\":\"Method not allowed\"}';\n"
                             "        }\n");
    for (size_t i = 0; i < sizeof(locations) / sizeof(locations[0]); i++)
        add_control(r, locations[i]);
    add_control_away(r);
    tp_buf_add_cstr(&r->out, "        location / {\n"
                             "            return 404 '{\"message\":\"Not found\"}';\n"
                             "        }\n    }\n");
}

/* A socket of this very nginx, which the supervisor asks whether it serves. */
static void add_ready_server(struct renderer *r)
{
    tp_buf_addf(&r->out,
                "\n    server {\n"
                "        listen \"unix:%s\";\n"
                "        access_log off;\n"
                "        location / {\n            return 200 ready;\n        }\n"
                "    }\n",
                r->options->ready_socket);
}

static void add_main(struct renderer *r)
{
    const struct tp_nginx_conf_options *o = r->options;

    tp_buf_add_cstr(&r->out, "# Made by turnpike at every start and reload: change the settings instead.\n");
    if (o->stream_module)
        tp_buf_addf(&r->out, "load_module \"%s\";\n", o->stream_module);
    tp_buf_addf(&r->out, "load_module \"%s\";\n", o->module);
    if (o->layout->drop_root)
        tp_buf_addf(&r->out, "user %s %s;\n", o->layout->worker_user, o->layout->worker_group);
    tp_buf_add_cstr(&r->out, "thread_pool turnpike threads=1 max_queue=8;\n");
    add_error_log(r, "proxy_error_log", tp_settings_text(r->settings, "log_level"), "");
    add_directives(r, "main", "");
    tp_buf_add_cstr(&r->out, "\nevents {\n");
    add_directives(r, "events", "    ");
    tp_buf_add_cstr(&r->out, "}\n\nhttp {\n");
}

/*
 * Log formats hold no key: the module's variables are masked; in Admin API paths what follows /key-auth/ may be a key,
 * and the query is left out.
 */
static void add_log_formats(struct renderer *r)
{
    tp_buf_add_cstr(
        &r->out,
        "    log_format turnpike '$remote_addr - $remote_user [$time_local] \"$turnpike_request\" $status "
        "$body_bytes_sent \"$turnpike_referer\" \"$http_user_agent\" kong_request_id: \"$turnpike_request_id\"';\n"
        "    map $uri $admin_path {\n"
        "        default $uri;\n"
        "        \"~^(?<admin_before>.*/key-auths?/)[^/]+(?<admin_behind>.*)$\" \"${admin_before}***$admin_behind\";\n"
        "    }\n"
        "    log_format turnpike_admin '$remote_addr - $remote_user [$time_local] \"$request_method $admin_path "
        "$server_protocol\" $status $body_bytes_sent \"-\" \"$http_user_agent\"';\n");
}

static void add_temp_paths(struct renderer *r)
{
    static const char *const names[] = { "client_body", "proxy", "fastcgi", "uwsgi", "scgi" };
    char relative[64];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(relative, sizeof(relative), "temp/%s", names[i]);
        tp_buf_addf(&r->out, "    %s_temp_path ", names[i]);
        add_path(r, relative);
        tp_buf_add_cstr(&r->out, ";\n");
    }
}

char *tp_nginx_conf_render(const struct tp_nginx_conf_options *options)
{
    struct renderer r = { .options = options, .settings = options->settings };

    tp_buf_init(&r.out, 0);
    add_main(&r);
    tp_buf_add_cstr(&r.out, "    turnpike ");
    add_path(&r, TP_PATH_SETTINGS);
    tp_buf_add_cstr(&r.out, ";\n");
    if (options->resolvers[0] && !is_injected(&r, "http", "resolver"))
        tp_buf_addf(&r.out, "    resolver %s;\n", options->resolvers);
    add_temp_paths(&r);
    add_directives(&r, "http", "    "); /* before the map, whose size is among them */
    add_log_formats(&r);
    add_proxy_server(&r);
    add_admin_server(&r);
    add_status_server(&r);
    add_ready_server(&r);
    tp_buf_add_cstr(&r.out, "}\n");
    return tp_buf_take(&r.out);
}
