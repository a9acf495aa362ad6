/*
 * The second engine: memory only, with a clock that the test holds. It drives the request path and every plugin in
 * unit tests and fuzzers, with no nginx linked. Nothing happens behind the test's back: wakes, timers, late
 * resolutions and late upstream answers come when the test asks for them.
 */
#ifndef TESTS_SUPPORT_ENGINE_MEM_H
#define TESTS_SUPPORT_ENGINE_MEM_H

#include "base/buf.h"
#include "gateway/request.h"

#define MEM_MAX 32 /* scripted answers, names, connections */

/* What the upstream will answer to the next request that is proxied. */
struct mem_answer {
    int status;          /* of the answer, or of the failure: 502, 504 … */
    bool fails;
    bool late;           /* waits for engine_mem_deliver */
    const char *headers; /* "Name: value\n…"; NULL: none */
    const char *body;    /* NULL: none; arrives in two pieces */
};

struct mem_name {
    const char *name;
    enum tp_err err;
    size_t count;        /* addresses 10.0.0.1, 10.0.0.2 … */
    bool late;           /* waits for engine_mem_resolve_now */
};

/* A byte-stream connection that a plugin or the Redis pool opened. */
struct tp_conn {
    struct engine_mem *engine;
    struct tp_conn_options options; /* texts are borrowed */
    const struct tp_conn_events *events;
    void *data;
    struct tp_buf sent;
    bool closed; /* by either side */
};

struct engine_mem {
    struct tp_engine engine; /* first: the gateway's view */
    struct tp_gateway gateway;
    int64_t now_ms;
    struct mem_answer answers[MEM_MAX];
    size_t answer_count, answer_next;
    struct mem_name names[MEM_MAX];
    size_t name_count;
    struct tp_conn *conns[MEM_MAX];
    size_t conn_count;
    bool refuse_conns;
    struct mem_request *requests;
    struct mem_timer *timers;
    struct tp_buf log;
    bool body_late; /* bodies come with engine_mem_body_now */
};

struct mem_input {
    const char *method;  /* NULL: GET */
    const char *target;
    const char *headers; /* "Host: a.test\nX-A: 1"; NULL: none */
    const char *body;    /* NULL: none */
    const char *peer_ip; /* NULL: 127.0.0.1 */
    const char *sni;     /* NULL: none */
    bool tls;
    bool chunked;        /* the body's length is not announced */
    int http_version;    /* 0: 11 */
    int port;            /* listening; 0: 8000 */
};

struct mem_request {
    struct engine_mem *engine;
    struct tp_request *req; /* NULL: over */
    struct mem_request *next;
    struct tp_arena *arena; /* of the input */
    struct tp_str body;
    bool wake, done, proxied, sent;
    int64_t timer_at; /* 0: none */
    struct mem_answer answer;
    /* What came of it. */
    int status;
    struct tp_buf upstream;  /* head, empty line, body */
    struct tp_buf head;      /* "Name: value\n…" */
    struct tp_buf out;       /* the answer's body */
    struct tp_target target; /* texts live as long as the plan */
    size_t address_count;
};

/* `plan` is borrowed and may be NULL (no program). All headers of the answer are on. */
struct engine_mem *engine_mem_new(const struct tp_plan *plan, enum tp_router_flavor flavor);
void engine_mem_free(struct engine_mem *e); /* and every request */

void engine_mem_answer(struct engine_mem *e, struct mem_answer answer);
void engine_mem_name(struct engine_mem *e, struct mem_name name);

/* Start a request and run it until it waits or is over. Freed by engine_mem_free. */
struct mem_request *engine_mem_start(struct engine_mem *e, const struct mem_input *input);
/* The shortest use: GET with headers. */
struct mem_request *engine_mem_get(struct engine_mem *e, const char *target, const char *headers);

void engine_mem_turn(struct engine_mem *e);                 /* run what was woken */
void engine_mem_advance(struct engine_mem *e, int64_t ms);  /* the clock; timers that are due, then wakes */
void engine_mem_deliver(struct mem_request *r);             /* the late upstream answer */
void engine_mem_resolve_now(struct mem_request *r);         /* the late name */
void engine_mem_body_now(struct mem_request *r);            /* the late body */
void engine_mem_leave(struct mem_request *r);               /* the client goes away */

/* A header of the answer; data NULL: none. The value of a header line in `head` text. */
struct tp_str engine_mem_header(const struct mem_request *r, const char *name);

/* The other side of a connection. */
void mem_conn_opened(struct tp_conn *conn);
void mem_conn_data(struct tp_conn *conn, struct tp_str bytes);
void mem_conn_lost(struct tp_conn *conn, enum tp_err why);

#endif
