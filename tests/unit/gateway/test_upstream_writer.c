/* The head of the upstream's request, byte for byte, and that nothing breaks out of a line. */
#include "support/engine_mem.h"
#include "support/plan_maker.h"
#include "support/test.h"

#include <stdio.h>

static struct plan_maker *maker;
static struct engine_mem *engine;
static enum tp_verdict (*handler)(struct tp_request *req);

static enum tp_verdict on_access(struct tp_request *req, const void *conf)
{
    (void)conf;
    return handler ? handler(req) : TP_NEXT;
}

static const struct tp_plugin plugin = { .name = "p", .priority = 1, .on_access = on_access };

static struct mem_request *ask(enum tp_verdict (*fn)(struct tp_request *), struct mem_input input)
{
    struct tp_service *service;

    handler = fn;
    maker = plan_maker_new();
    service = plan_maker_service(maker, "http://127.0.0.1:29100");
    plan_maker_route(maker, (struct route_words){ .paths = "/f", .service = service });
    plan_maker_plugin(maker, &plugin, NULL, NULL, NULL);
    engine = engine_mem_new(&maker->plan, TP_ROUTER_TRADITIONAL_COMPATIBLE);
    engine->gateway.settings.trusted_ips = plan_maker_words(maker, "10.0.0.0/8");
    engine->gateway.settings.port_maps = plan_maker_words(maker, "80:8000");
    return engine_mem_start(engine, &input);
}
#define ASK(fn, ...) ask(fn, (struct mem_input){ __VA_ARGS__ })

static void end(void)
{
    engine_mem_free(engine);
    plan_maker_free(maker);
}

/* The head with the request's id as ID. */
static struct tp_str head(const struct mem_request *r)
{
    static char text[8192];
    char *id;

    snprintf(text, sizeof(text), "%.*s", TP_STR_ARG(tp_buf_str(&r->upstream)));
    id = strstr(text, "X-Kong-Request-Id: ");
    if (id) {
        memmove(id + 21, id + 51, strlen(id + 51) + 1);
        memcpy(id + 19, "ID", 2);
    }
    return tp_str_from_cstr(text);
}

static bool has(const struct mem_request *r, const char *text)
{
    return tp_str_find(tp_buf_str(&r->upstream), tp_str_from_cstr(text)) >= 0;
}

TEST(the_whole_head_in_kongs_order)
{
    struct mem_request *r = ASK(NULL, .target = "/f/x?q=1",
                                .headers = "Host: F.test:8000\nX-Dup: 1\nX-Forwarded-For: 9.9.9.9\nX-Dup: 2\n"
                                           "TE: deflate, Trailers\nVia: 1.0 old\nX_Under: 1\nX-Empty:");

    CHECK_STR(head(r), "GET /x?q=1 HTTP/1.1\r\nTE: trailers\r\nVia: 1.0 old, 1.1 " TP_SERVER_TOKEN "\r\n"
                       "Host: 127.0.0.1:29100\r\nConnection: keep-alive\r\nX-Forwarded-For: 9.9.9.9, 127.0.0.1\r\n"
                       "X-Forwarded-Proto: http\r\nX-Forwarded-Host: f.test\r\nX-Forwarded-Port: 80\r\n"
                       "X-Forwarded-Path: /f/x\r\nX-Forwarded-Prefix: /f\r\nX-Real-IP: 127.0.0.1\r\n"
                       "X-Kong-Request-Id: ID\r\nX-Dup: 1\r\nX-Dup: 2\r\nX_Under: 1\r\nX-Empty: \r\n\r\n");
    end();
}

TEST(hop_by_hop_headers_and_what_connection_names_stay_here)
{
    struct mem_request *r =
        ASK(NULL, .target = "/f",
            .headers = "Connection: close, X-Foo\nX-Foo: 1\nKeep-Alive: 5\nProxy: x\nProxy-Connection: x\nExpect: "
                       "100-continue\nUpgrade: h2c\nProxy-Authorization: Basic x\nTrailer: X-T\nConnection: x-bar\n"
                       "X_Bar: 1\nX_Forwarded_Proto: evil\nContent-Length: 7\nTransfer-Encoding: chunked");

    CHECK(!has(r, "X-Foo") && !has(r, "Keep-Alive") && !has(r, "Proxy:") && !has(r, "Proxy-Connection"));
    CHECK(!has(r, "Expect") && !has(r, "h2c") && !has(r, "X_Bar") && !has(r, "evil"));
    CHECK(!has(r, "Content-Length") && !has(r, "Transfer-Encoding"));
    CHECK(has(r, "Proxy-Authorization: Basic x\r\n") && has(r, "Trailer: X-T\r\n"));
    end();
}

TEST(a_trusted_peer_is_believed_and_another_is_not)
{
    static const char headers[] = "Host: a.test\nX-Forwarded-Proto: https\nX-Forwarded-Host: Pub.test\n"
                                  "X-Forwarded-Port: 444\nX-Forwarded-Path: /orig\nX-Forwarded-Prefix: /pre";
    struct mem_request *r = ASK(NULL, .target = "/f", .headers = headers, .peer_ip = "10.2.3.4");

    CHECK(has(r, "X-Forwarded-Proto: https\r\nX-Forwarded-Host: Pub.test\r\nX-Forwarded-Port: 444\r\n"
                 "X-Forwarded-Path: /orig\r\nX-Forwarded-Prefix: /pre\r\n"));
    end();
    r = ASK(NULL, .target = "/f", .headers = headers, .peer_ip = "11.2.3.4");
    CHECK(has(r, "X-Forwarded-Proto: http\r\nX-Forwarded-Host: a.test\r\nX-Forwarded-Port: 80\r\n"
                 "X-Forwarded-Path: /f\r\nX-Forwarded-Prefix: /f\r\n"));
    end();
}

TEST(websocket_upgrades_pass_and_bodies_have_their_length)
{
    struct mem_request *r = ASK(NULL, .target = "/f", .headers = "Upgrade: WebSocket\nConnection: Upgrade");

    CHECK(has(r, "\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"));
    CHECK(r->target.websocket);
    end();
    r = ASK(NULL, .target = "/f", .method = "POST", .body = "hello", .http_version = 10);
    CHECK(has(r, "Content-Length: 5\r\n"));
    CHECK(has(r, "Via: 1 " TP_SERVER_TOKEN));
    end();
}

TEST(a_chunked_body_stays_chunked_when_its_length_is_not_known)
{
    struct mem_request *r = ASK(NULL, .target = "/f");
    struct tp_request_input in = { .method = TP_STR("POST"), .target = TP_STR("/f"), .content_length = -1 };
    struct tp_request *req = tp_request_new(&engine->gateway, &in, r);
    struct tp_buf out;

    tp_buf_init(&out, 0);
    tp_request_write_upstream(req, &r->target, -1, true, &out);
    CHECK(tp_str_find(tp_buf_str(&out), TP_STR("Transfer-Encoding: chunked\r\n")) > 0);
    tp_buf_reset(&out);
    tp_request_write_upstream(req, &r->target, 0, false, &out);
    CHECK(tp_str_find(tp_buf_str(&out), TP_STR("Content-Length: 0\r\n")) > 0);
    tp_buf_fini(&out);
    tp_buf_init(&out, 100); /* a ceiling is kept */
    tp_request_write_upstream(req, &r->target, 0, false, &out);
    CHECK(out.failed);
    tp_buf_fini(&out);
    tp_request_free(req);
    end();
}

static enum tp_verdict inject(struct tp_request *req)
{
    static const char evil[] = "a\r\nX-Evil: 1\n\0b\tc";
    struct tp_str value = { evil, sizeof(evil) - 1 };
    struct tp_arg args[] = { { TP_STR("k\r\nX-Evil: 3"), TP_STR("v\n"), true } };

    tp_request_set_header(req, TP_STR("X-A"), value);
    tp_request_add_header(req, TP_STR("X-B"), value);
    tp_request_set_header(req, TP_STR("Host"), value);
    tp_request_set_header(req, TP_STR("X-C\r\nX-Evil"), TP_STR("2"));
    tp_request_set_header(req, TP_STR(""), TP_STR("2"));
    CHECK(tp_request_set_upstream_method(req, TP_STR("GET\r\nX-Evil: 4")) == TP_ERR_INVALID);
    CHECK(tp_request_set_upstream_path(req, TP_STR("/p HTTP/1.1\r\nX-Evil: 5")) == TP_OK);
    tp_request_set_query_args(req, args, 1);
    tp_response_set_header(req, TP_STR("X-D"), value);
    tp_response_set_header(req, TP_STR("X-E\nX-Evil"), TP_STR("6"));
    return TP_NEXT;
}

TEST(nothing_a_plugin_sets_breaks_out_of_its_line)
{
    struct mem_request *r = ASK(inject, .target = "/f");

    CHECK(!has(r, "\nX-Evil"));
    CHECK(has(r, "GET /p%20HTTP/1.1%0D%0AX-Evil:%205?k%0D%0AX-Evil%3A%203=v%0A HTTP/1.1\r\n"));
    CHECK(has(r, "\r\nX-A: a%0D%0AX-Evil: 1%0A%00b\tc\r\n"));
    CHECK(has(r, "\r\nHost: a%0D%0AX-Evil: 1%0A%00b\tc\r\n"));
    CHECK_STR(engine_mem_header(r, "X-D"), "a%0D%0AX-Evil: 1%0A%00b\tc");
    CHECK(tp_str_find(tp_buf_str(&r->head), TP_STR("\nX-Evil")) < 0);
    end();
}

TEST(an_encoded_line_end_in_the_path_does_not_leave_the_forwarded_prefix)
{
    struct mem_request *r;

    handler = NULL;
    maker = plan_maker_new();
    plan_maker_route(maker, (struct route_words){ .paths = "~/k/[^/]+",
                                                  .service = plan_maker_service(maker, "http://127.0.0.1:1") });
    engine = engine_mem_new(&maker->plan, TP_ROUTER_TRADITIONAL_COMPATIBLE);
    r = engine_mem_get(engine, "/k/a%0d%0aX-Evil:%201/x", NULL);
    CHECK(has(r, "X-Forwarded-Prefix: /k/a%0D%0AX-Evil: 1\r\n"));
    CHECK(!has(r, "\nX-Evil"));
    end();
}

static enum tp_verdict edit_headers(struct tp_request *req)
{
    struct tp_str value;
    struct tp_header h;
    size_t i = 0, n = 0;

    CHECK(tp_request_header(req, TP_STR("x_a"), &value));
    CHECK_STR(value, "1");
    CHECK_INT(tp_request_header_count(req, TP_STR("X-A")), 2);
    tp_request_set_header(req, TP_STR("X-A"), TP_STR("new"));
    tp_request_clear_header(req, TP_STR("X-B"));
    for (int k = 0; k < 40; k++)
        tp_request_add_header(req, TP_STR("X-Many"), TP_STR("m"));
    CHECK_INT(tp_request_header_count(req, TP_STR("X-Many")), 40);
    while (tp_request_client_header_next(req, &i, &h))
        n++;
    CHECK_INT(n, 4); /* the client's own are as they came */
    return TP_NEXT;
}

TEST(set_keeps_place_and_spelling_and_clear_removes_all)
{
    struct mem_request *r = ASK(edit_headers, .target = "/f", .headers = "x-A: 1\nX-B: 1\nX_A: 2\nX-C: 1");

    CHECK(has(r, "\r\nx-A: new\r\nX-C: 1\r\nX-Many: m\r\n"));
    CHECK(!has(r, "X_A") && !has(r, "X-B"));
    end();
}

static enum tp_verdict edit_query(struct tp_request *req)
{
    const struct tp_arg *args;

    CHECK_INT(tp_request_query_args(req, &args), 4);
    CHECK_STR(args[0].name, "a b");
    CHECK_STR(args[0].value, "1 2");
    CHECK(!args[1].has_value);
    CHECK_STR(args[2].name, "key");
    tp_request_remove_query_arg(req, TP_STR("key"));
    CHECK_INT(tp_request_query_args(req, &args), 3);
    tp_request_remove_query_arg(req, TP_STR("absent"));
    return TP_NEXT;
}

TEST(removing_an_argument_leaves_every_other_byte)
{
    struct mem_request *r = ASK(edit_query, .target = "/f?a+b=1%202&x&%6bey=s&&z=%zz");

    CHECK(has(r, "GET /?a+b=1%202&x&&z=%zz HTTP/1.1\r\n"));
    end();
    r = ASK(NULL, .target = "/f?");
    CHECK(has(r, "GET /? HTTP/1.1\r\n"));
    end();
}
