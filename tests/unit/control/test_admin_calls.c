/*
 * Calls of the Admin API against a real SQLite store, without HTTP: what answers to what, taken by hand from a real
 * Kong's answers where those are tricky.
 */
#include "base/buf.h"
#include "base/diag.h"
#include "control/admin/call.h"
#include "control/admin/errors.h"
#include "plugins/registry.h"
#include "support/temp_dir.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define UNKNOWN_ID "00000001-0000-4000-8000-000000000001"
#define JSON_TYPE "application/json"
#define FORM_TYPE "application/x-www-form-urlencoded"

struct fixture {
    char dir[TEMP_DIR_SIZE], file[96];
    struct tp_store *store;
    struct tp_plugin_set *plugins;
    json_t *settings;
    struct tp_admin_context context;
};

struct answer {
    int status;
    json_t *json; /* NULL: not JSON */
    char text[2048];
    char headers[2048]; /* "Name: value\n" */
};

static void setup(struct fixture *f)
{
    struct tp_diag *diag = tp_diag_new();
    struct tp_admin_options options = { .registry = &tp_bundled_plugins, .supervisor_pid = 7 };

    *f = (struct fixture){ 0 };
    temp_dir_make(f->dir, "admin");
    snprintf(f->file, sizeof(f->file), "%s/t.db", f->dir);
    CHECK_INT(tp_sqlite_open(&f->store, f->file, diag), TP_OK);
    CHECK_INT(tp_store_migrate(f->store, diag), TP_OK);
    CHECK_INT(tp_plugin_set_new(&f->plugins, &tp_bundled_plugins, TP_STR("bundled,request-transformer_1251"), diag),
              TP_OK);
    f->settings = json_pack("{s:[s,s],s:s,s:s}", "admin_listen", "127.0.0.1:8001 reuseport", "[::1]:8444 http2 ssl",
                            "pg_password", "hush", "log_level", "notice");
    options.settings = f->settings;
    options.plugins = f->plugins;
    tp_admin_context_init(&f->context, &options);
    tp_diag_free(diag);
}

static void teardown(struct fixture *f)
{
    static const char *const suffixes[] = { "", "-wal", "-shm" };

    tp_admin_context_fini(&f->context);
    tp_plugin_set_free(f->plugins);
    tp_store_free(f->store);
    json_decref(f->settings);
    for (size_t i = 0; i < 3; i++) {
        char path[128];

        snprintf(path, sizeof(path), "%s%s", f->file, suffixes[i]);
        unlink(path);
    }
    rmdir(f->dir);
}

static void collect_headers(const struct tp_admin_reply *reply, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < reply->header_count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s: %s\n", reply->headers[i].name,
                                 reply->headers[i].value.data);
}

static void send_call(struct fixture *f, struct tp_admin_call *call, const char *method, const char *target,
                      struct answer *out)
{
    struct tp_str whole = tp_str_from_cstr(target);
    ptrdiff_t mark = tp_str_chr(whole, '?');

    call->context = &f->context;
    call->arena = tp_arena_new();
    call->method = tp_str_from_cstr(method);
    call->path = mark < 0 ? whole : tp_str_head(whole, (size_t)mark);
    call->query = mark < 0 ? TP_STR("") : tp_str_from(whole, (size_t)mark + 1);
    tp_admin_handle(call);
    out->status = call->reply.status;
    out->json = call->reply.body ? json_loads(call->reply.body, JSON_DECODE_ANY, NULL) : NULL;
    snprintf(out->text, sizeof(out->text), "%s", call->reply.body ? call->reply.body : "");
    collect_headers(&call->reply, out->headers, sizeof(out->headers));
    tp_admin_call_fini(call);
    tp_arena_free(call->arena);
}

static struct answer send_as(struct fixture *f, const char *method, const char *target, const char *type,
                             const char *body)
{
    struct tp_admin_call call = { .store = f->store };
    struct answer answer;

    call.content_type = tp_str_from_cstr(type);
    call.body = tp_str_from_cstr(body);
    send_call(f, &call, method, target, &answer);
    return answer;
}

static struct answer get(struct fixture *f, const char *target)
{
    return send_as(f, "GET", target, NULL, NULL);
}

static void check_status(const char *file, int line, struct answer answer, int want)
{
    if (answer.status != want)
        test_fail(file, line, "status %d, not %d: %s", answer.status, want, answer.text);
    json_decref(answer.json);
}

/* The whole body, whatever the order of its keys. */
static void check_body(const char *file, int line, struct answer answer, int status, const char *want)
{
    json_t *expected = json_loads(want, JSON_DECODE_ANY, NULL);

    if (!expected)
        test_fail(file, line, "the test's own JSON is broken: %s", want);
    if (answer.status != status || !json_equal(answer.json, expected))
        test_fail(file, line, "\n  got  %d %s\n  want %d %s", answer.status, answer.text, status, want);
    json_decref(expected);
    json_decref(answer.json);
}

/* One member as text: dotted path, arrays by number; "-" when it is absent. Static storage. */
static const char *member(const json_t *json, const char *path)
{
    static char text[512];
    struct tp_str rest = tp_str_from_cstr(path), word;
    char *dump;

    while (json && tp_str_next(&rest, '.', &word)) {
        int64_t index;

        if (json_is_array(json) && tp_str_to_i64(word, &index))
            json = json_array_get(json, (size_t)index);
        else
            json = json_object_getn(json, word.data, word.len);
    }
    if (!json)
        return "-";
    if (json_is_string(json))
        return json_string_value(json);
    dump = json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT);
    snprintf(text, sizeof(text), "%s", dump);
    free(dump);
    return text;
}

static void check_member(const char *file, int line, struct answer answer, const char *path, const char *want)
{
    const char *got = member(answer.json, path);

    if (strcmp(got, want) != 0)
        test_fail(file, line, "%s is %s, not %s, in %d %s", path, got, want, answer.status, answer.text);
    json_decref(answer.json);
}

#define STATUS(answer, want) check_status(__FILE__, __LINE__, (answer), (want))
#define BODY(answer, status, want) check_body(__FILE__, __LINE__, (answer), (status), (want))
#define MEMBER(answer, path, want) check_member(__FILE__, __LINE__, (answer), (path), (want))
#define POST(target, body) send_as(&f, "POST", (target), JSON_TYPE, (body))
#define PUT(target, body) send_as(&f, "PUT", (target), JSON_TYPE, (body))
#define PATCH(target, body) send_as(&f, "PATCH", (target), JSON_TYPE, (body))
#define DELETE(target) send_as(&f, "DELETE", (target), NULL, NULL)
#define GET(target) get(&f, (target))
#define NOT_FOUND "{\"message\":\"Not found\"}"

/* --- Paths and methods ----------------------------------------------------------------------------- */

TEST(paths_are_exact_but_for_one_slash_at_the_end)
{
    struct fixture f;

    setup(&f);
    BODY(GET("/services"), 200, "{\"data\":[],\"next\":null}");
    STATUS(GET("/services/"), 200);
    STATUS(GET("/s%65rvices"), 200);
    BODY(GET("//services"), 404, NOT_FOUND);
    STATUS(GET("/services//"), 404);
    STATUS(GET("/Services"), 404);
    STATUS(GET("/services/x/nope"), 404);
    STATUS(GET("/schemas"), 404);
    STATUS(GET("*"), 404);
    STATUS(GET("/a/b/c/d/e/f/g/h/i/j/k/l/m"), 404);
    teardown(&f);
}

TEST(methods_that_a_path_does_not_have)
{
    struct fixture f;
    struct answer answer;

    setup(&f);
    BODY(POST("/", "{}"), 405, "{\"message\":\"Method not allowed\"}");
    STATUS(PUT("/services", "{}"), 405);
    STATUS(POST("/services/x", "{}"), 405);
    STATUS(send_as(&f, "FOO", "/services", NULL, NULL), 405);
    STATUS(send_as(&f, "FOO", "/nope", NULL, NULL), 404);
    answer = DELETE("/services");
    CHECK(strstr(answer.headers, "Allow: GET, HEAD, OPTIONS, POST\n") == NULL); /* as Kong answers */
    json_decref(answer.json);
    teardown(&f);
}

TEST(options_lists_the_verbs)
{
    struct fixture f;
    struct tp_admin_call call = { .requested_headers = TP_STR("X-A"), .origin = TP_STR("http://ui.test") };
    struct answer answer;

    setup(&f);
    answer = send_as(&f, "OPTIONS", "/services/x", NULL, NULL);
    CHECK_INT(answer.status, 204);
    CHECK(strstr(answer.headers, "Allow: DELETE, GET, HEAD, OPTIONS, PATCH, PUT\n") != NULL);
    CHECK(strstr(answer.headers, "Access-Control-Allow-Headers: Content-Type\n") != NULL);
    CHECK(strstr(answer.headers, "Access-Control-Allow-Origin: *\n") != NULL);
    send_call(&f, &call, "OPTIONS", "/services", &answer);
    CHECK(strstr(answer.headers, "Access-Control-Allow-Methods: GET, HEAD, OPTIONS, POST\n") != NULL);
    CHECK(strstr(answer.headers, "Access-Control-Allow-Headers: X-A\n") != NULL);
    CHECK(strstr(answer.headers, "Access-Control-Allow-Origin: http://ui.test\n") != NULL);
    BODY(send_as(&f, "OPTIONS", "/nope", NULL, NULL), 404, NOT_FOUND);
    teardown(&f);
}

TEST(the_manager_url_restricts_origins)
{
    struct fixture f;
    struct tp_admin_call call = { .origin = TP_STR("http://evil.test") };
    struct answer answer;

    setup(&f);
    json_object_set_new(f.settings, "admin_gui_url", json_pack("[s,s]", "http://a.test/manager", "https://b.test"));
    send_call(&f, &call, "GET", "/robots.txt", &answer);
    CHECK(strstr(answer.headers, "Access-Control-Allow-Origin: http://a.test\n") != NULL);
    call = (struct tp_admin_call){ .origin = TP_STR("https://b.test") };
    send_call(&f, &call, "GET", "/robots.txt", &answer);
    CHECK(strstr(answer.headers, "Access-Control-Allow-Origin: https://b.test\n") != NULL);
    CHECK_STR(answer.text, "User-agent: *\nDisallow: /");
    teardown(&f);
}

TEST(headers_cannot_be_split)
{
    struct fixture f;
    struct tp_admin_call call = { .origin = TP_STR("http://x\r\nSet-Cookie: a=b") };
    struct answer answer;

    setup(&f);
    send_call(&f, &call, "GET", "/robots.txt", &answer);
    CHECK(strstr(answer.headers, "Access-Control-Allow-Origin: http://x  Set-Cookie: a=b\n") != NULL);
    teardown(&f);
}

/* --- Bodies ---------------------------------------------------------------------------------------- */

TEST(bodies_of_other_types_are_refused_with_a_page)
{
    struct fixture f;
    struct answer answer;

    setup(&f);
    answer = send_as(&f, "POST", "/services", "text/plain", "x");
    CHECK_INT(answer.status, 415);
    CHECK(strstr(answer.text, "<title>415 Unsupported Media Type</title>") != NULL);
    STATUS(send_as(&f, "POST", "/services", NULL, "{}"), 415);
    STATUS(send_as(&f, "POST", "/nope", "text/plain", "x"), 404);
    BODY(send_as(&f, "POST", "/services", NULL, NULL), 400,
         "{\"code\":2,\"name\":\"schema violation\",\"message\":\"schema violation (host: required field missing)\","
         "\"fields\":{\"host\":\"required field missing\"}}");
    BODY(POST("/services", ""), 400, "{\"message\":\"Cannot parse JSON body\"}");
    STATUS(send_as(&f, "GET", "/services", JSON_TYPE, "{"), 200);
    STATUS(send_as(&f, "DELETE", "/services/s", "text/plain", "{"), 204);
    teardown(&f);
}

TEST(too_many_query_arguments)
{
    struct fixture f;
    struct tp_buf target;

    setup(&f);
    tp_buf_init(&target, 0);
    tp_buf_add_cstr(&target, "/services?");
    for (size_t i = 0; i < 1000; i++)
        tp_buf_add_cstr(&target, "a&");
    BODY(GET(target.data), 400, "{\"message\":\"Too many arguments\"}");
    tp_buf_fini(&target);
    teardown(&f);
}

TEST(form_values_take_the_types_of_the_schema)
{
    struct fixture f;

    setup(&f);
    STATUS(send_as(&f, "POST", "/services", FORM_TYPE, "name=f&host=h.test&port=81&enabled=false&tags=a&path="), 201);
    MEMBER(GET("/services/f"), "port", "81");
    MEMBER(GET("/services/f"), "enabled", "false");
    MEMBER(GET("/services/f"), "tags", "[\"a\"]");
    MEMBER(GET("/services/f"), "path", "null");
    MEMBER(send_as(&f, "POST", "/services", FORM_TYPE, "tags[0]=x&host=a.test"), "fields.tags", "expected a set");
    MEMBER(send_as(&f, "POST", "/services", FORM_TYPE, "host"), "fields.host", "expected a string");
    teardown(&f);
}

TEST(a_form_that_changes_a_plugin_is_typed_by_the_stored_plugin)
{
    struct fixture f;

    setup(&f);
    STATUS(POST("/plugins", "{\"name\":\"rate-limiting\",\"instance_name\":\"rl\",\"config\":{\"minute\":5}}"), 201);
    STATUS(send_as(&f, "PATCH", "/plugins/rl", FORM_TYPE, "config.hour=100"), 200);
    MEMBER(GET("/plugins/rl"), "config.hour", "100");
    MEMBER(GET("/plugins/rl"), "config.minute", "5");
    teardown(&f);
}

/* --- Items ----------------------------------------------------------------------------------------- */

TEST(keys_in_paths)
{
    struct fixture f;

    setup(&f);
    BODY(GET("/services/" UNKNOWN_ID), 404, NOT_FOUND);
    BODY(GET("/services/%20"), 400,
         "{\"code\":10,\"name\":\"invalid unique name\",\"message\":\"invalid value ' ': the only accepted ascii "
         "characters are alphanumerics or ., -, _, and ~\"}");
    STATUS(GET("/services/a%2Fb"), 400);
    STATUS(PUT("/services/bad%20name", "{\"host\":\"h\"}"), 400);
    STATUS(POST("/consumers", "{\"username\":\"with space/\\u00e9\"}"), 201);
    MEMBER(GET("/consumers/with%20space%2F%C3%A9"), "username", "with space/\xc3\xa9");
    MEMBER(GET("/consumers/%ff"), "code", "10");
    teardown(&f);
}

TEST(patch_of_what_is_missing)
{
    struct fixture f;

    setup(&f);
    BODY(PATCH("/services/none", "{\"nope\":1}"), 404,
         "{\"code\":6,\"name\":\"not found\",\"message\":\"could not find the entity with '{name=\\\"none\\\"}'\","
         "\"fields\":{\"name\":\"none\"}}");
    BODY(PATCH("/services/" UNKNOWN_ID, "{}"), 404,
         "{\"code\":6,\"name\":\"not found\",\"message\":\"could not find the entity with primary key "
         "'{id=\\\"" UNKNOWN_ID "\\\"}'\",\"fields\":{\"id\":\"" UNKNOWN_ID "\"}}");
    BODY(PATCH("/plugins/" UNKNOWN_ID, "{\"enabled\":false}"), 404, NOT_FOUND);
    MEMBER(PATCH("/plugins/" UNKNOWN_ID, "{\"name\":\"key-auth\"}"), "code", "6");
    STATUS(PATCH("/services/none", "{"), 400);
    teardown(&f);
}

TEST(put_replaces_or_makes_and_the_path_wins)
{
    struct fixture f;

    setup(&f);
    STATUS(PUT("/services/" UNKNOWN_ID, "{\"name\":\"p\",\"host\":\"h\",\"retries\":1}"), 200);
    MEMBER(
        PUT("/services/" UNKNOWN_ID, "{\"name\":\"p\",\"host\":\"h\",\"id\":\"00000002-0000-4000-8000-000000000002\"}"),
        "id", UNKNOWN_ID);
    MEMBER(GET("/services/p"), "retries", "5");
    MEMBER(PUT("/services/p", "{\"host\":\"h2\",\"name\":\"other\"}"), "name", "p");
    MEMBER(GET("/services/p"), "id", UNKNOWN_ID);
    MEMBER(GET("/services/p"), "host", "h2");
    MEMBER(PUT("/services/new", "{\"host\":\"h\",\"id\":\"00000003-0000-4000-8000-000000000003\"}"), "id",
           "00000003-0000-4000-8000-000000000003");
    STATUS(PUT("/services/p", "{}"), 400);
    teardown(&f);
}

TEST(patch_merges_and_keeps_the_id)
{
    struct fixture f;

    setup(&f);
    STATUS(POST("/services", "{\"name\":\"s\",\"host\":\"h\",\"tags\":[\"a\"],\"id\":\"" UNKNOWN_ID "\"}"), 201);
    STATUS(PATCH("/services/s", "{\"retries\":null,\"id\":\"00000002-0000-4000-8000-000000000002\"}"), 200);
    MEMBER(GET("/services/s"), "retries", "null");
    MEMBER(GET("/services/s"), "id", UNKNOWN_ID);
    MEMBER(GET("/services/s"), "tags", "[\"a\"]");
    MEMBER(PATCH("/services/s", "{\"host\":null}"), "fields.host", "required field missing");
    MEMBER(PATCH("/services/s", "{\"nope\":1}"), "fields.nope", "unknown field");
    STATUS(PATCH("/services/s", "{\"name\":\"t\"}"), 200);
    STATUS(GET("/services/s"), 404);
    STATUS(GET("/services/t"), 200);
    teardown(&f);
}

TEST(deleting_twice_is_fine)
{
    struct fixture f;

    setup(&f);
    STATUS(POST("/services", "{\"name\":\"s\",\"host\":\"h\"}"), 201);
    STATUS(DELETE("/services/s"), 204);
    STATUS(DELETE("/services/s"), 204);
    STATUS(GET("/services/s"), 404);
    teardown(&f);
}

/* --- Violations that the store finds ------------------------------------------------------------------ */

TEST(duplicates)
{
    struct fixture f;

    setup(&f);
    STATUS(POST("/services", "{\"name\":\"s\",\"host\":\"h\",\"id\":\"" UNKNOWN_ID "\"}"), 201);
    BODY(POST("/services", "{\"name\":\"s\",\"host\":\"h\"}"), 409,
         "{\"code\":5,\"name\":\"unique constraint violation\",\"message\":\"UNIQUE violation detected on "
         "'{name=\\\"s\\\"}'\",\"fields\":{\"name\":\"s\"}}");
    BODY(POST("/services", "{\"id\":\"" UNKNOWN_ID "\",\"host\":\"h\"}"), 400,
         "{\"code\":3,\"name\":\"primary key violation\",\"message\":\"primary key violation on key "
         "'{id=\\\"" UNKNOWN_ID "\\\"}'\",\"fields\":{\"id\":\"" UNKNOWN_ID "\"}}");
    STATUS(POST("/plugins", "{\"name\":\"key-auth\"}"), 201);
    BODY(POST("/plugins", "{\"name\":\"key-auth\"}"), 409,
         "{\"code\":5,\"name\":\"unique constraint violation\",\"message\":\"UNIQUE violation detected on "
         "'{consumer=null,name=\\\"key-auth\\\",route=null,service=null}'\","
         "\"fields\":{\"consumer\":null,\"name\":\"key-auth\",\"route\":null,\"service\":null}}");
    MEMBER(GET("/services"), "data.1", "-");
    teardown(&f);
}

TEST(foreign_keys)
{
    struct fixture f;

    setup(&f);
    BODY(POST("/routes", "{\"paths\":[\"/x\"],\"service\":{\"id\":\"" UNKNOWN_ID "\"}}"), 400,
         "{\"code\":4,\"name\":\"foreign key violation\",\"message\":\"the foreign key '{id=\\\"" UNKNOWN_ID
         "\\\"}' does not reference an existing 'services' entity.\",\"fields\":{\"service\":{\"id\":\"" UNKNOWN_ID
         "\"}}}");
    BODY(POST("/routes", "{\"paths\":[\"/x\"],\"service\":{\"name\":\"nope\"}}"), 400,
         "{\"code\":13,\"name\":\"foreign keys unresolved\",\"message\":\"foreign key unresolved (service.name: the "
         "foreign key cannot be resolved with '{name=\\\"nope\\\"}' for an existing 'services' entity)\","
         "\"fields\":{\"service\":{\"name\":\"the foreign key cannot be resolved with '{name=\\\"nope\\\"}' for an "
         "existing 'services' entity\"}}}");
    MEMBER(POST("/plugins", "{\"name\":\"rate-limiting\",\"config\":{\"minute\":1},\"service\":{\"name\":\"a\"},"
                            "\"consumer\":{\"username\":\"b\"}}"),
           "message",
           "2 foreign keys unresolved (consumer.username: the foreign key cannot be resolved with '{username=\"b\"}' "
           "for an existing 'consumers' entity; service.name: the foreign key cannot be resolved with '{name=\"a\"}' "
           "for an existing 'services' entity)");
    STATUS(POST("/services", "{\"name\":\"s\",\"host\":\"h\",\"id\":\"" UNKNOWN_ID "\"}"), 201);
    MEMBER(POST("/routes", "{\"name\":\"r\",\"paths\":[\"/x\"],\"service\":{\"name\":\"s\"}}"), "service.id",
           UNKNOWN_ID);
    BODY(DELETE("/services/s"), 400,
         "{\"code\":4,\"name\":\"foreign key violation\",\"message\":\"an existing 'routes' entity references this "
         "'services' entity\",\"fields\":{\"@referenced_by\":\"routes\"}}");
    STATUS(GET("/services/s"), 200);
    teardown(&f);
}

TEST(a_refused_write_leaves_nothing_behind)
{
    struct fixture f;
    uint64_t before, after;

    setup(&f);
    STATUS(POST("/services", "{\"name\":\"s\",\"host\":\"h\"}"), 201);
    CHECK_INT(tp_store_position(f.store, &before), TP_OK);
    STATUS(POST("/services", "{\"name\":\"s\",\"host\":\"h\"}"), 409);
    STATUS(PUT("/routes/r/service", "{\"host\":\"h\"}"), 404);
    STATUS(DELETE("/services/none"), 204);
    STATUS(PATCH("/services/s", "{\"port\":-1}"), 400);
    CHECK_INT(tp_store_position(f.store, &after), TP_OK);
    CHECK_INT(after, before);
    teardown(&f);
}

/* --- Nested paths and shortcuts ------------------------------------------------------------------------ */

TEST(children_belong_to_their_parent)
{
    struct fixture f;

    setup(&f);
    STATUS(POST("/consumers", "{\"username\":\"bob\"}"), 201);
    STATUS(POST("/consumers", "{\"username\":\"amy\"}"), 201);
    STATUS(POST("/consumers/bob/key-auth", "{\"key\":\"k\"}"), 201);
    BODY(POST("/consumers/none/key-auth", "{}"), 404, NOT_FOUND);
    STATUS(GET("/consumers/bob/key-auth/k"), 200);
    BODY(GET("/consumers/amy/key-auth/k"), 404, NOT_FOUND);
    BODY(PATCH("/consumers/amy/key-auth/k", "{\"tags\":[]}"), 404, NOT_FOUND);
    BODY(DELETE("/consumers/amy/key-auth/k"), 404, NOT_FOUND);
    MEMBER(GET("/consumers/amy/key-auth"), "data", "[]");
    MEMBER(GET("/key-auths/k/consumer"), "username", "bob");
    STATUS(PUT("/consumers/bob/key-auth/put", "{}"), 200);
    STATUS(DELETE("/consumers/bob/key-auth/put"), 204);
    BODY(DELETE("/consumers/bob/key-auth/put"), 404, NOT_FOUND);
    MEMBER(POST("/key-auths", "{\"key\":\"x\"}"), "fields.consumer", "required field missing");
    STATUS(DELETE("/consumers/bob"), 204);
    STATUS(GET("/key-auths/k"), 404);
    teardown(&f);
}

TEST(the_parent_of_the_path_overrides_the_body)
{
    struct fixture f;

    setup(&f);
    STATUS(POST("/services", "{\"name\":\"s\",\"host\":\"h\",\"id\":\"" UNKNOWN_ID "\"}"), 201);
    MEMBER(POST("/services/s/routes", "{\"paths\":[\"/a\"],\"service\":{\"name\":\"nope\"}}"), "service.id",
           UNKNOWN_ID);
    teardown(&f);
}

TEST(shortcuts_write_through_the_foreign_key)
{
    struct fixture f;

    setup(&f);
    STATUS(POST("/routes", "{\"name\":\"r\",\"paths\":[\"/a\"]}"), 201);
    BODY(GET("/routes/r/service"), 404, NOT_FOUND);
    BODY(PATCH("/routes/r/service", "{\"host\":\"h\"}"), 404, NOT_FOUND);
    BODY(DELETE("/routes/r/service"), 404, NOT_FOUND);
    STATUS(PUT("/routes/r/service", "{\"name\":\"made\",\"host\":\"h\"}"), 200);
    MEMBER(GET("/routes/r/service"), "name", "made");
    STATUS(PATCH("/routes/r/service", "{\"host\":\"h2\"}"), 200);
    STATUS(PUT("/routes/r/service", "{\"host\":\"h3\"}"), 200);
    MEMBER(GET("/routes/r/service"), "name", "null");
    MEMBER(GET("/services"), "data.1", "-");
    BODY(DELETE("/routes/r/service"), 405, "{\"message\":\"Method not allowed\"}");
    MEMBER(PUT("/routes/r/service", "{}"), "fields.host", "required field missing");
    teardown(&f);
}

/* --- Lists ------------------------------------------------------------------------------------------ */

TEST(sizes_and_offsets_are_checked)
{
    static const char *const bad_sizes[] = { "0", "-1", "1001", "1.5", "99999999999999999999" };
    struct fixture f;

    setup(&f);
    for (size_t i = 0; i < sizeof(bad_sizes) / sizeof(bad_sizes[0]); i++) {
        char target[64];

        snprintf(target, sizeof(target), "/services?size=%s", bad_sizes[i]);
        BODY(GET(target), 400,
             "{\"code\":9,\"name\":\"invalid size\",\"message\":\"size must be an integer between 1 and 1000\"}");
    }
    MEMBER(GET("/services?size=abc"), "message", "size must be a number");
    MEMBER(GET("/services?size="), "message", "size must be a number");
    MEMBER(GET("/services?size=1&size=2"), "code", "9");
    BODY(GET("/services?offset=bad"), 400,
         "{\"code\":7,\"name\":\"invalid offset\",\"message\":\"'bad' is not a valid offset: bad json encoding\"}");
    MEMBER(GET("/services?offset="), "message", "'' is not a valid offset: bad json encoding");
    MEMBER(GET("/services?offset=%21"), "message", "'!' is not a valid offset: bad base64 encoding");
    MEMBER(GET("/services?offset=WzFd"), "code", "7");
    teardown(&f);
}

TEST(tag_filters_are_checked)
{
    struct fixture f;

    setup(&f);
    BODY(GET("/services?tags=a,b/c"), 400,
         "{\"code\":11,\"name\":\"invalid options\",\"message\":\"invalid option (tags: invalid filter syntax)\","
         "\"options\":{\"tags\":\"invalid filter syntax\"}}");
    MEMBER(GET("/services?tags="), "options.tags", "cannot be null");
    MEMBER(GET("/services?tags=,"), "options.tags", "invalid filter syntax");
    MEMBER(GET("/services?tags=a,b,c,d,e,f"), "options.tags", "cannot query more than 5 tags");
    STATUS(GET("/services?tags=%20"), 200);
    STATUS(GET("/services?tags[]=a"), 200);
    teardown(&f);
}

static void add_consumers(struct fixture *f, int count)
{
    for (int i = 0; i < count; i++) {
        char body[128];

        snprintf(body, sizeof(body), "{\"username\":\"c%d\",\"tags\":[\"%s\",\"all\"]}", i, i % 2 ? "odd" : "even");
        STATUS(send_as(f, "POST", "/consumers", JSON_TYPE, body), 201);
    }
}

/* Follow `next` from `target` on; how many items there were on how many pages. */
static size_t follow(struct fixture *f, const char *target, size_t *pages)
{
    char next[512];
    size_t items = 0;

    snprintf(next, sizeof(next), "%s", target);
    for (*pages = 0; next[0] && *pages < 100; (*pages)++) {
        struct answer answer = get(f, next);
        const char *link = json_string_value(json_object_get(answer.json, "next"));

        items += json_array_size(json_object_get(answer.json, "data"));
        CHECK((link != NULL) == (json_object_get(answer.json, "offset") != NULL));
        snprintf(next, sizeof(next), "%s", link ? link : "");
        json_decref(answer.json);
    }
    return items;
}

TEST(next_leads_through_all_pages)
{
    struct fixture f;
    size_t pages;

    setup(&f);
    add_consumers(&f, 7);
    CHECK_INT(follow(&f, "/consumers?size=3", &pages), 7);
    CHECK_INT(pages, 3);
    CHECK_INT(follow(&f, "/consumers?size=7", &pages), 7);
    CHECK_INT(pages, 1);
    CHECK_INT(follow(&f, "/consumers?size=1&tags=even", &pages), 4);
    CHECK_INT(pages, 4);
    CHECK_INT(follow(&f, "/consumers?tags=odd/even&size=2", &pages), 7);
    CHECK_INT(follow(&f, "/consumers?tags=odd,even", &pages), 0);
    CHECK_INT(follow(&f, "/tags?size=2", &pages), 14);
    CHECK_INT(follow(&f, "/tags/all", &pages), 7);
    CHECK_INT(follow(&f, "/tags/none", &pages), 0);
    teardown(&f);
}

TEST(links_of_nested_lists_drop_size_and_tags)
{
    struct fixture f;
    struct answer answer;
    const char *next;

    setup(&f);
    STATUS(POST("/consumers", "{\"username\":\"bob\"}"), 201);
    STATUS(POST("/consumers/bob/key-auth", "{}"), 201);
    STATUS(POST("/consumers/bob/key-auth", "{}"), 201);
    answer = GET("/consumers/bob/key-auth/?size=1&tags=nothing");
    next = member(answer.json, "next");
    CHECK(strncmp(next, "/consumers/bob/key-auth?offset=", 31) == 0);
    CHECK(!strstr(next, "size") && !strstr(next, "tags"));
    json_decref(answer.json);
    teardown(&f);
}

TEST(consumers_by_custom_id)
{
    struct fixture f;

    setup(&f);
    STATUS(POST("/consumers", "{\"username\":\"u\",\"custom_id\":\"c 1\"}"), 201);
    MEMBER(GET("/consumers?custom_id=c%201"), "data.0.username", "u");
    BODY(GET("/consumers?custom_id=x"), 200, "{\"data\":[],\"next\":null}");
    BODY(GET("/consumers?custom_id="), 400, "{\"message\":\"custom_id must be an unempty string\"}");
    teardown(&f);
}

TEST(tags_cannot_be_written)
{
    struct fixture f;

    setup(&f);
    BODY(POST("/tags", "{}"), 400,
         "{\"code\":2,\"name\":\"schema violation\",\"message\":\"schema violation (tags: does not support "
         "insert/upsert/update/delete operations)\",\"fields\":{\"tags\":\"does not support "
         "insert/upsert/update/delete operations\"}}");
    STATUS(PUT("/tags", "{}"), 405);
    MEMBER(GET("/tags/a%2Fb"), "name", "invalid unique tag");
    teardown(&f);
}

/* --- Plugins ----------------------------------------------------------------------------------------- */

TEST(plugins_must_be_enabled)
{
    struct fixture f;

    setup(&f);
    MEMBER(POST("/plugins", "{\"name\":\"nope\",\"config\":{}}"), "fields.name",
           "plugin 'nope' not enabled; add it to the 'plugins' configuration property");
    MEMBER(POST("/plugins", "{\"name\":\"\"}"), "fields.name",
           "plugin '' not enabled; add it to the 'plugins' configuration property");
    MEMBER(POST("/plugins", "{\"name\":\"key-auth_900\"}"), "fields.name",
           "plugin 'key-auth_900' not enabled; add it to the 'plugins' configuration property");
    MEMBER(POST("/plugins", "{}"), "fields.name", "required field missing");
    STATUS(POST("/plugins", "{\"name\":\"request-transformer_1251\"}"), 201);
    STATUS(GET("/schemas/plugins/request-transformer_1251"), 200);
    MEMBER(GET("/"), "plugins.available_on_server.request-transformer_1251.priority", "1251");
    MEMBER(GET("/"), "plugins.enabled_in_cluster", "[\"request-transformer_1251\"]");
    teardown(&f);
}

TEST(plugins_share_a_protocol_with_what_they_are_on)
{
    struct fixture f;

    setup(&f);
    STATUS(POST("/services", "{\"name\":\"s\",\"host\":\"h\"}"), 201);
    STATUS(POST("/services", "{\"name\":\"empty\",\"host\":\"h\"}"), 201);
    STATUS(POST("/services/s/routes", "{\"name\":\"r\",\"paths\":[\"/a\"],\"protocols\":[\"https\"]}"), 201);
    MEMBER(POST("/routes/r/plugins", "{\"name\":\"key-auth\",\"protocols\":[\"http\"]}"), "fields.protocols",
           "must match the associated route's protocols");
    MEMBER(POST("/services/s/plugins", "{\"name\":\"key-auth\",\"protocols\":[\"http\"]}"), "fields.protocols",
           "must match the protocols of at least one route pointing to this Plugin's service");
    STATUS(POST("/services/empty/plugins", "{\"name\":\"key-auth\",\"protocols\":[\"http\"]}"), 201);
    STATUS(POST("/services/s/routes", "{\"paths\":[\"/b\"],\"protocols\":[\"http\"]}"), 201);
    STATUS(POST("/services/s/plugins", "{\"name\":\"key-auth\",\"protocols\":[\"http\"]}"), 201);
    teardown(&f);
}

TEST(a_ttl_is_an_option)
{
    struct fixture f;
    struct answer answer;

    setup(&f);
    STATUS(POST("/consumers", "{\"username\":\"bob\"}"), 201);
    BODY(POST("/consumers/bob/key-auth", "{\"key\":\"a\",\"ttl\":-1}"), 400,
         "{\"code\":11,\"name\":\"invalid options\",\"message\":\"invalid option (ttl: must be an integer between 0 "
         "and 100000000)\",\"options\":{\"ttl\":\"must be an integer between 0 and 100000000\"}}");
    STATUS(send_as(&f, "POST", "/consumers/bob/key-auth", FORM_TYPE, "key=t&ttl=3600"), 201);
    answer = GET("/key-auths/t");
    CHECK(strtol(member(answer.json, "ttl"), NULL, 10) > 3590);
    json_decref(answer.json);
    MEMBER(POST("/services", "{\"host\":\"h\",\"ttl\":5}"), "fields.ttl", "unknown field");
    teardown(&f);
}

/* --- The node ----------------------------------------------------------------------------------------- */

TEST(the_root_shows_the_node_and_no_secrets)
{
    struct fixture f;

    setup(&f);
    MEMBER(GET("/"), "version", "3.9.1");
    MEMBER(GET("/"), "configuration.pg_password", "******");
    MEMBER(GET("/"), "configuration.admin_listeners.1.port", "8444");
    MEMBER(GET("/"), "configuration.admin_listeners.1.ssl", "true");
    MEMBER(GET("/"), "configuration.admin_listeners.0.ip", "127.0.0.1");
    MEMBER(GET("/"), "configuration.role", "traditional");
    MEMBER(GET("/"), "pids.master", "7");
    teardown(&f);
}

TEST(sizes_in_the_status_have_units)
{
    struct fixture f;

    setup(&f);
    MEMBER(GET("/status"), "database.reachable", "true");
    MEMBER(GET("/status"), "turnpike.read_model.fault", "null");
    BODY(GET("/status?unit=x"), 400, "{\"message\":\"invalid unit 'x' (expected 'k/K', 'm/M', or 'g/G')\"}");
    BODY(GET("/status?scale=-1"), 400, "{\"message\":\"scale must be equal or greater than 0\"}");
    STATUS(GET("/status/dns"), 501);
    teardown(&f);
}

TEST(schemas_and_validation)
{
    struct fixture f;

    setup(&f);
    BODY(GET("/schemas/nope"), 404, "{\"message\":\"No entity named 'nope'\"}");
    BODY(GET("/schemas/plugins/nope"), 404, "{\"message\":\"No plugin named 'nope'\"}");
    BODY(GET("/plugins/schema/nope"), 404, "{\"message\":\"No plugin named 'nope'\"}");
    STATUS(GET("/schemas/keyauth_credentials"), 200);
    MEMBER(GET("/plugins/schema/key-auth"), "entity_checks", "[]");
    BODY(POST("/schemas/services/validate", "{\"host\":\"h\"}"), 200, "{\"message\":\"schema validation successful\"}");
    MEMBER(POST("/schemas/services/validate", "{}"), "code", "2");
    BODY(POST("/schemas/plugins/validate", "{\"name\":\"key-auth\"}"), 200,
         "{\"message\":\"schema validation successful\"}");
    STATUS(GET("/schemas/plugins/validate"), 405);
    MEMBER(GET("/services"), "data", "[]");
    teardown(&f);
}

TEST(endpoints_come_from_the_model)
{
    struct fixture f;
    struct answer answer;
    const char *text = NULL;
    char *dump;

    setup(&f);
    answer = GET("/endpoints");
    dump = json_dumps(answer.json, JSON_COMPACT);
    text = dump;
    CHECK(strstr(text, "\"/consumers/{consumers}/key-auth/{keyauth_credentials}\"") != NULL);
    CHECK(strstr(text, "\"/key-auths/{keyauth_credentials}/consumer\"") != NULL);
    CHECK(strstr(text, "\"/services/{services}/routes/{routes}\"") != NULL);
    CHECK(strstr(text, "robots") == NULL);
    CHECK(strstr(text, "\"/plugins\",\"/plugins/enabled\",\"/plugins/schema/{name}\",\"/plugins/{plugins}\"") != NULL);
    free(dump);
    json_decref(answer.json);
    teardown(&f);
}

TEST(modes_that_are_off_say_so)
{
    struct fixture f;

    setup(&f);
    BODY(GET("/config"), 400,
         "{\"message\":\"this endpoint is only available when Kong is configured to not use a database\"}");
    STATUS(GET("/clustering/status"), 400);
    BODY(DELETE("/routes/x/filter-chains/y"), 400,
         "{\"message\":\"this endpoint is only available when wasm is enabled\"}");
    teardown(&f);
}

TEST(slashes_are_written_as_they_are)
{
    struct fixture f;
    struct answer answer;

    setup(&f);
    answer = POST("/services", "{\"host\":\"h\",\"path\":\"/a/b\"}");
    CHECK(strstr(answer.text, "\"path\":\"/a/b\"") != NULL);
    json_decref(answer.json);
    teardown(&f);
}

/* --- Without a database -------------------------------------------------------------------------------- */

TEST(without_a_database_there_is_a_clear_503)
{
    static const char *const paths[] = { "/services", "/services/x", "/services/x/routes", "/tags", "/" };
    struct fixture f;

    setup(&f);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct tp_admin_call call = { .store = NULL };
        struct answer answer;

        send_call(&f, &call, "GET", paths[i], &answer);
        CHECK_INT(answer.status, 503);
        CHECK(strstr(answer.headers, "Retry-After: 5\n") != NULL);
        CHECK(json_is_string(json_object_get(answer.json, "message")));
        json_decref(answer.json);
    }
    teardown(&f);
}

static struct answer fail_commit(enum tp_err err, bool *store_lost)
{
    struct tp_admin_call call = { .arena = tp_arena_new() };
    struct answer answer = { 0 };

    CHECK(!tp_admin_fail_commit(&call, err));
    answer.status = call.reply.status;
    snprintf(answer.text, sizeof(answer.text), "%s", call.reply.body ? call.reply.body : "");
    *store_lost = call.store_lost;
    tp_admin_call_fini(&call);
    tp_arena_free(call.arena);
    return answer;
}

TEST(a_commit_without_an_answer_does_not_claim_that_nothing_was_changed)
{
    bool lost = false;
    struct answer answer = fail_commit(TP_ERR_UNAVAILABLE, &lost);

    CHECK_INT(answer.status, 503);
    CHECK(lost);
    CHECK(strstr(answer.text, "nothing was changed") == NULL);
    CHECK(strstr(answer.text, "may or may not have been made") != NULL);
    answer = fail_commit(TP_ERR_AGAIN, &lost); /* this one is certain */
    CHECK_INT(answer.status, 503);
    CHECK(!lost);
    CHECK(strstr(answer.text, "nothing was changed") != NULL);
}

TEST(the_status_answers_without_a_database)
{
    struct fixture f;
    struct tp_admin_call call = { .store = NULL };
    struct answer answer;

    setup(&f);
    send_call(&f, &call, "GET", "/status", &answer);
    CHECK_INT(answer.status, 200);
    MEMBER(answer, "database.reachable", "false");
    teardown(&f);
}
