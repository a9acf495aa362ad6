/* The rendered nginx.conf. */
#include "base/mem.h"
#include "cli/nginx_conf.h"
#include "support/test.h"

#include <stdlib.h>

static struct tp_nginx_server servers[TP_NGINX_SERVERS];

/* Render with these variables; listeners from the settings. Owned. */
static char *render(const char *const *env)
{
    static const char *const names[] = { "proxy_listen", "admin_listen", "status_listen" };
    struct tp_settings_input input = { .prefix = "/tmp/p x", .environ_vars = env };
    struct tp_layout layout = {
        .prefix = (char *)"/tmp/p x", .drop_root = true, .worker_user = "www-data", .worker_group = "adm"
    };
    struct tp_nginx_conf_options options = { .layout = &layout,
                                             .servers = servers,
                                             .module = "/m/t.so",
                                             .resolvers = "1.1.1.1",
                                             .ready_socket = "/tmp/p x/sockets/ready-1.sock" };
    struct tp_diag *diag = tp_diag_new();
    struct tp_settings *s = NULL;
    char *conf = NULL;

    if (tp_settings_load(&s, &input, diag) == TP_OK) {
        for (size_t i = 0; i < TP_NGINX_SERVERS; i++)
            tp_listen_parse(&servers[i].listen, names[i], tp_settings_text(s, names[i]), diag);
        options.settings = s;
        conf = tp_nginx_conf_render(&options);
    } else {
        test_fail(__FILE__, __LINE__, "%s", tp_diag_text(diag));
    }
    tp_settings_free(s);
    tp_diag_free(diag);
    return conf ? conf : tp_strdup("");
}

static void check_has(const char *conf, const char *text, bool want)
{
    if ((strstr(conf, text) != NULL) != want)
        test_fail(__FILE__, __LINE__, "%s: '%s'", want ? "missing" : "unwanted", text);
}

TEST(defaults_hold_what_the_module_needs)
{
    char *conf = render(NULL);

    check_has(conf, "load_module \"/m/t.so\";", true);
    check_has(conf, "user www-data adm;", true);
    check_has(conf, "thread_pool turnpike threads=1", true);
    check_has(conf, "turnpike \"/tmp/p x/run/settings.json\";", true);
    check_has(conf, "turnpike_gateway;", true);
    check_has(conf, "turnpike_error;", true);
    check_has(conf, "resolver 1.1.1.1;", true);
    check_has(conf, "underscores_in_headers on;", true);
    check_has(conf, "merge_slashes off;", true);
    check_has(conf, "large_client_header_buffers 4 8k;", true);
    check_has(conf, "client_max_body_size 0;", true);
    check_has(conf, "listen 127.0.0.1:8001;", true);
    check_has(conf, "proxy_pass \"http://unix:/tmp/p x/sockets/admin.sock\";", true);
    check_has(conf, "listen \"unix:/tmp/p x/sockets/ready-1.sock\";", true);
    check_has(conf, "real_ip_header X-Real-IP;", true);
    check_has(conf, "lua_", false);
    check_has(conf, "daemon o", false);
    free(conf);
}

TEST(injected_directive_replaces_ours)
{
    const char *env[] = { "TURNPIKE_NGINX_HTTP_MERGE_SLASHES=on", "KONG_NGINX_PROXY_REAL_IP_HEADER=X-Client",
                          "KONG_NGINX_HTTP_LUA_SHARED_DICT=x 1m", "TURNPIKE_NGINX_LOCATION_SENDFILE=on",
                          "TURNPIKE_NGINX_MAIN_DAEMON=on",        NULL };
    char *conf = render(env);

    check_has(conf, "merge_slashes on;", true);
    check_has(conf, "merge_slashes off;", false);
    check_has(conf, "real_ip_header X-Client;", true);
    check_has(conf, "real_ip_header X-Real-IP;", false);
    check_has(conf, "lua_shared_dict", false);
    check_has(conf, "sendfile on;", true);
    check_has(conf, "daemon o", false);
    free(conf);
}

TEST(reuseport_is_not_passed_on)
{
    const char *env[] = { "TURNPIKE_PROXY_LISTEN=0.0.0.0:8000 reuseport backlog=99 deferred so_keepalive=on", NULL };
    char *conf = render(env);

    check_has(conf, "listen 0.0.0.0:8000 deferred backlog=99 so_keepalive=on;", true);
    check_has(conf, "reuseport", false);
    free(conf);
}

TEST(address_below_a_wildcard_has_no_socket_options)
{
    const char *env[] = { "TURNPIKE_PROXY_LISTEN=0.0.0.0:8000, 127.0.0.1:8000 backlog=7", NULL };
    char *conf = render(env);

    check_has(conf, "listen 127.0.0.1:8000;", true);
    CHECK(tp_listen_covered(servers, &servers[TP_NGINX_PROXY].listen.entries[1]));
    CHECK(!tp_listen_covered(servers, &servers[TP_NGINX_PROXY].listen.entries[0]));
    free(conf);
}

TEST(listeners_that_are_off_have_no_server)
{
    const char *env[] = { "TURNPIKE_PROXY_LISTEN=off", "TURNPIKE_STATUS_LISTEN=127.0.0.1:8007", NULL };
    char *conf = render(env);

    check_has(conf, "turnpike_gateway;", false);
    check_has(conf, "listen 127.0.0.1:8007;", true);
    free(conf);
}

TEST(trusted_addresses_and_logs_come_from_settings)
{
    const char *env[] = { "KONG_TRUSTED_IPS=10.0.0.0/8, unix:", "KONG_PROXY_ACCESS_LOG=/dev/stdout",
                          "KONG_PROXY_ERROR_LOG=off", "KONG_ADMIN_ACCESS_LOG=off", NULL };
    char *conf = render(env);

    check_has(conf, "set_real_ip_from 10.0.0.0/8;", true);
    check_has(conf, "set_real_ip_from unix:;", true);
    check_has(conf, "access_log /dev/stdout turnpike;", true);
    check_has(conf, "error_log /dev/null emerg;", true);
    check_has(conf, "access_log off;", true);
    free(conf);
}
