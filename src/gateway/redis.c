/*
 * Redis for plugins: one pipelined connection a server, database and login, over the engine's byte streams. hiredis
 * formats commands and reads replies; sockets and timers are the engine's.
 *
 *            call              open, login sent           first reply
 *   IDLE ───────────► OPENING ─────────────────► OPEN ◄────────────────► (calls and replies, in order)
 *    ▲                   │                         │
 *    └───────────────────┴──── lost, time-out ─────┘   every call on it fails, once
 *
 * The breaker: a time-out opens it at once, a lost connection the second time in a row. While it is open calls fail
 * without being sent; when its time is over one call goes through as a probe, and its reply closes it.
 */
#include "gateway/redis.h"

#include "base/buf.h"
#include "base/mem.h"
#include "gateway/request.h"
#include "turnpike/redis.h"

#include <hiredis/hiredis.h>
#include <stdio.h>

#define SERVERS_MAX 64
#define PENDING_MAX 10000          /* calls on one connection; more fail at once */
#define QUEUED_BYTES_MAX (1 << 20) /* written before the connection is open */
#define ARGS_MAX 64
#define DEPTH_MAX 8
#define REPLY_BYTES_MAX (1 << 20) /* of a reply that has not ended; no plugin asks for that much */
#define BREAK_MS 1000
#define BREAK_MAX_MS 16000

enum state { IDLE, OPENING, OPEN };

/* What a request waits with. In its arena. */
struct wait {
    struct tp_request *req;
    struct call *call; /* NULL: over */
    enum tp_err err;
    const struct tp_redis_reply *reply;
};

/* One command whose reply is due. */
struct call {
    struct call *next;
    struct wait *wait; /* NULL: the login, or a client that has left: the reply is dropped */
    bool is_login;
    int64_t deadline_ms;
};

struct server {
    struct tp_redis *redis;
    struct tp_redis_conf conf; /* own copies */
    enum state state;
    struct tp_conn *conn;
    redisReader *reader;
    size_t unfinished;    /* bytes since the last whole reply */
    struct tp_buf queued; /* while OPENING */
    struct call *first, **last;
    size_t pending;
    void *timer;          /* runs while calls are pending */
    unsigned losses;      /* in a row */
    int64_t break_ms;     /* length of the next break */
    int64_t closed_until; /* calls fail before; 0: the breaker is closed */
    bool probing;
    bool reading; /* inside on_data: the reader must not be freed */
};

struct tp_redis {
    struct tp_engine *engine;
    struct server *servers[SERVERS_MAX];
    size_t count;
};

static const char wait_key[] = "turnpike.redis";

/* --- Servers ---------------------------------------------------------------------------------- */

static void log_server(const struct server *s, enum tp_log_level level, const char *what, const char *why)
{
    struct tp_engine *engine = s->redis->engine;
    char line[300];

    snprintf(line, sizeof(line), "redis %.*s:%d: %s%s%s", TP_STR_ARG(tp_str_head(s->conf.host, 100)), (int)s->conf.port,
             what, why ? ": " : "", why ? why : "");
    engine->ops->log(engine, NULL, level, tp_str_from_cstr(line));
}

static struct tp_str own(struct tp_str s)
{
    return s.data ? tp_str_make(tp_strndup(s), s.len) : TP_STR_NULL;
}

static bool same_text(struct tp_str a, struct tp_str b)
{
    return tp_str_eq(a, b) && (a.data == NULL) == (b.data == NULL);
}

/* The time-out is each call's own; everything else tells connections apart. */
static bool same_server(const struct tp_redis_conf *a, const struct tp_redis_conf *b)
{
    return a->port == b->port && a->database == b->database && a->ssl == b->ssl && a->ssl_verify == b->ssl_verify &&
           same_text(a->host, b->host) && same_text(a->server_name, b->server_name) &&
           same_text(a->username, b->username) && same_text(a->password, b->password);
}

static void free_text(struct tp_str s)
{
    free((char *)s.data);
}

static void free_server(struct server *s)
{
    free_text(s->conf.host);
    free_text(s->conf.server_name);
    free_text(s->conf.username);
    free_text(s->conf.password);
    tp_buf_fini(&s->queued);
    free(s);
}

static struct server *new_server(struct tp_redis *redis, const struct tp_redis_conf *conf)
{
    struct server *s = tp_new(struct server);

    s->redis = redis;
    s->conf = *conf;
    s->conf.host = own(conf->host);
    s->conf.server_name = own(conf->server_name);
    s->conf.username = own(conf->username);
    s->conf.password = own(conf->password);
    s->last = &s->first;
    s->break_ms = BREAK_MS;
    tp_buf_init(&s->queued, QUEUED_BYTES_MAX);
    return s;
}

static void drop_connection(struct server *s, enum tp_err why);

/* Servers of configurations that are gone make room when the table is full. */
static bool make_room(struct tp_redis *redis)
{
    for (size_t i = 0; i < redis->count && redis->count == SERVERS_MAX; i++) {
        struct server *s = redis->servers[i];

        if (s->pending || s->reading)
            continue;
        drop_connection(s, TP_OK);
        free_server(s);
        redis->servers[i] = redis->servers[--redis->count];
    }
    return redis->count < SERVERS_MAX;
}

static struct server *find_server(struct tp_gateway *gateway, const struct tp_redis_conf *conf)
{
    struct tp_redis *redis = gateway->redis;

    if (!redis) {
        redis = gateway->redis = tp_new(struct tp_redis);
        redis->engine = gateway->engine;
    }
    for (size_t i = 0; i < redis->count; i++)
        if (same_server(&redis->servers[i]->conf, conf))
            return redis->servers[i];
    if (!make_room(redis))
        return NULL;
    return redis->servers[redis->count++] = new_server(redis, conf);
}

void tp_redis_free(struct tp_redis *redis)
{
    if (!redis)
        return;
    for (size_t i = 0; i < redis->count; i++) {
        drop_connection(redis->servers[i], TP_ERR_CLOSED);
        free_server(redis->servers[i]);
    }
    free(redis);
}

/* --- The breaker ------------------------------------------------------------------------------ */

/* May a call be sent now? After a break one is let through as a probe. */
static bool may_call(struct server *s, int64_t now_ms)
{
    if (s->closed_until == 0)
        return true;
    if (now_ms < s->closed_until || s->probing)
        return false;
    s->probing = true;
    return true;
}

static void note_success(struct server *s)
{
    if (s->closed_until)
        log_server(s, TP_LOG_NOTICE, "is back", NULL);
    s->losses = 0;
    s->break_ms = BREAK_MS;
    s->closed_until = 0;
    s->probing = false;
}

static void note_failure(struct server *s, enum tp_err why)
{
    struct tp_engine *engine = s->redis->engine;

    s->losses++;
    if (why != TP_ERR_TIMEOUT && s->losses < 2 && !s->probing)
        return;
    log_server(s, s->closed_until ? TP_LOG_INFO : TP_LOG_ERROR, "calls fail at once for a while", tp_err_text(why));
    s->closed_until = engine->ops->now_ms(engine) + s->break_ms;
    s->break_ms = s->break_ms * 2 < BREAK_MAX_MS ? s->break_ms * 2 : BREAK_MAX_MS;
    s->probing = false;
}

/* --- Calls ------------------------------------------------------------------------------------ */

static void push_call(struct server *s, struct call *call)
{
    call->next = NULL;
    *s->last = call;
    s->last = &call->next;
    s->pending++;
}

static struct call *pop_call(struct server *s)
{
    struct call *call = s->first;

    s->first = call->next;
    if (!s->first)
        s->last = &s->first;
    s->pending--;
    return call;
}

/* The end of a call, whatever it is. */
static void finish(struct call *call, enum tp_err err, const struct tp_redis_reply *reply)
{
    struct wait *wait = call->wait;

    free(call);
    if (!wait)
        return;
    wait->call = NULL;
    wait->err = err;
    wait->reply = reply;
    tp_request_resume(wait->req);
}

/* The request has ended: its reply will be dropped when it comes. */
static void forget_wait(void *data)
{
    struct wait *wait = data;

    if (wait->call)
        wait->call->wait = NULL;
    wait->call = NULL;
}

static void fail_all(struct server *s, enum tp_err why)
{
    /* Only those that are there now: one that resumes may call again, on a new connection. */
    struct call *call = s->first;

    s->first = NULL;
    s->last = &s->first;
    s->pending = 0;
    while (call) {
        struct call *next = call->next;

        finish(call, why, NULL);
        call = next;
    }
}

/* Close and fail what waits; `why` TP_OK: nothing went wrong. */
static void drop_connection(struct server *s, enum tp_err why)
{
    struct tp_engine *engine = s->redis->engine;

    if (s->timer)
        engine->ops->timer_stop(engine, s->timer);
    s->timer = NULL;
    if (s->conn)
        engine->ops->conn_close(s->conn);
    s->conn = NULL;
    s->state = IDLE;
    tp_buf_reset(&s->queued);
    if (s->reader && !s->reading) {
        redisReaderFree(s->reader);
        s->reader = NULL;
    }
    fail_all(s, why ? why : TP_ERR_CLOSED);
}

static void fail_connection(struct server *s, enum tp_err why)
{
    note_failure(s, why);
    drop_connection(s, why);
}

/* --- Replies ---------------------------------------------------------------------------------- */

static bool copy_reply(struct tp_arena *arena, const redisReply *from, struct tp_redis_reply *to, int depth)
{
    memset(to, 0, sizeof(*to));
    switch (from->type) {
    case REDIS_REPLY_NIL: to->type = TP_REDIS_NIL; return true;
    case REDIS_REPLY_INTEGER:
        to->type = TP_REDIS_INTEGER;
        to->integer = from->integer;
        return true;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
        to->type = from->type == REDIS_REPLY_ERROR ? TP_REDIS_ERROR : TP_REDIS_TEXT;
        to->text = tp_arena_dup(arena, tp_str_make(from->str, from->len));
        return true;
    case REDIS_REPLY_ARRAY: {
        struct tp_redis_reply *items = tp_arena_new_array(arena, struct tp_redis_reply, from->elements + 1);

        to->type = TP_REDIS_ARRAY;
        to->items = items;
        to->count = from->elements;
        for (size_t i = 0; i < from->elements; i++)
            if (depth == DEPTH_MAX || !copy_reply(arena, from->element[i], &items[i], depth + 1))
                return false;
        return true;
    }
    default: return false;
    }
}

/* The reply to the oldest call. False: the connection is of no use any more. */
static bool take_reply(struct server *s, const redisReply *reply)
{
    struct call *call;
    struct tp_redis_reply *copy;
    struct tp_arena *arena;
    bool ok;

    if (!s->first)
        return false; /* nobody asked */
    if (s->first->is_login && reply->type == REDIS_REPLY_ERROR) {
        log_server(s, TP_LOG_ERROR, "the login or the database was refused", NULL);
        return false;
    }
    call = pop_call(s);
    if (!call->is_login)
        note_success(s);
    if (!call->wait) {
        finish(call, TP_OK, NULL);
        return true;
    }
    arena = tp_request_arena(call->wait->req);
    copy = tp_arena_new_type(arena, struct tp_redis_reply);
    ok = copy_reply(arena, reply, copy, 0);
    finish(call, ok ? TP_OK : TP_ERR_DAMAGED, ok ? copy : NULL);
    return ok; /* what we do not understand may not have been the reply: later ones would go to the wrong calls */
}

static enum tp_err read_replies(struct server *s, struct tp_str bytes)
{
    if (redisReaderFeed(s->reader, bytes.data, bytes.len) != REDIS_OK)
        return TP_ERR_DAMAGED;
    s->unfinished += bytes.len;
    for (;;) {
        void *reply = NULL;
        bool ok;

        if (redisReaderGetReply(s->reader, &reply) != REDIS_OK)
            return TP_ERR_DAMAGED;
        if (!reply)
            return s->unfinished > REPLY_BYTES_MAX ? TP_ERR_DAMAGED : TP_OK;
        s->unfinished = 0;
        ok = take_reply(s, reply);
        freeReplyObject(reply);
        if (!ok)
            return TP_ERR_UNAVAILABLE;
        if (!s->conn)
            return TP_OK; /* dropped by what the reply set off */
    }
}

static void on_data(void *data, struct tp_str bytes)
{
    struct server *s = data;
    redisReader *reader = s->reader;
    enum tp_err err;

    s->reading = true;
    err = read_replies(s, bytes);
    s->reading = false;
    if (err)
        fail_connection(s, err);
    else if (!s->conn && s->reader == reader)
        drop_connection(s, TP_OK);
}

static void on_close(void *data, enum tp_err why)
{
    struct server *s = data;

    s->conn = NULL; /* the engine's, and gone */
    if (!s->first) {
        drop_connection(s, TP_OK); /* an idle connection may be closed: no failure */
        return;
    }
    fail_connection(s, why ? why : TP_ERR_CLOSED);
}

/* --- Time-outs -------------------------------------------------------------------------------- */

static void on_timer(void *data);

static void watch(struct server *s)
{
    struct tp_engine *engine = s->redis->engine;
    int64_t earliest = INT64_MAX;
    int64_t delay;

    if (s->timer || !s->first)
        return;
    for (const struct call *call = s->first; call; call = call->next)
        if (call->deadline_ms < earliest)
            earliest = call->deadline_ms;
    delay = earliest - engine->ops->now_ms(engine);
    s->timer = engine->ops->timer_start(engine, delay > 1 ? delay : 1, on_timer, s);
}

/*
 * The timer runs to the end even when its call is answered in time: so it is set once in a time-out, not once a
 * call. A server that lets one call wait too long is given up: replies come in order, so all others wait behind it.
 */
static void on_timer(void *data)
{
    struct server *s = data;
    struct tp_engine *engine = s->redis->engine;
    int64_t now = engine->ops->now_ms(engine);

    s->timer = NULL;
    for (const struct call *call = s->first; call; call = call->next)
        if (call->deadline_ms <= now) {
            fail_connection(s, TP_ERR_TIMEOUT);
            return;
        }
    watch(s);
}

/* --- Sending ---------------------------------------------------------------------------------- */

static bool send_bytes(struct server *s, struct tp_str bytes)
{
    if (s->state == OPEN)
        return s->redis->engine->ops->conn_write(s->conn, bytes) == TP_OK;
    tp_buf_add(&s->queued, bytes);
    return !s->queued.failed;
}

static bool send_command(struct server *s, const struct tp_str *argv, size_t argc)
{
    const char *texts[ARGS_MAX];
    size_t lengths[ARGS_MAX];
    char *bytes = NULL;
    int len;
    bool ok;

    TP_ASSERT(argc > 0 && argc <= ARGS_MAX);
    for (size_t i = 0; i < argc; i++) {
        texts[i] = argv[i].data ? argv[i].data : "";
        lengths[i] = argv[i].len;
    }
    len = redisFormatCommandArgv(&bytes, (int)argc, texts, lengths);
    ok = len > 0 && send_bytes(s, tp_str_make(bytes, (size_t)len));
    if (bytes)
        redisFreeCommand(bytes);
    return ok;
}

static bool send_login(struct server *s, const struct tp_str *argv, size_t argc, int64_t deadline_ms)
{
    struct call *call;

    if (!send_command(s, argv, argc))
        return false;
    call = tp_new(struct call);
    call->is_login = true;
    call->deadline_ms = deadline_ms;
    push_call(s, call);
    return true;
}

/* AUTH and SELECT go out before the first call; their replies are checked when they come. */
static bool log_in(struct server *s, int64_t deadline_ms)
{
    char number[24];

    if (s->conf.password.len) {
        const struct tp_str with_user[] = { TP_STR("AUTH"), s->conf.username, s->conf.password };
        const struct tp_str without[] = { TP_STR("AUTH"), s->conf.password };

        if (!(s->conf.username.len ? send_login(s, with_user, 3, deadline_ms) : send_login(s, without, 2, deadline_ms)))
            return false;
    }
    if (s->conf.database > 0) {
        const struct tp_str choose[] = { TP_STR("SELECT"), TP_STR_NULL };
        struct tp_str argv[2] = { choose[0], choose[1] };

        snprintf(number, sizeof(number), "%lld", (long long)s->conf.database);
        argv[1] = tp_str_from_cstr(number);
        return send_login(s, argv, 2, deadline_ms);
    }
    return true;
}

static void on_open(void *data)
{
    struct server *s = data;

    s->state = OPEN;
    if (s->queued.len && s->redis->engine->ops->conn_write(s->conn, tp_buf_str(&s->queued)) != TP_OK) {
        fail_connection(s, TP_ERR_IO);
        return;
    }
    tp_buf_reset(&s->queued);
}

static const struct tp_conn_events events = { .on_open = on_open, .on_data = on_data, .on_close = on_close };

static enum tp_err connect_server(struct server *s, int64_t timeout_ms, int64_t deadline_ms)
{
    struct tp_engine *engine = s->redis->engine;
    const struct tp_conn_options options = {
        .host = s->conf.host,
        .port = (uint16_t)s->conf.port,
        .tls = s->conf.ssl,
        .tls_verify = s->conf.ssl_verify,
        .tls_name = s->conf.server_name.data ? s->conf.server_name : s->conf.host,
        .connect_timeout_ms = timeout_ms,
    };
    enum tp_err err = engine->ops->conn_open(engine, &s->conn, &options, &events, s);

    if (err)
        return err;
    s->state = OPENING;
    s->reader = redisReaderCreate();
    s->unfinished = 0;
    return s->reader && log_in(s, deadline_ms) ? TP_OK : TP_ERR_UNAVAILABLE;
}

/* Send the call; on an error nothing of it stays. */
static enum tp_err send_call(struct server *s, struct wait *wait, const struct tp_str *argv, size_t argc,
                             int64_t timeout_ms)
{
    int64_t deadline_ms = s->redis->engine->ops->now_ms(s->redis->engine) + timeout_ms;
    enum tp_err err;

    if (s->reading && !s->conn)
        return TP_ERR_UNAVAILABLE; /* being torn down under us */
    if (s->state == IDLE) {
        err = connect_server(s, timeout_ms, deadline_ms);
        if (err) {
            fail_connection(s, err);
            return err;
        }
    }
    if (s->pending >= PENDING_MAX)
        return TP_ERR_FULL;
    if (!send_command(s, argv, argc)) {
        fail_connection(s, TP_ERR_FULL);
        return TP_ERR_FULL;
    }
    wait->call = tp_new(struct call);
    wait->call->wait = wait;
    wait->call->deadline_ms = deadline_ms;
    push_call(s, wait->call);
    watch(s);
    return TP_OK;
}

enum tp_verdict tp_redis_call(struct tp_request *req, const struct tp_redis_conf *conf, const struct tp_str *argv,
                              size_t argc, tp_resume_fn fn, void *state)
{
    struct tp_arena *arena = tp_request_arena(req);
    struct wait *wait = tp_arena_new_type(arena, struct wait);
    struct server *s = find_server(tp_request_gateway(req), conf);
    int64_t timeout_ms = conf->timeout > 0 ? conf->timeout : 2000;
    enum tp_verdict verdict = tp_request_wait(req, fn, state);

    wait->req = req;
    tp_arena_defer(arena, forget_wait, wait);
    tp_request_set_note(req, wait_key, wait);
    wait->err = TP_ERR_UNAVAILABLE;
    if (s && may_call(s, s->redis->engine->ops->now_ms(s->redis->engine)))
        wait->err = send_call(s, wait, argv, argc, timeout_ms);
    if (!wait->call) {
        if (s && wait->err != TP_ERR_UNAVAILABLE)
            s->probing = false; /* it was not sent: the next call may try */
        tp_request_resume(req); /* nothing is on its way: go on with the error */
    }
    return verdict;
}

enum tp_err tp_redis_result(struct tp_request *req, const struct tp_redis_reply **out)
{
    const struct wait *wait = tp_request_get_note(req, wait_key);

    *out = NULL;
    if (!wait)
        return TP_ERR_UNAVAILABLE;
    if (!wait->err)
        *out = wait->reply;
    return wait->err;
}
