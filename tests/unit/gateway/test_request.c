/* A request's way, driven by the memory engine: steps, gate, waiting, leaving, the answer's headers. */
#include "support/engine_mem.h"
#include "support/plan_maker.h"
#include "support/test.h"

#include <stdio.h>

static struct plan_maker *maker;
static struct engine_mem *engine;
static struct tp_service *service;

static void begin(void)
{
    maker = plan_maker_new();
    service = plan_maker_service(maker, "http://10.0.0.9:8080/base");
}

static void start(void)
{
    engine = engine_mem_new(&maker->plan, TP_ROUTER_TRADITIONAL_COMPATIBLE);
}

static void end(void)
{
    engine_mem_free(engine);
    plan_maker_free(maker);
}

static struct tp_route *route(const char *paths)
{
    return plan_maker_route(maker, (struct route_words){ .name = "r", .paths = paths, .service = service });
}

static bool says(const struct tp_buf *buf, const char *text)
{
    return tp_str_find(tp_buf_str(buf), tp_str_from_cstr(text)) >= 0;
}

/* --- Plugins of this test ------------------------------------------------------------------------ */

static struct tp_buf trace; /* which handlers ran */
static enum { NOTHING, ANSWER, FAIL, WAIT, SLEEP, BODY, WAIT_TWICE, LIMIT, SET_PATH } mode;
static struct tp_request *waiting;
static int cancelled;

static void on_cancel(void *data)
{
    (void)data;
    cancelled++;
}

static enum tp_verdict after(struct tp_request *req, const void *conf, void *state)
{
    struct tp_str body;

    tp_buf_addf(&trace, "after(%s,%s) ", (const char *)conf, (const char *)state);
    waiting = NULL;
    if (mode == BODY && tp_request_body(req, &body))
        tp_buf_addf(&trace, "body=%.*s ", TP_STR_ARG(body));
    if (mode == WAIT_TWICE) {
        mode = WAIT;
        waiting = req;
        return tp_request_wait(req, after, (void *)"again");
    }
    return TP_NEXT;
}

static enum tp_verdict on_access(struct tp_request *req, const void *conf)
{
    tp_buf_addf(&trace, "access(%s) ", (const char *)conf);
    switch (mode) {
    case NOTHING: break;
    case ANSWER: tp_response_set_header(req, TP_STR("X-Why"), TP_STR("me")); return tp_respond(req, 403, "not you");
    case FAIL: return TP_FAIL;
    case WAIT:
    case WAIT_TWICE:
        waiting = req;
        tp_arena_defer(tp_request_arena(req), on_cancel, NULL);
        return tp_request_wait(req, after, (void *)"state");
    case SLEEP: return tp_request_sleep(req, 100, after, (void *)"slept");
    case BODY: return tp_request_read_body(req, 8, after, (void *)"read");
    case LIMIT: tp_request_limit_body(req, 3); break;
    case SET_PATH:
        CHECK(tp_request_set_upstream_path(req, TP_STR("no slash")) == TP_ERR_INVALID);
        CHECK(tp_request_set_upstream_path(req, TP_STR("/new path")) == TP_OK);
        CHECK(tp_request_set_upstream_method(req, TP_STR("PO ST")) == TP_ERR_INVALID);
        CHECK(tp_request_set_upstream_method(req, TP_STR("PUT")) == TP_OK);
        tp_request_set_body(req, TP_STR("new body"));
    }
    return TP_NEXT;
}

static void on_header(struct tp_request *req, const void *conf)
{
    tp_buf_addf(&trace, "header(%s) ", (const char *)conf);
    tp_response_set_header(req, TP_STR("X-Seen"), TP_STR("yes"));
}

static void on_log(struct tp_request *req, const void *conf)
{
    tp_buf_addf(&trace, "log(%s,%d) ", (const char *)conf, tp_response_status(req));
}

static const struct tp_plugin first = {
    .name = "first", .priority = 2, .on_access = on_access, .on_header = on_header, .on_log = on_log
};

static enum tp_verdict on_second(struct tp_request *req, const void *conf)
{
    (void)req;
    tp_buf_addf(&trace, "access(%s) ", (const char *)conf);
    return TP_NEXT;
}

static const struct tp_plugin second = {
    .name = "second", .priority = 1, .on_access = on_second, .on_header = on_header
};

static void with_plugins(int what)
{
    mode = what;
    cancelled = 0;
    waiting = NULL;
    begin();
    route("/r");
    plan_maker_plugin(maker, &first, "1", NULL, NULL);
    plan_maker_plugin(maker, &second, "2", NULL, NULL);
    tp_buf_init(&trace, 0);
    start();
}

static void end_plugins(void)
{
    end();
    tp_buf_fini(&trace);
}

/* --- Routing and the gate ------------------------------------------------------------------------ */

TEST(a_request_is_proxied_and_its_answer_comes_back)
{
    struct mem_request *r;

    begin();
    route("/r");
    start();
    engine_mem_answer(engine,
                      (struct mem_answer){ .status = 201, .headers = "X-Up: 1\nVia: 1.1 other", .body = "hello" });
    r = engine_mem_get(engine, "/r/x?a=1", "Host: a.test");
    CHECK_INT(r->status, 201);
    CHECK_STR(tp_buf_str(&r->out), "hello");
    CHECK_INT(r->target.port, 8080);
    CHECK_INT(r->target.tries, 6);
    CHECK_INT(r->address_count, 1);
    CHECK(says(&r->upstream, "GET /base/x?a=1 HTTP/1.1\r\n"));
    CHECK(says(&r->upstream, "\r\nHost: 10.0.0.9:8080\r\n"));
    CHECK_STR(engine_mem_header(r, "Via"), "1.1 other, 1.1 " TP_SERVER_TOKEN);
    CHECK_STR(engine_mem_header(r, "Server"), TP_SERVER_TOKEN);
    CHECK_STR(engine_mem_header(r, "X-Kong-Upstream-Latency"), "0");
    CHECK_STR(engine_mem_header(r, "X-Kong-Proxy-Latency"), "0");
    CHECK(!engine_mem_header(r, "X-Kong-Response-Latency").data);
    CHECK_INT(engine_mem_header(r, "X-Kong-Request-Id").len, 32);
    end();
}

TEST(the_upstreams_server_stays)
{
    struct mem_request *r;

    begin();
    route("/r");
    start();
    engine_mem_answer(engine, (struct mem_answer){ .status = 200, .headers = "Server: echo/1" });
    r = engine_mem_get(engine, "/r", NULL);
    CHECK_STR(engine_mem_header(r, "Server"), "echo/1");
    end();
}

TEST(trailers_are_announced_to_those_who_read_them)
{
    struct mem_request *r;

    begin();
    route("/r");
    start();
    engine_mem_answer(engine, (struct mem_answer){ .status = 200, .headers = "Trailer: X-T" });
    r = engine_mem_get(engine, "/r", "Host: a\nTE: deflate");
    CHECK(!engine_mem_header(r, "Trailer").data);
    engine_mem_answer(engine, (struct mem_answer){ .status = 200, .headers = "Trailer: X-T" });
    r = engine_mem_get(engine, "/r", "Host: a\nTE: deflate, trailers");
    CHECK_STR(engine_mem_header(r, "Trailer"), "X-T");
    end();
}

TEST(no_route_no_service_and_no_configuration_have_their_answers)
{
    struct mem_request *r;

    begin();
    service = NULL;
    route("/noservice");
    start();
    r = engine_mem_get(engine, "/none", NULL);
    CHECK_INT(r->status, 404);
    CHECK(says(&r->out, "no Route matched with those values"));
    CHECK_STR(engine_mem_header(r, "Content-Length"), "103");
    CHECK_STR(engine_mem_header(r, "Server"), TP_SERVER_TOKEN);
    CHECK(engine_mem_header(r, "X-Kong-Response-Latency").data != NULL);
    CHECK(!engine_mem_header(r, "Via").data);
    r = engine_mem_get(engine, "/noservice", NULL);
    CHECK_INT(r->status, 503);
    CHECK(says(&r->out, "no Service found with those values"));
    end();
    begin();
    engine = engine_mem_new(NULL, TP_ROUTER_TRADITIONAL_COMPATIBLE);
    CHECK_INT(engine_mem_get(engine, "/", NULL)->status, 503);
    end();
}

static struct mem_request *secure(int status, const char *headers)
{
    begin();
    plan_maker_route(maker,
                     (struct route_words){
                         .name = "s", .paths = "/sec", .protocols = "https", .redirect = status, .service = service });
    start();
    engine->gateway.settings.trusted_ips = plan_maker_words(maker, "10.0.0.0/8 ::1");
    return engine_mem_start(engine,
                            &(struct mem_input){ .target = "/sec/x?y=1", .headers = headers, .peer_ip = "10.1.2.3" });
}

TEST(https_only_routes_redirect_or_ask_for_an_upgrade)
{
    struct mem_request *r = secure(426, "Host: Sec.test:8000");

    CHECK_INT(r->status, 426);
    CHECK_STR(engine_mem_header(r, "Upgrade"), "TLS/1.2, HTTP/1.1");
    CHECK_STR(engine_mem_header(r, "Connection"), "Upgrade");
    CHECK(says(&r->out, "Please use HTTPS protocol"));
    end();
    r = secure(301, "Host: Sec.test:8000");
    CHECK_INT(r->status, 301);
    CHECK_STR(engine_mem_header(r, "Location"), "https://sec.test/sec/x?y=1");
    CHECK_STR(tp_buf_str(&r->out), "");
    end();
    r = secure(308, "Host: a.test\nX-Forwarded-Host: pub.test");
    CHECK_STR(engine_mem_header(r, "Location"), "https://pub.test/sec/x?y=1");
    end();
    r = secure(426, "Host: a.test\nX-Forwarded-Proto: https"); /* the peer is trusted */
    CHECK_INT(r->status, 200);
    end();
}

TEST(grpc_routes_mind_their_manners)
{
    struct mem_request *r;

    begin();
    plan_maker_route(maker,
                     (struct route_words){ .name = "g", .paths = "/", .protocols = "grpcs", .service = service });
    start();
    r = engine_mem_get(engine, "/", NULL);
    CHECK_INT(r->status, 415);
    r = engine_mem_get(engine, "/", "Content-Type: application/grpc");
    CHECK_INT(r->status, 426);
    CHECK_STR(engine_mem_header(r, "Upgrade"), "HTTP/2");
    r = engine_mem_start(
        engine, &(struct mem_input){ .target = "/", .headers = "Content-Type: application/grpc", .http_version = 20 });
    CHECK_INT(r->status, 200);
    CHECK_STR(engine_mem_header(r, "grpc-status"), "1");
    end();
}

TEST(grpc_clients_get_statuses_instead_of_bodies)
{
    struct mem_request *r;

    begin();
    start();
    r = engine_mem_start(
        engine, &(struct mem_input){ .target = "/", .headers = "content-type: application/grpc", .http_version = 20 });
    CHECK_INT(r->status, 404);
    CHECK_STR(engine_mem_header(r, "grpc-status"), "5");
    CHECK_STR(engine_mem_header(r, "grpc-message"), "NotFound");
    CHECK_STR(tp_buf_str(&r->out), "");
    end();
}

TEST(debug_headers_name_route_and_service_when_allowed_and_asked)
{
    begin();
    route("/r");
    start();
    CHECK(!engine_mem_header(engine_mem_get(engine, "/r", "Kong-Debug: 1"), "Kong-Route-Name").data);
    engine->gateway.settings.allow_debug_header = true;
    CHECK_STR(engine_mem_header(engine_mem_get(engine, "/r", "Kong-Debug: 1"), "Kong-Route-Name"), "r");
    CHECK(!engine_mem_header(engine_mem_get(engine, "/r", NULL), "Kong-Route-Name").data);
    end();
}

/* --- Names --------------------------------------------------------------------------------------- */

static struct mem_request *named(struct mem_name name)
{
    begin();
    service = plan_maker_service(maker, "https://up.test");
    plan_maker_route(maker,
                     (struct route_words){ .paths = "/r", .service = service, .preserve_host = name.count == 3 });
    start();
    engine_mem_name(engine, name);
    return engine_mem_get(engine, "/r", "Host: client.test:99");
}

TEST(a_name_is_resolved_at_once_or_later)
{
    struct mem_request *r = named((struct mem_name){ "up.test", TP_OK, 2 });

    CHECK_INT(r->status, 200);
    CHECK_INT(r->address_count, 2);
    CHECK_STR(r->target.tls_name, "up.test");
    CHECK(says(&r->upstream, "\r\nHost: up.test\r\n"));
    end();
    r = named((struct mem_name){ "up.test", TP_OK, 3, .late = true });
    CHECK(!r->done);
    engine_mem_resolve_now(r);
    CHECK_INT(r->status, 200);
    CHECK_INT(r->address_count, 3);
    CHECK(says(&r->upstream, "\r\nHost: client.test:99\r\n")); /* preserve_host */
    end();
}

TEST(a_name_that_does_not_resolve_is_503_and_a_broken_resolver_500)
{
    struct mem_request *r = named((struct mem_name){ "other.test", TP_OK, 1 });

    CHECK_INT(r->status, 503);
    CHECK(says(&r->out, "name resolution failed"));
    end();
    r = named((struct mem_name){ "up.test", TP_OK, 0 });
    CHECK_INT(r->status, 503);
    end();
    r = named((struct mem_name){ "up.test", TP_ERR_TIMEOUT, 0, .late = true });
    engine_mem_resolve_now(r);
    CHECK_INT(r->status, 500);
    CHECK(says(&r->out, "failed the initial dns/balancer resolve for 'up.test' with: "));
    end();
}

TEST(a_failed_upstream_counts_as_proxied)
{
    struct mem_request *r;

    begin();
    route("/r");
    start();
    engine_mem_answer(engine, (struct mem_answer){ .status = 504, .fails = true });
    r = engine_mem_get(engine, "/r", NULL);
    CHECK_INT(r->status, 504);
    CHECK_STR(engine_mem_header(r, "Content-Type"), "text/plain; charset=utf-8");
    CHECK_STR(engine_mem_header(r, "Via"), "1.1 " TP_SERVER_TOKEN);
    CHECK(engine_mem_header(r, "X-Kong-Upstream-Latency").data != NULL);
    CHECK(!engine_mem_header(r, "X-Kong-Response-Latency").data);
    CHECK_STR(engine_mem_header(r, "Server"), TP_SERVER_TOKEN);
    end();
}

/* --- Plugins: answering, waiting, leaving --------------------------------------------------------- */

TEST(plugins_run_by_priority_in_every_phase)
{
    with_plugins(NOTHING);
    CHECK_INT(engine_mem_get(engine, "/r", NULL)->status, 200);
    CHECK_STR(tp_buf_str(&trace), "access(1) access(2) header(1) header(2) log(1,200) ");
    end_plugins();
}

TEST(an_early_answer_skips_access_but_not_the_later_phases)
{
    struct mem_request *r;

    with_plugins(ANSWER);
    r = engine_mem_get(engine, "/r", NULL);
    CHECK_INT(r->status, 403);
    CHECK(!r->proxied);
    CHECK_STR(engine_mem_header(r, "X-Why"), "me");
    CHECK_STR(engine_mem_header(r, "X-Seen"), "yes");
    CHECK_STR(tp_buf_str(&trace), "access(1) header(1) header(2) log(1,403) ");
    end_plugins();
}

TEST(a_failing_plugin_is_a_500)
{
    struct mem_request *r;

    with_plugins(FAIL);
    r = engine_mem_get(engine, "/r", NULL);
    CHECK_INT(r->status, 500);
    CHECK(says(&r->out, "An unexpected error occurred"));
    end_plugins();
}

TEST(a_waiting_plugin_goes_on_exactly_once)
{
    struct mem_request *r;

    with_plugins(WAIT);
    r = engine_mem_get(engine, "/r", NULL);
    CHECK(!r->done);
    tp_request_run(r->req); /* a wake that is not meant for it */
    CHECK_STR(tp_buf_str(&trace), "access(1) ");
    tp_request_resume(waiting);
    CHECK_STR(tp_buf_str(&trace), "access(1) "); /* only from the event loop */
    engine_mem_turn(engine);
    CHECK_INT(r->status, 200);
    CHECK_STR(tp_buf_str(&trace), "access(1) after(1,state) access(2) header(1) header(2) log(1,200) ");
    CHECK_INT(cancelled, 1); /* destructors run at the end in any case */
    end_plugins();
}

TEST(a_plugin_may_wait_again_when_it_goes_on)
{
    struct mem_request *r;

    with_plugins(WAIT_TWICE);
    r = engine_mem_get(engine, "/r", NULL);
    tp_request_resume(waiting);
    engine_mem_turn(engine);
    CHECK(!r->done);
    tp_request_resume(waiting);
    engine_mem_turn(engine);
    CHECK_INT(r->status, 200);
    CHECK_STR(tp_buf_str(&trace), "access(1) after(1,state) after(1,again) access(2) header(1) header(2) log(1,200) ");
    end_plugins();
}

TEST(the_client_may_leave_while_a_plugin_waits)
{
    struct mem_request *r;

    with_plugins(WAIT);
    r = engine_mem_get(engine, "/r", NULL);
    engine_mem_leave(r);
    CHECK_INT(cancelled, 1);
    CHECK_STR(tp_buf_str(&trace), "access(1) log(1,0) ");
    end_plugins();
    with_plugins(WAIT); /* and without a log step: the engine just frees it */
    engine_mem_get(engine, "/r", NULL);
    end_plugins();
    CHECK_INT(cancelled, 1);
}

TEST(the_client_may_leave_between_resume_and_wake)
{
    struct mem_request *r;

    with_plugins(WAIT);
    r = engine_mem_get(engine, "/r", NULL);
    tp_request_resume(waiting);
    engine_mem_leave(r);
    engine_mem_turn(engine);
    CHECK_STR(tp_buf_str(&trace), "access(1) log(1,0) ");
    end_plugins();
}

TEST(the_client_may_leave_while_the_upstream_answers_or_a_name_resolves)
{
    struct mem_request *r;

    begin();
    route("/r");
    start();
    engine_mem_answer(engine, (struct mem_answer){ .status = 200, .late = true });
    r = engine_mem_get(engine, "/r", NULL);
    CHECK(r->proxied && !r->done);
    engine_mem_leave(r);
    end();
    r = named((struct mem_name){ "up.test", TP_OK, 1, .late = true });
    engine_mem_leave(r);
    end();
}

TEST(a_sleeping_plugin_goes_on_when_its_time_has_come)
{
    struct mem_request *r;

    with_plugins(SLEEP);
    r = engine_mem_get(engine, "/r", NULL);
    engine_mem_advance(engine, 99);
    CHECK(!r->done);
    engine_mem_advance(engine, 1);
    CHECK_INT(r->status, 200);
    CHECK_STR(engine_mem_header(r, "X-Kong-Proxy-Latency"), "100");
    end_plugins();
    with_plugins(SLEEP);
    r = engine_mem_get(engine, "/r", NULL);
    engine_mem_leave(r); /* its timer goes with it */
    engine_mem_advance(engine, 1000);
    end_plugins();
}

TEST(a_body_is_read_at_once_later_or_not_when_too_long)
{
    with_plugins(BODY);
    CHECK_INT(
        engine_mem_start(engine, &(struct mem_input){ .target = "/r", .method = "POST", .body = "12345678" })->status,
        200);
    CHECK(says(&trace, "after(1,read) body=12345678 "));
    end_plugins();
    with_plugins(BODY);
    engine->body_late = true;
    engine_mem_body_now(engine_mem_start(engine, &(struct mem_input){ .target = "/r", .body = "late" }));
    CHECK(says(&trace, "access(1) after(1,read) body=late access(2)"));
    end_plugins();
    with_plugins(BODY);
    engine_mem_start(engine, &(struct mem_input){ .target = "/r", .body = "123456789" });
    CHECK(says(&trace, "after(1,read) access(2)"));
    end_plugins();
    with_plugins(BODY);
    engine_mem_get(engine, "/r", NULL);
    CHECK(says(&trace, "after(1,read) body= access(2)"));
    end_plugins();
}

TEST(an_announced_body_over_the_limit_is_413)
{
    with_plugins(LIMIT);
    CHECK_INT(engine_mem_start(engine, &(struct mem_input){ .target = "/r", .body = "1234" })->status, 413);
    CHECK_INT(engine_mem_start(engine, &(struct mem_input){ .target = "/r", .body = "123" })->status, 200);
    end_plugins();
}

TEST(a_body_that_grows_too_long_is_answered_while_a_plugin_waits)
{
    struct mem_request *r;

    with_plugins(WAIT);
    engine_mem_answer(engine, (struct mem_answer){ .status = 200, .late = true });
    r = engine_mem_start(engine, &(struct mem_input){ .target = "/r", .body = "1234", .chunked = true });
    tp_request_on_body_too_large(r->req);
    CHECK_INT(r->status, 413);
    CHECK_STR(tp_buf_str(&trace), "access(1) header(1) header(2) log(1,413) ");
    end_plugins();
}

static struct tp_request *held;

static void resume_late(void *data)
{
    (void)data;
    tp_request_resume(held);
}

TEST(a_resume_that_comes_after_another_answer_is_dropped)
{
    struct mem_request *r;

    with_plugins(WAIT);
    r = engine_mem_get(engine, "/r", NULL);
    held = waiting;
    tp_arena_defer(tp_request_arena(r->req), resume_late, NULL); /* completions may come as late as this */
    tp_request_on_body_too_large(r->req);
    CHECK_INT(r->status, 413);
    end_plugins();
}

TEST(plugins_change_path_method_and_body)
{
    struct mem_request *r;

    with_plugins(SET_PATH);
    r = engine_mem_start(engine, &(struct mem_input){ .target = "/r?q=1", .method = "POST", .body = "old" });
    CHECK(says(&r->upstream, "PUT /new%20path?q=1 HTTP/1.1\r\n"));
    CHECK(says(&r->upstream, "Content-Length: 8\r\n"));
    CHECK(says(&r->upstream, "\r\n\r\nnew body"));
    end_plugins();
}

/* --- The answer's body ---------------------------------------------------------------------------- */

static void shout(struct tp_request *req, const void *conf, struct tp_str *chunk, bool last)
{
    char *copy = (char *)tp_arena_dup(tp_request_arena(req), *chunk).data;

    (void)conf;
    for (size_t i = 0; i < chunk->len; i++)
        copy[i] = copy[i] >= 'a' && copy[i] <= 'z' ? (char)(copy[i] - 32) : copy[i];
    *chunk = last ? tp_arena_printf(tp_request_arena(req), "%.*s!", TP_STR_ARG(*chunk)) : tp_str_make(copy, chunk->len);
}

static const struct tp_plugin shouting = { .name = "shouting", .priority = 5, .on_body = shout };

TEST(a_body_filter_sees_every_piece_and_the_length_goes)
{
    struct mem_request *r;

    begin();
    route("/r");
    plan_maker_plugin(maker, &shouting, NULL, NULL, NULL);
    start();
    engine_mem_answer(engine, (struct mem_answer){ .status = 200, .headers = "Content-Length: 4", .body = "abCD" });
    r = engine_mem_get(engine, "/r", NULL);
    CHECK_STR(tp_buf_str(&r->out), "ABCD!");
    CHECK(!engine_mem_header(r, "Content-Length").data);
    end();
}

/* --- Secrets -------------------------------------------------------------------------------------- */

static char log_target[256];

static enum tp_verdict protect(struct tp_request *req, const void *conf)
{
    tp_request_protect_capture(req, TP_STR("key"), conf != NULL);
    snprintf(log_target, sizeof(log_target), "%.*s", TP_STR_ARG(tp_request_log_target(req)));
    return TP_NEXT;
}

static const struct tp_plugin protecting = { .name = "protecting", .priority = 9, .on_access = protect };

static struct mem_request *secret(const char *target, bool hide, bool keep_path)
{
    begin();
    plan_maker_route(maker, (struct route_words){
                                .paths = "~/f/(?<key>[^/]+)/(?<rest>.*)", .service = service, .keep_path = keep_path });
    plan_maker_plugin(maker, &protecting, hide ? "" : NULL, NULL, NULL);
    start();
    return engine_mem_get(engine, target, "Host: a.test");
}

TEST(a_protected_capture_is_in_no_log_and_no_forwarded_header)
{
    struct mem_request *r = secret("/f/s3cret/45,7?k=s3cret", false, true);

    CHECK_STR(tp_str_from_cstr(log_target), "/f/******/45,7?k=******");
    CHECK(says(&r->upstream, "GET /base/f/s3cret/45,7?k=s3cret HTTP"));
    CHECK(says(&r->upstream, "X-Forwarded-Path: /f/******/45,7\r\n"));
    end();
    r = secret("/f/s3cret/x", false, false); /* the stripped prefix holds it, too */
    CHECK(says(&r->upstream, "X-Forwarded-Prefix: /f/******/x\r\n"));
    CHECK(!says(&r->upstream, "s3cret"));
    end();
}

static enum tp_verdict protect_arguments(struct tp_request *req, const void *conf)
{
    (void)conf;
    tp_request_protect_query_arg(req, TP_STR("key"));
    tp_request_protect_query_arg(req, TP_STR("other"));
    snprintf(log_target, sizeof(log_target), "%.*s", TP_STR_ARG(tp_request_log_target(req)));
    return TP_NEXT;
}

static const struct tp_plugin protecting_query = { .name = "protecting",
                                                   .priority = 9,
                                                   .on_access = protect_arguments };

static void check_query(const char *target, const char *logged)
{
    struct mem_request *r;

    begin();
    route("/q");
    plan_maker_plugin(maker, &protecting_query, NULL, NULL, NULL);
    start();
    r = engine_mem_get(engine, target, "Host: a.test");
    CHECK_STR(tp_str_from_cstr(log_target), logged);
    CHECK_INT(r->status, 200);
    end();
}

TEST(a_protected_argument_is_in_no_log)
{
    check_query("/q?key=s3cret", "/q?key=******");
    check_query("/q?a=1&key=s3cret&b=2&KEY=x%20y&%6bey=z", "/q?a=1&key=******&b=2&KEY=******&%6bey=******");
    check_query("/q?other=1&key=2", "/q?other=******&key=******");
    check_query("/q?key=a=b&keys=1&ke=2&key&key=&&", "/q?key=******&keys=1&ke=2&key&key=&&");
    check_query("/q?", "/q?");
    check_query("/q", "/q");
    check_query("/q?key", "/q?key");
}

static void note_target(struct tp_request *req, const void *conf)
{
    (void)conf;
    snprintf(log_target, sizeof(log_target), "%.*s", TP_STR_ARG(tp_request_log_target(req)));
}

static void name_secret(struct tp_request *req, const void *conf)
{
    (void)conf;
    tp_request_protect_query_arg(req, TP_STR("key"));
}

static const struct tp_plugin noting = {
    .name = "noting",
    .priority = 9,
    .on_match = name_secret,
    .on_log = note_target,
};

TEST(secrets_are_masked_also_when_the_gate_answers_before_the_routes_plugins)
{
    struct mem_request *r;

    begin();
    plan_maker_route(maker, (struct route_words){ .paths = "/q", .protocols = "https", .service = service });
    plan_maker_plugin(maker, &noting, NULL, NULL, NULL);
    start();
    r = engine_mem_get(engine, "/q?key=s3cret", "Host: a.test");
    CHECK_INT(r->status, 426);
    CHECK_STR(tp_str_from_cstr(log_target), "/q?key=******");
    end();
}

TEST(a_hidden_capture_is_cut_from_the_upstream_path)
{
    struct mem_request *r = secret("/f/s3cret/45,7", true, true);

    CHECK(says(&r->upstream, "GET /base/f/45,7 HTTP"));
    CHECK(!says(&r->upstream, "s3cret"));
    end();
}

TEST(another_spelling_of_the_secret_is_masked_as_well)
{
    struct mem_request *r = secret("/f/s3%63ret/x", true, true);

    CHECK_STR(tp_str_from_cstr(log_target), "/f/******/x");
    CHECK(!says(&r->upstream, "s3%63ret"));
    CHECK(!says(&r->upstream, "s3cret"));
    end();
    r = secret("/f//a%2fb%20c//x", true, true);
    CHECK_STR(tp_str_from_cstr(log_target), "/f//******//x");
    CHECK(!says(&r->upstream, "b%20c"));
    end();
}

/* --- Who is calling ------------------------------------------------------------------------------- */

static enum tp_verdict authenticate(struct tp_request *req, const void *conf)
{
    static const struct tp_consumer ann = { .id = { { 1 } }, .username = { "ann", 3 } };

    if (conf)
        tp_authenticate_anonymous(req, &ann);
    else
        tp_authenticate(req, &ann, NULL, TP_STR("cred"));
    return TP_NEXT;
}

static const struct tp_plugin authenticating = { .name = "auth", .priority = 9, .on_access = authenticate };

TEST(the_upstream_learns_who_is_calling_and_spoofed_headers_go)
{
    static const char spoof[] = "X-Consumer-Username: eve\nX_Consumer_Custom_ID: evil\nX-Anonymous-Consumer: true\n"
                                "X-Credential-Identifier: fake";
    struct mem_request *r;

    begin();
    plan_maker_plugin(maker, &authenticating, NULL, route("/r"), NULL);
    plan_maker_plugin(maker, &authenticating, "anonymous", route("/anon"), NULL);
    start();
    r = engine_mem_get(engine, "/r", spoof);
    CHECK(says(&r->upstream, "X-Consumer-ID: 01000000-0000-0000-0000-000000000000\r\n"));
    CHECK(says(&r->upstream, "X-Consumer-Username: ann\r\n"));
    CHECK(says(&r->upstream, "X-Credential-Identifier: cred\r\n"));
    CHECK(!says(&r->upstream, "ustom"));
    CHECK(!says(&r->upstream, "Anonymous"));
    r = engine_mem_get(engine, "/anon", spoof);
    CHECK(says(&r->upstream, "X-Anonymous-Consumer: true\r\n"));
    CHECK(!says(&r->upstream, "X-Credential-Identifier"));
    end();
}

/* Each of the client's headers is looked for in the list: without an end it would take a worker's time. */
TEST(a_connection_header_is_read_up_to_its_hundredth_name)
{
    char headers[600] = "Host: a.test\nNear: 1\nFar: 1\nConnection: near";
    size_t len = strlen(headers);
    struct mem_request *r;

    memset(headers + len, ',', 100);
    snprintf(headers + len + 100, sizeof(headers) - len - 100, "far");
    begin();
    route("/r");
    start();
    r = engine_mem_get(engine, "/r", headers);
    CHECK(!says(&r->upstream, "Near: 1"));
    CHECK(says(&r->upstream, "Far: 1"));
    end();
}
