/* Checks of settings that need more than one value, or more than its type. Every finding is reported. */
#include "base/mem.h"
#include "cli/listen.h"
#include "cli/settings.h"
#include "turnpike/uuid.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define TEMPLATE_MAX (256 * 1024)

typedef bool (*item_fn)(struct tp_str item);

static bool is_ip_or_cidr(struct tp_str item)
{
    ptrdiff_t slash = tp_str_chr(item, '/');
    struct tp_str ip = slash < 0 ? item : tp_str_head(item, (size_t)slash);
    unsigned char bytes[16];
    int64_t bits = 0;
    char text[64];
    int family;

    if (tp_str_eq(item, TP_STR("unix:")))
        return true;
    if (ip.len == 0 || ip.len >= sizeof(text))
        return false;
    snprintf(text, sizeof(text), "%.*s", TP_STR_ARG(ip));
    family = strchr(text, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(family, text, bytes) != 1)
        return false;
    return slash < 0 || (tp_str_to_i64(tp_str_from(item, (size_t)slash + 1), &bits) && bits >= 0 &&
                         bits <= (family == AF_INET ? 32 : 128));
}

static bool is_port(struct tp_str text)
{
    int64_t port;

    return tp_str_to_i64(text, &port) && port >= 1 && port <= 65535;
}

static bool is_port_map(struct tp_str item)
{
    ptrdiff_t colon = tp_str_chr(item, ':');

    return colon > 0 && is_port(tp_str_head(item, (size_t)colon)) && is_port(tp_str_from(item, (size_t)colon + 1));
}

static bool is_resolver(struct tp_str item)
{
    ptrdiff_t close = tp_str_chr(item, ']'), colon = tp_str_chr(item, ':');

    if (item.len > 0 && item.data[0] == '[')
        return close > 1 && is_ip_or_cidr(tp_str_make(item.data + 1, (size_t)close - 1)) &&
               ((size_t)close + 1 == item.len ||
                (item.data[close + 1] == ':' && is_port(tp_str_from(item, (size_t)close + 2))));
    if (tp_str_chr(item, '/') < 0 && is_ip_or_cidr(item))
        return true; /* an address without port; of IPv6 without brackets too */
    if (colon < 0)
        return false;
    return is_ip_or_cidr(tp_str_head(item, (size_t)colon)) && is_port(tp_str_from(item, (size_t)colon + 1));
}

static bool is_domain(struct tp_str item)
{
    for (size_t i = 0; i < item.len; i++)
        if (!isalnum((unsigned char)item.data[i]) && !strchr("-_.", item.data[i]))
            return false;
    return item.len > 0 && item.len < 254;
}

static bool is_in(struct tp_str item, const char *const *words)
{
    for (; *words; words++)
        if (tp_str_eq_nocase(item, tp_str_from_cstr(*words)))
            return true;
    return false;
}

static bool is_answer_header(struct tp_str item)
{
    static const char *const words[] = {
        "off",
        "server_tokens",
        "latency_tokens",
        "server",
        "via",
        "x-kong-proxy-latency",
        "x-kong-response-latency",
        "x-kong-upstream-latency",
        "x-kong-admin-latency",
        "x-kong-upstream-status",
        "x-kong-request-id",
        NULL,
    };

    return is_in(item, words);
}

static bool is_upstream_header(struct tp_str item)
{
    static const char *const words[] = { "off", "x-kong-request-id", NULL };

    return is_in(item, words);
}

/* `format` takes the bad item (%.*s). Only the first bad item of a list is reported, as Kong does. */
static void check_list(const struct tp_settings *s, const char *name, item_fn is_good, const char *format,
                       struct tp_diag *diag)
{
    struct tp_str rest = tp_str_from_cstr(tp_settings_text(s, name)), item;
    char message[512];

    while (tp_str_next(&rest, ',', &item)) {
        item = tp_str_trim(item);
        if (is_good(item))
            continue;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(message, sizeof(message), format, TP_STR_ARG(item));
#pragma GCC diagnostic pop
        tp_diag_add(diag, name, "%s", message);
        return;
    }
}

static void check_listeners(const struct tp_settings *s, struct tp_diag *diag)
{
    static const char *const names[] = { "proxy_listen", "admin_listen", "status_listen" };
    struct tp_listen_set *set = tp_new(struct tp_listen_set);

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        tp_listen_parse(set, names[i], tp_settings_text(s, names[i]), diag);
    free(set);
}

static size_t list_len(const char *text)
{
    size_t n = text ? 1 : 0;

    for (; text && *text; text++)
        n += *text == ',';
    return n;
}

static void check_certificates(const struct tp_settings *s, const char *cert_name, const char *key_name,
                               struct tp_diag *diag)
{
    const char *cert = tp_settings_text(s, cert_name), *key = tp_settings_text(s, key_name);

    if (cert && !key)
        tp_diag_add(diag, key_name, "%s must be specified", key_name);
    else if (key && !cert)
        tp_diag_add(diag, cert_name, "%s must be specified", cert_name);
    else if (list_len(cert) != list_len(key))
        tp_diag_add(diag, cert_name, "%s was specified %zu times while %s was specified %zu times", cert_name,
                    list_len(cert), key_name, list_len(key));
}

static void check_template(const struct tp_settings *s, const char *name, struct tp_diag *diag)
{
    const char *path = tp_settings_text(s, name);
    size_t slots = 0;
    char *text;
    ssize_t len;
    int fd;

    if (!path)
        return;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        tp_diag_add(diag, name, "%s: %m", path);
        return;
    }
    text = tp_calloc(1, TEMPLATE_MAX + 1);
    len = read(fd, text, TEMPLATE_MAX + 1);
    close(fd);
    for (ssize_t i = 0; i + 1 < len; i++)
        slots += text[i] == '%' && text[i + 1] == 's';
    if (len < 0 || len > TEMPLATE_MAX)
        tp_diag_add(diag, name, "%s cannot be read, or is longer than %d bytes", path, TEMPLATE_MAX);
    else if (slots != 2)
        tp_diag_add(diag, name, "%s must hold %%s twice (message, request id), not %zu times", path, slots);
    free(text);
}

static void check_database(const struct tp_settings *s, struct tp_diag *diag)
{
    const char *database = tp_settings_text(s, "database"), *role = tp_settings_text(s, "role");

    if (strcmp(database, "cassandra") == 0)
        tp_diag_add(diag, "database", "Cassandra is not supported, as in Kong since 3.4: use sqlite or postgres");
    else if (strcmp(database, "sqlite") != 0 && strcmp(database, "postgres") != 0)
        tp_diag_add(diag, "database", "'%s' is not supported by this version of Turnpike: use sqlite or postgres",
                    database);
    if (role && strcmp(role, "traditional") != 0)
        tp_diag_add(diag, "role", "'%s' is not supported by this version of Turnpike: use traditional", role);
}

/*
 * The prefix stands in nginx's configuration and in socket addresses: no character that means something
 * there, and room for the longest name in the 107 bytes of a unix socket's path.
 */
static void check_prefix(const struct tp_settings *s, struct tp_diag *diag)
{
    static const char special[] = "\"'\\$;{}#*?";
    const char *prefix = tp_settings_text(s, "prefix");

    for (const char *c = prefix; *c; c++) {
        if ((unsigned char)*c < ' ' || strchr(special, *c)) {
            tp_diag_add(diag, "prefix", "the character '%c' cannot stand in it", *c < ' ' ? '?' : *c);
            return;
        }
    }
}

static void check_count_or_auto(const struct tp_settings *s, const char *name, struct tp_diag *diag)
{
    const char *text = tp_settings_text(s, name);
    int64_t n;

    if (text && strcmp(text, "auto") != 0 && (!tp_str_to_i64(tp_str_from_cstr(text), &n) || n < 1 || n > 1 << 20))
        tp_diag_add(diag, name, "%s must be auto or a number from 1 to %d: '%s'", name, 1 << 20, text);
}

/* Settings besides injected directives that go into nginx.conf as they are. */
static bool is_rendered(const char *name)
{
    static const char *const names[] = {
        "nginx_user",
        "real_ip_header",
        "ssl_protocols",
        "ssl_ciphers",
        "ssl_dhparam",
        "ssl_session_timeout",
        "ssl_session_cache_size",
        "proxy_access_log",
        "proxy_error_log",
        "admin_access_log",
        "admin_error_log",
        "status_access_log",
        "status_error_log",
        NULL,
    };
    const char *block, *directive;

    for (size_t i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return tp_setting_directive(name, &block, &directive);
}

static void check_directives(const struct tp_settings *s, struct tp_diag *diag)
{
    struct tp_setting_view view;

    for (size_t i = 0; tp_settings_at(s, i, &view); i++)
        if (view.value && is_rendered(view.setting->name) && !tp_directive_value_safe(view.value))
            tp_diag_add(diag, view.setting->name,
                        "the value must be one directive's arguments: no line break, brace, '#' or ';' outside quotes");
}

void tp_settings_check(const struct tp_settings *s, struct tp_diag *diag)
{
    const char *node_id = tp_settings_text(s, "node_id");
    struct tp_uuid uuid;

    check_prefix(s, diag);
    check_database(s, diag);
    check_listeners(s, diag);
    check_list(s, "trusted_ips", is_ip_or_cidr,
               "trusted_ips must be a comma separated list in the form of IPv4 or IPv6 address or CIDR block or "
               "'unix:', got '%.*s'",
               diag);
    check_list(s, "port_maps", is_port_map, "invalid port mapping (`port_maps`): %.*s", diag);
    check_list(s, "headers", is_answer_header, "headers: invalid entry '%.*s'", diag);
    check_list(s, "headers_upstream", is_upstream_header, "headers_upstream: invalid entry '%.*s'", diag);
    check_list(s, "dns_resolver", is_resolver, "dns_resolver must be a list of ip[:port], got '%.*s'", diag);
    check_list(s, "dns_search", is_domain, "dns_search must be a list of domains, got '%.*s'", diag);
    check_certificates(s, "ssl_cert", "ssl_cert_key", diag);
    check_certificates(s, "admin_ssl_cert", "admin_ssl_cert_key", diag);
    check_certificates(s, "status_ssl_cert", "status_ssl_cert_key", diag);
    check_template(s, "error_template_html", diag);
    check_template(s, "error_template_json", diag);
    check_template(s, "error_template_xml", diag);
    check_template(s, "error_template_plain", diag);
    check_count_or_auto(s, "nginx_worker_processes", diag);
    check_count_or_auto(s, "nginx_main_worker_processes", diag);
    check_count_or_auto(s, "nginx_main_worker_rlimit_nofile", diag);
    check_count_or_auto(s, "nginx_events_worker_connections", diag);
    check_directives(s, diag);
    if (node_id && !tp_uuid_parse(tp_str_from_cstr(node_id), &uuid))
        tp_diag_add(diag, "node_id", "node_id must be a valid UUID");
}
