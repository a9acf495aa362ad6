/* Settings: merging of sources, checks, and what is said about mistakes. */
#include "base/mem.h"
#include "cli/settings.h"
#include "cli/settings_priv.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char file_path[64];

static const char *write_file(const char *text)
{
    FILE *file;
    int fd;

    snprintf(file_path, sizeof(file_path), "/tmp/tp-settings-XXXXXX");
    fd = mkstemp(file_path);
    file = fdopen(fd, "w");
    fputs(text, file);
    fclose(file);
    return file_path;
}

static enum tp_err load(struct tp_settings **out, const char *text, const char *const *env, struct tp_diag *diag)
{
    struct tp_settings_input input = { .file = write_file(text), .environ_vars = env };
    enum tp_err err = tp_settings_load(out, &input, diag);

    unlink(file_path);
    return err;
}

/* The only finding of a load that fails. */
static void check_finding(const char *text, const char *const *env, const char *path, const char *message)
{
    struct tp_diag *diag = tp_diag_new();
    struct tp_settings *s = NULL;

    CHECK_INT(load(&s, text, env, diag), TP_ERR_INVALID);
    CHECK_INT(tp_diag_count(diag), 1);
    CHECK(s == NULL);
    if (tp_diag_count(diag) == 1) {
        CHECK_STR(tp_diag_path(diag, 0), path);
        CHECK_STR(tp_diag_message(diag, 0), message);
    }
    tp_diag_free(diag);
}

static struct tp_settings *load_good(const char *text, const char *const *env)
{
    struct tp_diag *diag = tp_diag_new();
    struct tp_settings *s = NULL;

    CHECK_INT(load(&s, text, env, diag), TP_OK);
    if (!s)
        test_fail(__FILE__, __LINE__, "%s", tp_diag_text(diag));
    tp_diag_free(diag);
    return s;
}

static void check_origin(const struct tp_settings *s, const char *name, const char *want)
{
    struct tp_setting_view view;
    char text[256];

    for (size_t i = 0; tp_settings_at(s, i, &view); i++)
        if (strcmp(view.setting->name, name) == 0) {
            tp_settings_origin_text(s, &view, text, sizeof(text));
            CHECK_STR((const char *)text, want);
            return;
        }
    test_fail(__FILE__, __LINE__, "no setting %s", name);
}

TEST(ours_wins_over_kongs_over_the_file_over_the_default)
{
    const char *env[] = { "KONG_LOG_LEVEL=info", "TURNPIKE_LOG_LEVEL=debug", "KONG_HEADERS=off", NULL };
    struct tp_settings *s = load_good("log_level = crit\nheaders = Via\nport_maps = 80:8000\n", env);

    CHECK_STR(tp_settings_text(s, "log_level"), "debug");
    CHECK_STR(tp_settings_text(s, "headers"), "off");
    CHECK_STR(tp_settings_text(s, "port_maps"), "80:8000");
    CHECK_STR(tp_settings_text(s, "error_default_type"), "text/plain");
    check_origin(s, "log_level", "TURNPIKE_LOG_LEVEL");
    check_origin(s, "headers", "KONG_HEADERS");
    check_origin(s, "error_default_type", "default");
    tp_settings_free(s);
}

TEST(order_of_the_environment_does_not_matter)
{
    const char *env[] = { "TURNPIKE_LOG_LEVEL=debug", "KONG_LOG_LEVEL=info", NULL };
    struct tp_settings *s = load_good("", env);

    CHECK_STR(tp_settings_text(s, "log_level"), "debug");
    tp_settings_free(s);
}

TEST(empty_variable_unsets_what_the_file_says)
{
    const char *env[] = { "TURNPIKE_PORT_MAPS=", "TURNPIKE_LOG_LEVEL=", NULL };
    struct tp_settings *s = load_good("port_maps = 80:8000\nlog_level = crit\n", env);

    CHECK(tp_settings_text(s, "port_maps") == NULL);
    CHECK_STR(tp_settings_text(s, "log_level"), "notice"); /* it cannot be unset: its default */
    tp_settings_free(s);
}

TEST(comments_end_lines_and_can_be_escaped)
{
    struct tp_settings *s = load_good("# all of it\n  pg_password = a\\#b # the rest\r\n\npg_user=x\n", NULL);

    CHECK_STR(tp_settings_text(s, "pg_password"), "a#b");
    CHECK_STR(tp_settings_text(s, "pg_user"), "x");
    tp_settings_free(s);
}

TEST(unknown_name_is_an_error_with_the_nearest_one)
{
    const char *env[] = { "TURNPIKE_PROXY_LISTN=off", NULL };
    const char *far[] = { "TURNPIKE_COMPLETELY_DIFFERENT_THING=1", NULL };
    const char *kong[] = { "KONG_PROXY_LISTN=off", "KONGO=1", NULL };

    check_finding("", env, "TURNPIKE_PROXY_LISTN", "unknown setting; did you mean TURNPIKE_PROXY_LISTEN?");
    check_finding("log_levle = debug\n", NULL, "log_levle (line 1)", "unknown setting; did you mean log_level?");
    check_finding("", far, "TURNPIKE_COMPLETELY_DIFFERENT_THING", "unknown setting");
    tp_settings_free(load_good("", kong));
}

TEST(lower_case_variable_is_not_the_setting)
{
    const char *env[] = { "TURNPIKE_log_level=debug", NULL };
    struct tp_diag *diag = tp_diag_new();
    struct tp_settings *s = NULL;

    CHECK_INT(load(&s, "", env, diag), TP_ERR_INVALID);
    tp_diag_free(diag);
}

TEST(malformed_values_are_named_in_kongs_words)
{
    const char *number[] = { "TURNPIKE_PG_PORT=x", NULL };
    const char *boolean[] = { "TURNPIKE_PG_SSL=yes", NULL };

    check_finding("log_level = loud\n", NULL, "log_level (line 1)",
                  "log_level has an invalid value: 'loud' (debug, info, notice, warn, error, crit, alert, emerg)");
    check_finding("", number, "TURNPIKE_PG_PORT", "pg_port is not a number: 'x'");
    check_finding("", boolean, "TURNPIKE_PG_SSL", "pg_ssl is not a boolean: 'yes' (on, off)");
    check_finding("lua_max_uri_args = 1001\n", NULL, "lua_max_uri_args (line 1)",
                  "lua_max_uri_args must be an integer between 1 and 1000");
    check_finding("worker_state_update_frequency = 0\n", NULL, "worker_state_update_frequency (line 1)",
                  "worker_state_update_frequency must be greater than 0");
    check_finding("read_model_map_size = 10 GB\n", NULL, "read_model_map_size (line 1)",
                  "read_model_map_size is not a size: '10 GB' (examples: 64k, 10m, 2g)");
}

TEST(kongs_bad_booleans_are_false_and_numbers_unset)
{
    const char *env[] = { "KONG_PG_SSL=yes", "KONG_PG_SEMAPHORE_TIMEOUT=soon", NULL };
    struct tp_settings *s = load_good("", env);

    CHECK(!tp_settings_bool(s, "pg_ssl"));
    CHECK(tp_settings_text(s, "pg_semaphore_timeout") == NULL);
    tp_settings_free(s);
}

TEST(every_mistake_is_reported_at_once)
{
    struct tp_diag *diag = tp_diag_new();
    struct tp_settings *s = NULL;

    CHECK_INT(load(&s, "no equals sign\nlog_level = x\nnode_id = y\ntrusted_ips = z\n", NULL, diag), TP_ERR_INVALID);
    CHECK_INT(tp_diag_count(diag), 4);
    tp_diag_free(diag);
}

TEST(checks_between_settings)
{
    check_finding("trusted_ips = 10.0.0.0/8, foo\n", NULL, "trusted_ips",
                  "trusted_ips must be a comma separated list in the form of IPv4 or IPv6 address or CIDR block or "
                  "'unix:', got 'foo'");
    check_finding("port_maps = 80:8000, 1:x\n", NULL, "port_maps", "invalid port mapping (`port_maps`): 1:x");
    check_finding("headers = Via, X-Foo\n", NULL, "headers", "headers: invalid entry 'X-Foo'");
    check_finding("node_id = 12\n", NULL, "node_id", "node_id must be a valid UUID");
    check_finding("ssl_cert = /a, /b\nssl_cert_key = /c\n", NULL, "ssl_cert",
                  "ssl_cert was specified 2 times while ssl_cert_key was specified 1 times");
    check_finding("ssl_cert = /a\n", NULL, "ssl_cert_key", "ssl_cert_key must be specified");
    check_finding("database = off\n", NULL, "database",
                  "'off' is not supported by this version of Turnpike: use sqlite or postgres");
    check_finding("proxy_listen = localhost:80\n", NULL, "proxy_listen",
                  "proxy_listen must be of form: [off] | <ip>:<port> [flags…], [... next entry ...]");
    check_finding("prefix = /tmp/a;b\n", NULL, "prefix", "the character ';' cannot stand in it");
    tp_settings_free(
        load_good("trusted_ips = 0.0.0.0/0,::/0, unix:\ndns_resolver = 1.1.1.1:53, [::1]:53, ::1\n", NULL));
}

TEST(templates_must_have_two_slots)
{
    char template[64], text[256], message[256];
    int fd;

    snprintf(template, sizeof(template), "/tmp/tp-template-XXXXXX");
    fd = mkstemp(template);
    CHECK(write(fd, "only %s", 7) == 7);
    close(fd);
    snprintf(text, sizeof(text), "error_template_html = %s\n", template);
    snprintf(message, sizeof(message), "%s must hold %%s twice (message, request id), not 1 times", template);
    check_finding(text, NULL, "error_template_html", message);
    unlink(template);
}

TEST(directives_are_injected_only_as_one_directive)
{
    const char *env[] = { "KONG_NGINX_HTTP_CLIENT_MAX_BODY_SIZE=1m", "TURNPIKE_NGINX_HTTP_GZIP=on", NULL };
    struct tp_settings *s = load_good("", env);
    static const char words[] = "the value must be one directive's arguments: no line break, brace, '#' or ';' outside "
                                "quotes";

    CHECK_STR(tp_settings_text(s, "nginx_http_client_max_body_size"), "1m");
    CHECK_STR(tp_settings_text(s, "nginx_http_gzip"), "on");
    tp_settings_free(s);
    check_finding("nginx_http_gzip = on; load_module x\n", NULL, "nginx_http_gzip", words);
    check_finding("nginx_proxy_foo = } server {\n", NULL, "nginx_proxy_foo", words);
    check_finding("proxy_access_log = a; daemon on\n", NULL, "proxy_access_log", words);
    check_finding("nginx_nowhere_gzip = on\n", NULL, "nginx_nowhere_gzip (line 1)", "unknown setting");
}

TEST(directive_values_follow_nginxs_lexer)
{
    CHECK(tp_directive_value_safe("4 8k"));
    CHECK(tp_directive_value_safe("f '$a {\"b\";} ${c}'"));
    CHECK(tp_directive_value_safe("x ${name}y"));
    CHECK(tp_directive_value_safe("\"a\\\"b\""));
    CHECK(!tp_directive_value_safe("a;"));
    CHECK(!tp_directive_value_safe("a\nb"));
    CHECK(!tp_directive_value_safe("'open"));
    CHECK(!tp_directive_value_safe("a\\"));
    CHECK(!tp_directive_value_safe("${a;b}"));
    CHECK(!tp_directive_value_safe("a # b"));
    CHECK(!tp_directive_value_safe("a } b"));
}

TEST(json_is_typed_and_keeps_no_secrets)
{
    const char *env[] = { "KONG_PG_PASSWORD=hush", NULL };
    struct tp_settings *s = load_good("plugins = bundled, request-transformer_1251\nadmin_serve_timeout = 0.5\n", env);
    json_t *all = tp_settings_json(s, false), *secrets = tp_settings_json(s, true);

    CHECK_INT(json_array_size(json_object_get(all, "plugins")), 2);
    CHECK_STR(json_string_value(json_array_get(json_object_get(all, "plugins"), 1)), "request-transformer_1251");
    CHECK_INT(json_integer_value(json_object_get(all, "pg_port")), 5432);
    CHECK_INT(json_integer_value(json_object_get(all, "read_model_map_size")), (int64_t)64 << 30);
    CHECK(json_real_value(json_object_get(all, "admin_serve_timeout")) == 0.5);
    CHECK(json_is_false(json_object_get(all, "pg_ssl")));
    CHECK_STR(json_string_value(json_object_get(all, "real_ip_recursive")), "off");
    CHECK_STR(json_string_value(json_object_get(all, "pg_password")), "******");
    CHECK(json_object_get(all, "trusted_ips") == NULL);
    CHECK_STR(json_string_value(json_object_get(secrets, "pg_password")), "hush");
    CHECK_INT(json_object_size(secrets), 1);
    json_decref(all);
    json_decref(secrets);
    tp_settings_free(s);
}

TEST(missing_file_is_named)
{
    struct tp_settings_input input = { .file = "/nonexistent/x.conf" };
    struct tp_diag *diag = tp_diag_new();
    struct tp_settings *s = NULL;

    CHECK_INT(tp_settings_load(&s, &input, diag), TP_ERR_NOT_FOUND);
    CHECK_STR(tp_diag_message(diag, 0), "no file at: /nonexistent/x.conf");
    tp_diag_free(diag);
}

TEST(command_line_prefix_wins)
{
    const char *env[] = { "TURNPIKE_PREFIX=/tmp/from-env", NULL };
    struct tp_settings_input input = { .prefix = "/tmp/from-line", .environ_vars = env };
    struct tp_diag *diag = tp_diag_new();
    struct tp_settings *s = NULL;

    CHECK_INT(tp_settings_load(&s, &input, diag), TP_OK);
    CHECK_STR(tp_settings_text(s, "prefix"), "/tmp/from-line");
    check_origin(s, "prefix", "command line");
    tp_settings_free(s);
    tp_diag_free(diag);
}

TEST(table_is_consistent)
{
    for (size_t i = 0; i < tp_setting_count; i++) {
        const struct tp_setting *s = &tp_setting_table[i];
        char message[512], *normal = NULL;

        CHECK(s->about && s->about[0]);
        CHECK((s->type == TP_SETTING_ENUM) == (s->one_of != NULL));
        CHECK(!s->needed || s->def);
        for (size_t j = 0; j < i; j++)
            CHECK(strcmp(s->name, tp_setting_table[j].name) != 0);
        if (s->def)
            CHECK(tp_setting_normalize(s, s->def, &normal, message, sizeof(message)));
        free(normal);
    }
}

TEST(sizes_parse)
{
    double n = 0;

    CHECK(tp_bytes_parse("10m", &n) && n == 10 * 1048576.0);
    CHECK(tp_bytes_parse("64G", &n) && n == 64 * 1073741824.0);
    CHECK(tp_bytes_parse("7", &n) && n == 7);
    CHECK(!tp_bytes_parse("", &n));
    CHECK(!tp_bytes_parse("-1", &n));
    CHECK(!tp_bytes_parse("1mm", &n));
}
