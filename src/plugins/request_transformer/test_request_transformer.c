#include "support/plugin_rig.h"
#include "support/test.h"

#include <stdio.h>

extern const struct tp_plugin tp_plugin_request_transformer;

static struct plugin_rig *rig_with(const char *config)
{
    struct plugin_rig *rig = plugin_rig_new("/p ~/re/(?<id>\\d+)");

    plugin_rig_add(rig, &tp_plugin_request_transformer, config);
    return rig;
}

/* The path and query that the upstream got. */
static struct tp_str uri(const struct mem_request *r)
{
    struct tp_str rest = plugin_rig_line(r), word = TP_STR_NULL;

    tp_str_next(&rest, ' ', &word);
    tp_str_next(&rest, ' ', &word);
    return word;
}

static struct mem_request *post(struct plugin_rig *rig, const char *type, const char *body)
{
    char headers[100];

    snprintf(headers, sizeof(headers), "Host: a\nContent-Type: %s", type);
    return plugin_rig_send(
        rig, (struct mem_input){ .method = "POST", .target = "/p?a=9", .body = body, .headers = headers });
}

#define JSON "application/json"
#define FORM "application/x-www-form-urlencoded"
#define PARTS "multipart/form-data; boundary=bb"
#define PART(name, value) "--bb\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"

TEST(add_touches_only_what_is_missing)
{
    struct plugin_rig *rig = rig_with("{\"add\":{\"headers\":[\"X-New:v\",\"X-Exists:no\",\"h-empty:\",\"Host:x\"],"
                                      "\"querystring\":[\"q:1\",\"a:no\"],\"body\":[\"b:2\",\"x:no\"]}}");
    struct mem_request *r = plugin_rig_get(rig, "/p/y?a=1&b=2&c", "Host: a\nX-Exists: 1");

    CHECK_STR(uri(r), "/y?a=1&b=2&c&q=1");
    CHECK_STR(plugin_rig_header(r, "X-New"), "v");
    CHECK_STR(plugin_rig_header(r, "X-Exists"), "1");
    CHECK(plugin_rig_header(r, "h-empty").data == NULL);
    CHECK_STR(plugin_rig_body(post(rig, JSON, "{\"x\":\"1\",\"n\":{\"k\":1},\"arr\":[]}")),
              "{\"x\":\"1\",\"n\":{\"k\":1},\"arr\":[],\"b\":\"2\"}");
    CHECK_STR(plugin_rig_body(post(rig, FORM, "x=1&y=2&y=3")), "b=2&x=1&y=2&y=3");
    CHECK_STR(plugin_rig_body(post(rig, PARTS, PART("x", "1") "--bb--\r\n")),
              PART("x", "1") PART("b", "2") "--bb--\r\n");
    CHECK_STR(plugin_rig_body(post(rig, JSON, "not json")), "not json");
    CHECK_STR(plugin_rig_body(post(rig, JSON, "[1,2]")), "[1,2]");
    CHECK_STR(plugin_rig_body(post(rig, "text/plain", "x=1")), "x=1");
    plugin_rig_free(rig);
}

TEST(remove_takes_out)
{
    struct plugin_rig *rig = rig_with("{\"remove\":{\"headers\":[\"X-Exists\",\"host\"],\"querystring\":[\"a\"],"
                                      "\"body\":[\"x\"]}}");
    struct mem_request *r = plugin_rig_get(rig, "/p?a=1&b=2&c&a=3", "Host: a\nX-Exists: 1\nx-exists: 2");

    CHECK_STR(uri(r), "/?b=2&c");
    CHECK_INT(plugin_rig_header_count(r, "X-Exists"), 0);
    CHECK(plugin_rig_header(r, "Host").data != NULL);
    CHECK_STR(plugin_rig_body(post(rig, JSON, "{\"x\":1,\"y\":0.1}")), "{\"y\":0.1}");
    CHECK_STR(plugin_rig_body(post(rig, PARTS, PART("x", "1") "--bb--\r\n")), "");
    plugin_rig_free(rig);
}

TEST(replace_changes_only_what_exists)
{
    struct plugin_rig *rig = rig_with("{\"replace\":{\"headers\":[\"X-Exists:rep\",\"X-Not:rep\",\"Host:rep.test\"],"
                                      "\"querystring\":[\"a:rep\",\"zz:rep\"],\"body\":[\"x:rep\",\"zz:rep\"],"
                                      "\"uri\":\"/replaced/uri\"}}");
    struct mem_request *r = plugin_rig_get(rig, "/p/y?a=1&a=2&b=2&c", "Host: a\nX-Exists: 1\nX-Exists: 2");

    CHECK_STR(uri(r), "/replaced/uri?a=rep&b=2&c");
    CHECK_STR(plugin_rig_header(r, "Host"), "rep.test");
    CHECK_STR(plugin_rig_header(r, "X-Exists"), "rep");
    CHECK_INT(plugin_rig_header_count(r, "X-Exists"), 1);
    CHECK(plugin_rig_header(r, "X-Not").data == NULL);
    CHECK_STR(plugin_rig_body(post(rig, FORM, "x=1&y=2")), "x=rep&y=2");
    plugin_rig_free(rig);
}

TEST(rename_overwrites_and_changes_case)
{
    struct plugin_rig *rig = rig_with("{\"rename\":{\"headers\":[\"x-a:X-B\",\"rename:Rename\"],"
                                      "\"querystring\":[\"a:z\"],\"body\":[\"a:z\"]}}");
    struct mem_request *r = plugin_rig_get(rig, "/p?a=1&z=2", "Host: a\nX-A: 1\nX-A: 2\nX-B: old\nrename: r");

    CHECK_STR(uri(r), "/?z=1");
    CHECK_INT(plugin_rig_header_count(r, "X-B"), 2);
    CHECK_INT(plugin_rig_header_count(r, "X-A"), 0);
    CHECK(tp_str_find(tp_buf_str(&r->upstream), TP_STR("\nRename: r")) > 0);
    CHECK_STR(plugin_rig_body(post(rig, JSON, "{\"a\":1,\"z\":2}")), "{\"z\":1}");
    plugin_rig_free(rig);
}

TEST(append_adds_beside)
{
    struct plugin_rig *rig = rig_with("{\"append\":{\"headers\":[\"X-Exists:app\",\"X-New:app\"],"
                                      "\"querystring\":[\"a:app\",\"n:app\"],\"body\":[\"x:app\",\"n:app\"]}}");
    struct mem_request *r = plugin_rig_get(rig, "/p?a=1&b=2&c", "Host: a\nX-Exists: 1");

    CHECK_STR(uri(r), "/?a=1&a=app&b=2&c&n=app");
    CHECK_INT(plugin_rig_header_count(r, "X-Exists"), 2);
    CHECK_STR(plugin_rig_header(r, "X-New"), "app");
    CHECK_STR(plugin_rig_body(post(rig, JSON, "{\"x\":\"1\"}")), "{\"x\":[\"1\",\"app\"],\"n\":[\"app\"]}");
    CHECK_STR(plugin_rig_body(post(rig, PARTS, PART("x", "1") "--bb--\r\n")), PART("x", "1") "--bb--\r\n");
    plugin_rig_free(rig);
}

TEST(verbs_run_in_their_order)
{
    struct plugin_rig *rig = rig_with(
        "{\"remove\":{\"headers\":[\"X-Rm\"]},\"rename\":{\"headers\":[\"X-Exists:X-R\"]},"
        "\"replace\":{\"headers\":[\"X-R:rep\"]},\"add\":{\"headers\":[\"X-R:add\",\"X-Add:1\",\"X-Rm:new\"]},"
        "\"append\":{\"headers\":[\"X-Add:2\",\"X-R:3\"]}}");
    struct mem_request *r = plugin_rig_get(rig, "/p", "Host: a\nX-Exists: 1\nX-Rm: z");

    CHECK_STR(plugin_rig_header(r, "X-R"), "rep");
    CHECK_INT(plugin_rig_header_count(r, "X-R"), 2);
    CHECK_INT(plugin_rig_header_count(r, "X-Add"), 2);
    CHECK_STR(plugin_rig_header(r, "X-Rm"), "new");
    plugin_rig_free(rig);
}

TEST(the_method_changes_and_a_form_joins_the_query)
{
    struct plugin_rig *rig = rig_with("{\"http_method\":\"GET\"}");
    struct mem_request *r = post(rig, FORM, "x=1&y=2&y=3");

    CHECK_STR(plugin_rig_line(r), "GET /?a=9&x=1&y=2&y=3 HTTP/1.1");
    CHECK_STR(plugin_rig_body(r), "x=1&y=2&y=3");
    CHECK_STR(uri(post(rig, JSON, "{\"x\":1}")), "/?a=9");
    plugin_rig_free(rig);
    rig = rig_with("{\"http_method\":\"BREW\"}");
    CHECK_INT(plugin_rig_get(rig, "/p", NULL)->status, 500);
    plugin_rig_free(rig);
}

TEST(templates_fill_every_part)
{
    struct plugin_rig *rig = rig_with(
        "{\"add\":{\"headers\":[\"X-T:$(headers['x-exists'])\",\"X-N:$(headers.nope)\",\"X-Esc:$$(x)\"],"
        "\"querystring\":[\"cap:$(uri_captures.id)\"],\"body\":[\"b:$(query_params.a)\"]},"
        "\"replace\":{\"uri\":\"/u/$(uri_captures.id)/$(uri_captures[1])\"}}");
    struct mem_request *r = plugin_rig_get(rig, "/re/42?a=1&a=2", "Host: a\nX-Exists: 1");

    CHECK_STR(uri(r), "/u/42/42?a=1&a=2&cap=42");
    CHECK_STR(plugin_rig_header(r, "X-T"), "1");
    CHECK_STR(plugin_rig_header(r, "X-N"), "");
    CHECK_STR(plugin_rig_header(r, "X-Esc"), "$");
    CHECK_STR(uri(plugin_rig_get(rig, "/p", NULL)), "/u//?cap=");
    CHECK_STR(plugin_rig_body(post(rig, JSON, "")), "{\"b\":\"9\"}");
    plugin_rig_free(rig);
}

TEST(templates_see_the_headers_as_they_came)
{
    struct plugin_rig *rig = rig_with("{\"remove\":{\"headers\":[\"X-Rm\"]},\"rename\":{\"headers\":[\"X-Old:X-Now\"]},"
                                      "\"replace\":{\"headers\":[\"X-Rep:$(headers.x_rm)\"]},"
                                      "\"add\":{\"headers\":[\"X-A:$(headers.x_old)\"]},"
                                      "\"append\":{\"headers\":[\"X-B:$(headers.x_rep)\"]}}");
    struct mem_request *r = plugin_rig_get(rig, "/p", "Host: a\nX-Rm: 1\nX-Old: 2\nX-Rep: 3");

    CHECK_STR(plugin_rig_header(r, "X-Rep"), "1");
    CHECK_STR(plugin_rig_header(r, "X-A"), "2");
    CHECK_STR(plugin_rig_header(r, "X-B"), "3");
    CHECK(plugin_rig_header(r, "X-Rm").data == NULL);
    CHECK_STR(plugin_rig_header(r, "X-Now"), "2");
    plugin_rig_free(rig);
}

TEST(a_failing_template_fails_the_request)
{
    struct plugin_rig *rig = rig_with("{\"add\":{\"headers\":[\"X:$(query_params.a .. '-x')\"]}}");

    CHECK_STR(plugin_rig_header(plugin_rig_get(rig, "/p?a=1", NULL), "X"), "1-x");
    CHECK_INT(plugin_rig_get(rig, "/p", NULL)->status, 500);
    plugin_rig_free(rig);
    rig = rig_with("{\"add\":{\"headers\":[\"X:$(a b)\"]}}");
    CHECK_INT(plugin_rig_get(rig, "/p", NULL)->status, 500);
    plugin_rig_free(rig);
    rig = rig_with("{\"replace\":{\"uri\":\"no-slash\"}}");
    CHECK_INT(plugin_rig_get(rig, "/p", NULL)->status, 500);
    plugin_rig_free(rig);
}

TEST(no_value_breaks_out_of_its_header)
{
    struct plugin_rig *rig = rig_with("{\"add\":{\"headers\":[\"X:$(query_params.v)\"]}}");
    struct mem_request *r = plugin_rig_get(rig, "/p?v=a%0d%0aX-Evil:%201", NULL);

    CHECK(plugin_rig_header(r, "X-Evil").data == NULL);
    CHECK(plugin_rig_header(r, "X").data != NULL);
    plugin_rig_free(rig);
}

TEST(a_member_is_not_lost_to_a_name_that_json_cannot_hold)
{
    struct plugin_rig *rig = rig_with("{\"rename\":{\"body\":[\"x:$(headers.who)\"]}}");
    struct mem_input input = { .method = "POST", .target = "/p", .body = "{\"x\":\"1\"}" };

    input.headers = "Host: a\nContent-Type: application/json\nWho: \xff";
    CHECK_STR(plugin_rig_body(plugin_rig_send(rig, input)), "{\"x\":\"1\"}");
    input.headers = "Host: a\nContent-Type: application/json\nWho: y";
    CHECK_STR(plugin_rig_body(plugin_rig_send(rig, input)), "{\"y\":\"1\"}");
    plugin_rig_free(rig);
}
