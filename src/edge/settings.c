/* The worker's settings from run/settings.json: settings.h. */
#include "edge/settings.h"

#include "base/mem.h"

#include <jansson.h>
#include <stdio.h>

enum {
    MAX_TEMPLATE_BYTES = 1 << 20,
};

struct reader {
    struct tp_edge_settings *out;
    const json_t *root;
    struct tp_diag *diag;
};

/* NULL for a key that is absent, null or empty text: Kong's default counts then. */
static const json_t *get(const struct reader *rd, const char *key)
{
    const json_t *value = json_object_get(rd->root, key);

    if (!value || json_is_null(value) || (json_is_string(value) && json_string_length(value) == 0))
        return NULL;
    return value;
}

/* A list of text as one, with commas. */
static struct tp_str get_joined(const struct reader *rd, const char *key, const json_t *list)
{
    struct tp_str joined = TP_STR("");
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        if (json_is_string(item))
            joined = tp_arena_printf(rd->out->arena, "%.*s%s%s", TP_STR_ARG(joined), i ? "," : "",
                                     json_string_value(item));
        else
            tp_diag_add(rd->diag, key, "must be a list of text");
    }
    return joined;
}

static struct tp_str get_text(const struct reader *rd, const char *key, const char *def)
{
    const json_t *value = get(rd, key);

    if (!value)
        return tp_str_from_cstr(def);
    if (json_is_array(value))
        return get_joined(rd, key, value);
    if (!json_is_string(value)) {
        tp_diag_add(rd->diag, key, "must be text");
        return tp_str_from_cstr(def);
    }
    return tp_arena_dup(rd->out->arena, tp_str_make(json_string_value(value), json_string_length(value)));
}

static bool get_bool(const struct reader *rd, const char *key, bool def)
{
    const json_t *value = get(rd, key);

    if (!value)
        return def;
    if (json_is_string(value)) {
        const char *text = json_string_value(value);

        return strcmp(text, "on") == 0 || strcmp(text, "true") == 0;
    }
    if (!json_is_boolean(value))
        tp_diag_add(rd->diag, key, "must be on or off");
    return json_is_true(value);
}

/* An integer, or text with nginx's suffix k, m or g. */
static int64_t get_size(const struct reader *rd, const char *key, int64_t def, int64_t min, int64_t max)
{
    const json_t *value = get(rd, key);
    int64_t n = def, factor = 1;

    if (!value)
        return def;
    if (json_is_integer(value)) {
        n = json_integer_value(value);
    } else if (json_is_string(value)) {
        struct tp_str text = tp_str_make(json_string_value(value), json_string_length(value));

        switch (text.data[text.len - 1] | 0x20) {
        case 'k': factor = 1 << 10; break;
        case 'm': factor = 1 << 20; break;
        case 'g': factor = 1 << 30; break;
        default: break;
        }
        if (factor > 1)
            text.len--;
        if (!tp_str_to_i64(text, &n))
            n = -1;
    } else {
        n = -1;
    }
    if (n < 0 || n > max / factor || n * factor < min) {
        tp_diag_add(rd->diag, key, "must be a number between %lld and %lld", (long long)min, (long long)max);
        return def;
    }
    return n * factor;
}

/* A list of text, or text with commas. */
static struct tp_list get_list(const struct reader *rd, const char *key, const char *def)
{
    const json_t *value = get(rd, key), *item;
    struct tp_str *items;
    size_t count = 0, i;

    if (json_is_array(value)) {
        items = tp_arena_new_array(rd->out->arena, struct tp_str, json_array_size(value) + 1);
        json_array_foreach(value, i, item)
        {
            if (json_is_string(item))
                items[count++] = tp_arena_dup(rd->out->arena,
                                              tp_str_make(json_string_value(item), json_string_length(item)));
            else
                tp_diag_add(rd->diag, key, "must be a list of text");
        }
    } else {
        struct tp_str text = get_text(rd, key, def), part;

        items = tp_arena_new_array(rd->out->arena, struct tp_str, text.len + 2);
        while (tp_str_next(&text, ',', &part)) {
            part = tp_str_trim(part);
            if (part.len)
                items[count++] = part;
        }
    }
    return (struct tp_list){ items, count };
}

static bool has_token(struct tp_list list, const char *name)
{
    for (size_t i = 0; i < list.count; i++) {
        if (tp_str_eq_nocase(*TP_LIST_AT(list, struct tp_str, i), tp_str_from_cstr(name)))
            return true;
    }
    return false;
}

/* `headers`: two group names and single ones (proxying.md §4). */
static void read_headers(struct reader *rd)
{
    struct tp_gateway_settings *g = &rd->out->gateway;
    struct tp_list list = get_list(rd, "headers", "server_tokens, latency_tokens, X-Kong-Request-Id");
    struct tp_list upstream = get_list(rd, "headers_upstream", "X-Kong-Request-Id");

    g->header_server_tokens = has_token(list, "server_tokens");
    g->header_latency_tokens = has_token(list, "latency_tokens");
    g->header_server = g->header_server_tokens || has_token(list, "Server");
    g->header_via = g->header_server_tokens || has_token(list, "Via");
    g->header_upstream_latency = g->header_latency_tokens || has_token(list, "X-Kong-Upstream-Latency");
    g->header_proxy_latency = g->header_latency_tokens || has_token(list, "X-Kong-Proxy-Latency");
    g->header_response_latency = g->header_latency_tokens || has_token(list, "X-Kong-Response-Latency");
    g->header_request_id = has_token(list, "X-Kong-Request-Id");
    g->header_upstream_status = has_token(list, "X-Kong-Upstream-Status");
    g->upstream_request_id = has_token(upstream, "X-Kong-Request-Id");
}

static void read_flavor(struct reader *rd)
{
    struct tp_str flavor = get_text(rd, "router_flavor", "traditional_compatible");

    if (tp_str_eq(flavor, TP_STR("traditional")))
        rd->out->gateway.flavor = TP_ROUTER_TRADITIONAL;
    else if (tp_str_eq(flavor, TP_STR("traditional_compatible")))
        rd->out->gateway.flavor = TP_ROUTER_TRADITIONAL_COMPATIBLE;
    else
        tp_diag_add(rd->diag, "router_flavor", "must be traditional or traditional_compatible, not '%.*s'",
                    TP_STR_ARG(flavor));
}

static void read_template(struct reader *rd, const char *key, struct tp_str *out)
{
    struct tp_str path = get_text(rd, key, NULL);
    char *data;
    size_t size;
    FILE *file;

    if (!path.data)
        return;
    file = fopen(path.data, "re");
    if (!file) {
        tp_diag_add(rd->diag, key, "cannot open '%s'", path.data);
        return;
    }
    data = tp_arena_alloc(rd->out->arena, MAX_TEMPLATE_BYTES);
    size = fread(data, 1, MAX_TEMPLATE_BYTES, file);
    if (ferror(file) || size == MAX_TEMPLATE_BYTES)
        tp_diag_add(rd->diag, key, "cannot read '%s', or it is longer than 1 MiB", path.data);
    else
        *out = tp_str_make(data, size);
    fclose(file);
}

static void read_all(struct reader *rd)
{
    struct tp_edge_settings *s = rd->out;
    static const char *const templates[4] = { "error_template_html", "error_template_json", "error_template_xml",
                                              "error_template_plain" };

    s->prefix = get_text(rd, "prefix", NULL);
    if (!s->prefix.data)
        tp_diag_add(rd->diag, "prefix", "is missing");
    s->plugins = get_text(rd, "plugins", "bundled");
    s->hosts_file = get_text(rd, "dns_hostsfile", "/etc/hosts");
    s->search_domains = get_list(rd, "dns_search", NULL);
    s->search_ndots = get_size(rd, "dns_ndots", 1, 0, 15);
    s->trusted_certificates = get_text(rd, "lua_ssl_trusted_certificate", NULL);
    if (tp_str_eq(s->trusted_certificates, TP_STR("system")))
        s->trusted_certificates = TP_STR_NULL;
    s->tls_verify_depth = get_size(rd, "lua_ssl_verify_depth", 1, 0, 100);
    s->gateway.error_default_type = get_text(rd, "error_default_type", "text/plain");
    s->keepalive_pool_size = get_size(rd, "upstream_keepalive_pool_size", 512, 0, 1 << 20);
    s->keepalive_max_requests = get_size(rd, "upstream_keepalive_max_requests", 10000, 0, INT32_MAX);
    s->keepalive_idle_ms = 1000 * get_size(rd, "upstream_keepalive_idle_timeout", 60, 0, 1 << 20);
    s->read_model_map_bytes = (uint64_t)get_size(rd, "read_model_map_size", (int64_t)64 << 30, 1 << 20,
                                                 (int64_t)1 << 44);
    s->quota_identities = (uint64_t)get_size(rd, "quota_identities", 1 << 20, 1024, 1 << 28);
    s->quota_addresses = (uint64_t)get_size(rd, "quota_addresses", 1 << 18, 1024, 1 << 28);
    s->upstream_buffer_bytes = get_size(rd, "nginx_proxy_proxy_buffer_size", 8192, 1024, 1 << 20);
    s->drain_idle_ms = 1000 * get_size(rd, "drain_idle", 5, 0, 3600);

    s->gateway.flat_windows = get_bool(rd, "rate_limiting_flat_windows", false);
    s->gateway.allow_debug_header = get_bool(rd, "allow_debug_header", false);
    s->gateway.trusted_ips = get_list(rd, "trusted_ips", NULL);
    s->gateway.port_maps = get_list(rd, "port_maps", NULL);
    read_headers(rd);
    read_flavor(rd);
    for (size_t i = 0; i < 4; i++)
        read_template(rd, templates[i], &s->gateway.error_template[i]);
}

enum tp_err tp_edge_settings_load(struct tp_edge_settings **out, const char *path, struct tp_diag *diag)
{
    struct reader rd = { .diag = diag };
    size_t findings = tp_diag_count(diag);
    enum tp_err err = TP_OK;
    json_error_t where;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &where);

    if (!json_is_object(root)) {
        tp_diag_add(diag, path, "%s", root ? "must be a JSON object" : where.text);
        json_decref(root);
        return root ? TP_ERR_INVALID : TP_ERR_IO;
    }
    rd.root = root;
    rd.out = tp_new(struct tp_edge_settings);
    rd.out->arena = tp_arena_new();
    read_all(&rd);
    if (tp_diag_count(diag) > findings) {
        tp_edge_settings_free(rd.out);
        err = TP_ERR_INVALID;
    } else {
        *out = rd.out;
    }
    json_decref(root);
    return err;
}

void tp_edge_settings_free(struct tp_edge_settings *settings)
{
    if (!settings)
        return;
    tp_arena_free(settings->arena);
    free(settings);
}
