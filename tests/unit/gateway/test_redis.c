#include "gateway/redis.h"
#include "support/engine_mem.h"
#include "support/plan_maker.h"
#include "support/test.h"
#include "turnpike/redis.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define REAL_PORT 24017

/* A plugin that sends ECHO <query> and passes the reply on in X-Reply. */
struct conf {
    struct tp_redis_conf redis;
};

static enum tp_verdict on_reply(struct tp_request *req, const void *conf, void *state)
{
    const struct tp_redis_reply *reply;
    enum tp_err err = tp_redis_result(req, &reply);

    (void)conf;
    (void)state;
    if (err)
        tp_request_set_header(req, TP_STR("X-Reply"), tp_str_from_cstr(tp_err_text(err)));
    else if (reply->type == TP_REDIS_INTEGER)
        tp_request_set_header(req, TP_STR("X-Reply"),
                              tp_arena_printf(tp_request_arena(req), "int %lld", (long long)reply->integer));
    else if (reply->type == TP_REDIS_ARRAY)
        tp_request_set_header(req, TP_STR("X-Reply"),
                              tp_arena_printf(tp_request_arena(req), "array %zu", reply->count));
    else
        tp_request_set_header(req, TP_STR("X-Reply"), reply->text);
    return TP_NEXT;
}

static enum tp_verdict on_access(struct tp_request *req, const void *data)
{
    const struct conf *conf = data;
    struct tp_str argv[8], rest = tp_request_raw_query(req);
    size_t argc = 0;

    while (argc < 8 && tp_str_next(&rest, '+', &argv[argc]))
        argc++;
    return tp_redis_call(req, &conf->redis, argv, argc, on_reply, NULL);
}

static const struct tp_plugin probe = { .name = "probe", .priority = 1, .on_access = on_access };

struct rig {
    struct plan_maker *plan;
    struct engine_mem *engine;
    struct conf *conf;
};

static struct rig make_rig(void)
{
    struct rig rig = { .plan = plan_maker_new() };
    const struct tp_route *route =
        plan_maker_route(rig.plan, (struct route_words){ .name = "r", .paths = "/",
                                       .service = plan_maker_service(rig.plan, "http://10.0.0.1:80") });

    rig.conf = tp_arena_new_type(rig.plan->arena, struct conf);
    rig.conf->redis = (struct tp_redis_conf){ .host = TP_STR("127.0.0.1"), .port = 6379, .timeout = 200 };
    plan_maker_plugin(rig.plan, &probe, rig.conf, route, NULL);
    rig.engine = engine_mem_new(&rig.plan->plan, TP_ROUTER_TRADITIONAL_COMPATIBLE);
    for (int i = 0; i < 16; i++)
        engine_mem_answer(rig.engine, (struct mem_answer){ .status = 200 });
    return rig;
}

static void drop(struct rig *rig)
{
    engine_mem_free(rig->engine);
    plan_maker_free(rig->plan);
}

static struct mem_request *call(struct rig *rig, const char *words)
{
    char target[100];
    struct mem_request *r;

    snprintf(target, sizeof(target), "/?%s", words);
    r = engine_mem_get(rig->engine, target, "Host: a");
    engine_mem_turn(rig->engine);
    return r;
}

/* What the plugin learned; data NULL: it still waits. */
static struct tp_str reply_of(struct rig *rig, struct mem_request *r)
{
    struct tp_str rest, line;

    engine_mem_turn(rig->engine);
    rest = tp_buf_str(&r->upstream);
    while (rest.data && tp_str_next(&rest, '\n', &line))
        if (tp_str_starts_nocase(line, TP_STR("x-reply: ")))
            return tp_str_head(tp_str_from(line, 9), line.len - 10);
    return TP_STR_NULL;
}

static struct tp_conn *conn(struct rig *rig, size_t i)
{
    if (i >= rig->engine->conn_count) {
        test_fail(__FILE__, __LINE__, "there is no connection %zu", i);
        exit(1);
    }
    return rig->engine->conns[i];
}

TEST(calls_are_pipelined_on_one_connection_in_order)
{
    struct rig rig = make_rig();
    struct mem_request *a = call(&rig, "ECHO+a"), *b = call(&rig, "ECHO+b");

    CHECK_INT(rig.engine->conn_count, 1);
    CHECK(reply_of(&rig, a).data == NULL);
    mem_conn_opened(conn(&rig, 0));
    CHECK_STR(tp_buf_str(&conn(&rig, 0)->sent),
              "*2\r\n$4\r\nECHO\r\n$1\r\na\r\n*2\r\n$4\r\nECHO\r\n$1\r\nb\r\n");
    mem_conn_data(conn(&rig, 0), TP_STR("$1\r\na\r"));
    CHECK(reply_of(&rig, a).data == NULL); /* not whole yet */
    mem_conn_data(conn(&rig, 0), TP_STR("\n:7\r\n"));
    CHECK_STR(reply_of(&rig, a), "a");
    CHECK_STR(reply_of(&rig, b), "int 7");
    drop(&rig);
}

TEST(a_client_that_leaves_keeps_the_order_of_replies)
{
    struct rig rig = make_rig();
    struct mem_request *a = call(&rig, "ECHO+a"), *b = call(&rig, "ECHO+b");

    mem_conn_opened(conn(&rig, 0));
    engine_mem_leave(a);
    mem_conn_data(conn(&rig, 0), TP_STR("$1\r\na\r\n$1\r\nb\r\n"));
    CHECK_STR(reply_of(&rig, b), "b");
    drop(&rig);
}

TEST(a_lost_connection_fails_every_call_once)
{
    struct rig rig = make_rig();
    struct mem_request *a = call(&rig, "ECHO+a"), *b = call(&rig, "ECHO+b"), *c;

    mem_conn_opened(conn(&rig, 0));
    mem_conn_lost(conn(&rig, 0), TP_ERR_CLOSED);
    CHECK_STR(reply_of(&rig, a), tp_err_text(TP_ERR_CLOSED));
    CHECK_STR(reply_of(&rig, b), tp_err_text(TP_ERR_CLOSED));
    c = call(&rig, "ECHO+c"); /* once is no reason to give up */
    CHECK_INT(rig.engine->conn_count, 2);
    mem_conn_opened(conn(&rig, 1));
    mem_conn_data(conn(&rig, 1), TP_STR("+c\r\n"));
    CHECK_STR(reply_of(&rig, c), "c");
    drop(&rig);
}

TEST(an_idle_connection_may_be_closed)
{
    struct rig rig = make_rig();
    struct mem_request *r;

    for (size_t i = 0; i < 4; i++) {
        r = call(&rig, "PING");
        mem_conn_opened(conn(&rig, i));
        mem_conn_data(conn(&rig, i), TP_STR("+PONG\r\n"));
        CHECK_STR(reply_of(&rig, r), "PONG");
        mem_conn_lost(conn(&rig, i), TP_ERR_CLOSED);
    }
    drop(&rig);
}

TEST(a_time_out_breaks_the_circuit_and_a_probe_closes_it)
{
    struct rig rig = make_rig();
    struct mem_request *a = call(&rig, "ECHO+a"), *b, *c, *d;

    mem_conn_opened(conn(&rig, 0));
    engine_mem_advance(rig.engine, 199);
    CHECK(reply_of(&rig, a).data == NULL);
    engine_mem_advance(rig.engine, 2);
    CHECK_STR(reply_of(&rig, a), tp_err_text(TP_ERR_TIMEOUT));
    CHECK(conn(&rig, 0)->closed);
    b = call(&rig, "ECHO+b");
    CHECK_STR(reply_of(&rig, b), tp_err_text(TP_ERR_UNAVAILABLE)); /* at once */
    engine_mem_advance(rig.engine, 1000);
    c = call(&rig, "ECHO+c"); /* the probe */
    d = call(&rig, "ECHO+d");
    CHECK_STR(reply_of(&rig, d), tp_err_text(TP_ERR_UNAVAILABLE));
    mem_conn_opened(conn(&rig, 1));
    mem_conn_data(conn(&rig, 1), TP_STR("$1\r\nc\r\n"));
    CHECK_STR(reply_of(&rig, c), "c");
    d = call(&rig, "ECHO+d");
    mem_conn_data(conn(&rig, 1), TP_STR("$1\r\nd\r\n"));
    CHECK_STR(reply_of(&rig, d), "d");
    drop(&rig);
}

TEST(breaks_get_longer_while_probes_fail)
{
    struct rig rig = make_rig();

    call(&rig, "PING");
    engine_mem_advance(rig.engine, 201);
    engine_mem_advance(rig.engine, 1001);
    call(&rig, "PING");
    CHECK_INT(rig.engine->conn_count, 2);
    engine_mem_advance(rig.engine, 201);
    engine_mem_advance(rig.engine, 1001);
    call(&rig, "PING"); /* the second break lasts two seconds */
    CHECK_INT(rig.engine->conn_count, 2);
    engine_mem_advance(rig.engine, 1001);
    call(&rig, "PING");
    CHECK_INT(rig.engine->conn_count, 3);
    drop(&rig);
}

TEST(a_server_that_cannot_be_reached_fails_the_call)
{
    struct rig rig = make_rig();
    struct mem_request *a;

    rig.engine->refuse_conns = true;
    a = call(&rig, "PING");
    CHECK(reply_of(&rig, a).data != NULL);
    drop(&rig);
}

TEST(the_login_goes_first_and_its_refusal_is_not_a_reply)
{
    struct rig rig = make_rig();
    struct mem_request *a;

    rig.conf->redis.username = TP_STR("u");
    rig.conf->redis.password = TP_STR("secret");
    rig.conf->redis.database = 3;
    a = call(&rig, "PING");
    mem_conn_opened(conn(&rig, 0));
    CHECK_STR(tp_buf_str(&conn(&rig, 0)->sent),
              "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$6\r\nsecret\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*1\r\n$4\r\nPING\r\n");
    mem_conn_data(conn(&rig, 0), TP_STR("-WRONGPASS no\r\n"));
    CHECK_STR(reply_of(&rig, a), tp_err_text(TP_ERR_UNAVAILABLE));
    CHECK(tp_str_find(tp_buf_str(&rig.engine->log), TP_STR("secret")) < 0);
    drop(&rig);
}

TEST(logins_databases_and_hosts_have_connections_of_their_own)
{
    struct rig rig = make_rig();

    call(&rig, "PING");
    rig.conf->redis.database = 1;
    call(&rig, "PING");
    rig.conf->redis.password = TP_STR("p");
    call(&rig, "PING");
    rig.conf->redis.timeout = 300; /* the same connection */
    call(&rig, "PING");
    CHECK_INT(rig.engine->conn_count, 3);
    drop(&rig);
}

TEST(nonsense_closes_the_connection)
{
    struct rig rig = make_rig();
    struct mem_request *a = call(&rig, "PING");

    mem_conn_opened(conn(&rig, 0));
    mem_conn_data(conn(&rig, 0), TP_STR("HTTP/1.1 400 Bad Request\r\n"));
    CHECK_STR(reply_of(&rig, a), tp_err_text(TP_ERR_DAMAGED));
    CHECK(conn(&rig, 0)->closed);
    drop(&rig);
}

TEST(a_reply_that_nobody_asked_for_closes_the_connection)
{
    struct rig rig = make_rig();
    struct mem_request *a = call(&rig, "PING");

    mem_conn_opened(conn(&rig, 0));
    mem_conn_data(conn(&rig, 0), TP_STR("+PONG\r\n+PONG\r\n"));
    CHECK_STR(reply_of(&rig, a), "PONG");
    CHECK(conn(&rig, 0)->closed);
    drop(&rig);
}

/* --- A real server ------------------------------------------------------------------------------ */

static pid_t start_server(void)
{
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        char port[8];

        snprintf(port, sizeof(port), "%d", REAL_PORT);
        if (!freopen("/dev/null", "w", stdout))
            _exit(126);
        execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly",
               "no", "--daemonize", "no", "--dir", "/tmp", "--requirepass", "pw", (char *)NULL);
        _exit(127);
    }
    return pid;
}

/* A socket to the server; -1 when it does not come up. */
static int connect_server(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(REAL_PORT),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    for (int tries = 0; tries < 200; tries++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
            return fd;
        close(fd);
        usleep(20000);
    }
    return -1;
}

/* Carry what the gateway sent to the server, and its answers back, until `r` has gone on. */
static void carry(struct rig *rig, int fd, struct mem_request *r)
{
    struct tp_conn *c = conn(rig, 0);
    char bytes[4096];

    for (int i = 0; i < 100 && !reply_of(rig, r).data; i++) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        ssize_t n;

        if (c->sent.len && write(fd, c->sent.data, c->sent.len) < 0)
            return;
        tp_buf_reset(&c->sent);
        if (poll(&p, 1, 50) <= 0)
            continue;
        n = read(fd, bytes, sizeof(bytes));
        if (n <= 0)
            return;
        mem_conn_data(c, tp_str_make(bytes, (size_t)n));
    }
}

TEST(a_real_server_understands_us)
{
    pid_t server = start_server();
    int fd = connect_server();
    struct rig rig = make_rig();
    struct mem_request *r;

    CHECK(fd >= 0);
    rig.conf->redis.port = REAL_PORT;
    rig.conf->redis.password = TP_STR("pw");
    rig.conf->redis.database = 2;
    r = call(&rig, "INCRBY+n+5");
    mem_conn_opened(conn(&rig, 0));
    carry(&rig, fd, r);
    CHECK_STR(reply_of(&rig, r), "int 5");
    r = call(&rig, "GET+n");
    carry(&rig, fd, r);
    CHECK_STR(reply_of(&rig, r), "5");
    r = call(&rig, "TIME");
    carry(&rig, fd, r);
    CHECK_STR(reply_of(&rig, r), "array 2");
    r = call(&rig, "NOSUCH");
    carry(&rig, fd, r);
    CHECK(tp_str_starts(reply_of(&rig, r), TP_STR("ERR unknown command")));
    drop(&rig);
    close(fd);
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
}

static void flood(struct tp_str start, struct tp_str more, int times)
{
    struct rig rig = make_rig();
    struct mem_request *r = call(&rig, "GET+n");

    mem_conn_opened(conn(&rig, 0));
    mem_conn_data(conn(&rig, 0), start);
    CHECK(reply_of(&rig, r).data == NULL);
    for (int i = 0; i < times && !reply_of(&rig, r).data; i++)
        mem_conn_data(conn(&rig, 0), more);
    CHECK_STR(reply_of(&rig, r), tp_err_text(TP_ERR_DAMAGED));
    drop(&rig);
}

TEST(a_reply_without_end_closes_the_connection)
{
    enum { SIZE = 64 * 1024 };
    char *bytes = malloc(SIZE);

    memset(bytes, 'x', SIZE);
    flood(TP_STR("$500000000\r\n"), tp_str_make(bytes, SIZE), 20);
    for (size_t i = 0; i < SIZE; i += 4)
        memcpy(bytes + i, ":1\r\n", 4);
    flood(TP_STR("*100000000\r\n"), tp_str_make(bytes, SIZE), 20);
    free(bytes);
}
