#include "support/plugin_rig.h"
#include "support/test.h"

extern const struct tp_plugin tp_plugin_key_auth;

static struct plugin_rig *guarded(const char *path, const char *config)
{
    struct plugin_rig *rig = plugin_rig_new(path);

    plugin_rig_add(rig, &tp_plugin_key_auth, config);
    return rig;
}

static void refused(struct plugin_rig *rig, struct mem_request *r, const char *message)
{
    CHECK_INT(r->status, 401);
    CHECK(plugin_rig_says(r, message));
    CHECK(!r->proxied);
    (void)rig;
}

TEST(a_key_in_a_header_tells_who_calls)
{
    struct plugin_rig *rig = guarded("/", "{}");
    struct mem_request *r = plugin_rig_get(rig, "/", "Host: a\nAPIKEY: K1\nX-Consumer-Username: spoof");

    CHECK_INT(r->status, 200);
    CHECK_STR(plugin_rig_header(r, "X-Consumer-Username"), "bob");
    CHECK_STR(plugin_rig_header(r, "X-Consumer-ID"), RIG_BOB);
    CHECK_STR(plugin_rig_header(r, "X-Consumer-Custom-ID"), "cust-bob");
    CHECK_STR(plugin_rig_header(r, "X-Credential-Identifier"), RIG_BOB_KEY_ID);
    CHECK_STR(plugin_rig_header(r, "apikey"), "K1");
    plugin_rig_free(rig);
}

TEST(refusals_say_why)
{
    struct plugin_rig *rig = guarded("/", "{}");
    struct mem_request *r = plugin_rig_get(rig, "/", NULL);

    refused(rig, r, "No API key found in request");
    CHECK_STR(engine_mem_header(r, "WWW-Authenticate"), "Key");
    refused(rig, plugin_rig_get(rig, "/", "Host: a\napikey: bad"), "Unauthorized");
    refused(rig, plugin_rig_get(rig, "/", "Host: a\napikey: K1\napikey: K2"), "Duplicate API key found");
    refused(rig, plugin_rig_get(rig, "/?apikey=K1&apikey=K2", NULL), "Duplicate API key found");
    refused(rig, plugin_rig_get(rig, "/?apikey=K1", "Host: a\napikey:"), "No API key found in request");
    refused(rig, plugin_rig_get(rig, "/?apikey", NULL), "No API key found in request");
    refused(rig, plugin_rig_get(rig, "/?apikey[]=K1", NULL), "No API key found in request");
    plugin_rig_free(rig);
    rig = guarded("/", "{\"realm\":\"my realm\"}");
    CHECK_STR(engine_mem_header(plugin_rig_get(rig, "/", NULL), "WWW-Authenticate"), "Key realm=\"my realm\"");
    plugin_rig_free(rig);
}

TEST(the_search_is_by_name_first)
{
    struct plugin_rig *rig = guarded("/", "{\"key_names\":[\"apikey\",\"x-key\"]}");

    CHECK_INT(plugin_rig_get(rig, "/", "Host: a\nx-key: K1")->status, 200);
    refused(rig, plugin_rig_get(rig, "/?apikey=wrong", "Host: a\nx-key: K1"), "Unauthorized");
    plugin_rig_free(rig);
}

TEST(hidden_keys_do_not_reach_the_upstream)
{
    struct plugin_rig *rig = guarded("/", "{\"hide_credentials\":true,\"key_in_body\":true}");
    struct mem_request *r = plugin_rig_get(rig, "/?apikey=K1&z=1", NULL);

    CHECK_STR(plugin_rig_line(r), "GET /?z=1 HTTP/1.1");
    r = plugin_rig_get(rig, "/", "Host: a\napikey: K1");
    CHECK(plugin_rig_header(r, "apikey").data == NULL);
    r = plugin_rig_send(rig,
                        (struct mem_input){ .method = "POST",
                                            .target = "/",
                                            .body = "apikey=K1&a=b",
                                            .headers = "Host: a\nContent-Type: application/x-www-form-urlencoded" });
    CHECK_STR(plugin_rig_body(r), "a=b");
    r = plugin_rig_send(rig, (struct mem_input){ .method = "POST",
                                                 .target = "/",
                                                 .body = "{\"apikey\": \"K1\", \"a\": 1}",
                                                 .headers = "Host: a\nContent-Type: application/json" });
    CHECK_STR(plugin_rig_body(r), "{\"a\":1}");
    CHECK_STR(plugin_rig_header(r, "Content-Length"), "7");
    r = plugin_rig_send(
        rig,
        (struct mem_input){ .method = "POST",
                            .target = "/",
                            .body = "--b\r\nContent-Disposition: form-data; name=\"apikey\"\r\n\r\nK1\r\n--b--\r\n",
                            .headers = "Host: a\nContent-Type: multipart/form-data; boundary=b" });
    CHECK_STR(plugin_rig_body(r), "--b--\r\n");
    plugin_rig_free(rig);
}

TEST(bodies_are_searched_only_when_asked_and_readable)
{
    struct plugin_rig *rig = guarded("/", "{\"key_in_body\":true}");
    const char *json = "Host: a\nContent-Type: application/json";

    refused(rig,
            plugin_rig_send(
                rig, (struct mem_input){ .method = "POST", .target = "/", .body = "{\"apikey\":", .headers = json }),
            "No API key found");
    refused(rig,
            plugin_rig_send(rig,
                            (struct mem_input){
                                .method = "POST", .target = "/", .body = "{\"apikey\":[\"K1\"]}", .headers = json }),
            "Duplicate");
    refused(rig,
            plugin_rig_send(
                rig, (struct mem_input){ .method = "POST", .target = "/", .body = "{\"apikey\":1}", .headers = json }),
            "No API key found");
    refused(rig,
            plugin_rig_send(rig, (struct mem_input){ .method = "POST",
                                                     .target = "/",
                                                     .body = "apikey=K1",
                                                     .headers = "Host: a\nContent-Type: text/plain" }),
            "No API key found");
    CHECK_INT(plugin_rig_send(rig, (struct mem_input){ .method = "POST",
                                                       .target = "/",
                                                       .chunked = true,
                                                       .body = "{\"apikey\":\"K1\",\"n\":99999999999999999999}",
                                                       .headers = json })
                  ->status,
              200);
    plugin_rig_free(rig);
}

TEST(the_anonymous_consumer_stands_in)
{
    struct plugin_rig *rig = guarded("/", "{\"anonymous\":\"amy\"}");
    struct mem_request *r = plugin_rig_get(rig, "/", "Host: a\napikey: bad\nX-Credential-Identifier: spoof");

    CHECK_INT(r->status, 200);
    CHECK_STR(plugin_rig_header(r, "X-Anonymous-Consumer"), "true");
    CHECK_STR(plugin_rig_header(r, "X-Consumer-Username"), "amy");
    CHECK(plugin_rig_header(r, "X-Credential-Identifier").data == NULL);
    r = plugin_rig_get(rig, "/", "Host: a\napikey: K1\nX-Anonymous-Consumer: true");
    CHECK(plugin_rig_header(r, "X-Anonymous-Consumer").data == NULL);
    plugin_rig_free(rig);
    rig = guarded("/", "{\"anonymous\":\"nobody\"}");
    CHECK_INT(plugin_rig_get(rig, "/", NULL)->status, 500);
    plugin_rig_free(rig);
}

TEST(preflights_may_pass)
{
    struct plugin_rig *rig = guarded("/", "{\"run_on_preflight\":false}");

    CHECK_INT(
        plugin_rig_send(rig, (struct mem_input){ .method = "OPTIONS", .target = "/", .headers = "Host: a" })->status,
        200);
    CHECK_INT(plugin_rig_get(rig, "/", NULL)->status, 401);
    plugin_rig_free(rig);
}

TEST(a_key_in_the_path_is_found_and_hidden)
{
    struct plugin_rig *rig = guarded("~/forecast/(?<key>[^/]+)/",
                                     "{\"key_in_path\":\"key\",\"hide_credentials\":true}");
    struct mem_request *r = plugin_rig_get(rig, "/forecast/K1/45.42,-75.69", NULL);

    CHECK_INT(r->status, 200);
    CHECK_STR(plugin_rig_header(r, "X-Consumer-Username"), "bob");
    CHECK(tp_str_find(tp_buf_str(&r->upstream), TP_STR("K1")) < 0);
    r = plugin_rig_get(rig, "/forecast/S3CR3T/45.42,-75.69", NULL);
    refused(rig, r, "Unauthorized");
    CHECK(tp_str_find(tp_buf_str(&rig->engine->log), TP_STR("S3CR3T")) < 0);
    plugin_rig_free(rig);
}
