/* run/settings.json as the worker reads it: Kong's defaults for what is absent, and every mistake named. */
#include "edge/settings.h"

#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static enum tp_err load(const char *json, struct tp_edge_settings **out, struct tp_diag *diag)
{
    char path[] = "/tmp/turnpike-settings-XXXXXX";
    int fd = mkstemp(path);
    enum tp_err err;

    CHECK(fd >= 0 && write(fd, json, strlen(json)) == (ssize_t)strlen(json));
    close(fd);
    err = tp_edge_settings_load(out, path, diag);
    unlink(path);
    return err;
}

static struct tp_edge_settings *load_good(const char *json)
{
    struct tp_edge_settings *s = NULL;
    struct tp_diag *diag = tp_diag_new();

    CHECK_INT(load(json, &s, diag), TP_OK);
    CHECK_INT(tp_diag_count(diag), 0);
    tp_diag_free(diag);
    return s;
}

static size_t findings(const char *json)
{
    struct tp_edge_settings *s = NULL;
    struct tp_diag *diag = tp_diag_new();
    size_t count;

    CHECK(load(json, &s, diag) != TP_OK);
    CHECK(s == NULL);
    count = tp_diag_count(diag);
    tp_diag_free(diag);
    return count;
}

TEST(absent_keys_have_kongs_defaults)
{
    struct tp_edge_settings *s = load_good("{\"prefix\": \"/p\"}");

    CHECK_STR(s->prefix, "/p");
    CHECK_STR(s->plugins, "bundled");
    CHECK_INT(s->keepalive_pool_size, 512);
    CHECK_INT(s->keepalive_max_requests, 10000);
    CHECK_INT(s->keepalive_idle_ms, 60000);
    CHECK(s->gateway.header_server && s->gateway.header_via && s->gateway.header_request_id);
    CHECK(s->gateway.header_proxy_latency && !s->gateway.header_upstream_status);
    CHECK(s->gateway.upstream_request_id);
    CHECK_INT(s->gateway.flavor, TP_ROUTER_TRADITIONAL_COMPATIBLE);
    CHECK_INT(s->gateway.trusted_ips.count, 0);
    tp_edge_settings_free(s);
}

TEST(null_and_empty_are_absent)
{
    struct tp_edge_settings *s = load_good("{\"prefix\": \"/p\", \"plugins\": \"\", \"trusted_ips\": null}");

    CHECK_STR(s->plugins, "bundled");
    CHECK_INT(s->gateway.trusted_ips.count, 0);
    tp_edge_settings_free(s);
}

TEST(headers_are_tokens_and_single_names)
{
    struct tp_edge_settings *s = load_good("{\"prefix\": \"/p\", \"headers\": \"Via, x-kong-upstream-status\"}");

    CHECK(s->gateway.header_via && !s->gateway.header_server);
    CHECK(s->gateway.header_upstream_status && !s->gateway.header_request_id);
    tp_edge_settings_free(s);
    s = load_good("{\"prefix\": \"/p\", \"headers\": [\"off\"]}");
    CHECK(!s->gateway.header_via && !s->gateway.header_response_latency);
    tp_edge_settings_free(s);
}

TEST(lists_come_as_arrays_or_with_commas)
{
    struct tp_edge_settings *s = load_good("{\"prefix\": \"/p\", \"trusted_ips\": \" 10.0.0.0/8 ,::1\", "
                                           "\"port_maps\": [\"80:8000\"]}");

    CHECK_INT(s->gateway.trusted_ips.count, 2);
    CHECK_STR(*TP_LIST_AT(s->gateway.trusted_ips, struct tp_str, 0), "10.0.0.0/8");
    CHECK_STR(*TP_LIST_AT(s->gateway.port_maps, struct tp_str, 0), "80:8000");
    tp_edge_settings_free(s);
}

TEST(sizes_have_suffixes_and_bounds)
{
    struct tp_edge_settings *s = load_good("{\"prefix\": \"/p\", \"read_model_map_size\": \"2g\"}");

    CHECK_INT(s->read_model_map_bytes, (int64_t)2 << 30);
    tp_edge_settings_free(s);
    CHECK_INT(findings("{\"prefix\": \"/p\", \"read_model_map_size\": \"2x\"}"), 1);
    CHECK_INT(findings("{\"prefix\": \"/p\", \"quota_identities\": 1}"), 1);
    CHECK_INT(findings("{\"prefix\": \"/p\", \"quota_identities\": -9223372036854775807}"), 1);
}

TEST(every_mistake_is_named)
{
    CHECK_INT(findings("{\"router_flavor\": \"lua\", \"plugins\": 5}"), 3); /* and no prefix */
    CHECK_INT(findings("{\"prefix\": \"/p\", \"error_template_json\": \"/nowhere/at/all\"}"), 1);
}

TEST(not_an_object_is_refused)
{
    CHECK_INT(findings("[1]"), 1);
    CHECK_INT(findings("{\"prefix\""), 1);
    CHECK_INT(findings(""), 1);
}
