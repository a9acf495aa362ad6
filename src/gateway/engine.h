/*
 * What the gateway needs of an HTTP engine. src/edge is nginx's; tests/support/engine_mem.c is the
 * one for unit tests and fuzzers: memory only, a clock that it holds.
 *
 * The engine owns a request's connection and calls the gateway (gateway/request.h: tp_request_run, _on_…);
 * the gateway calls these. All in one thread, the worker's.
 */
#ifndef TP_GATEWAY_ENGINE_H
#define TP_GATEWAY_ENGINE_H

#include "base/diag.h"
#include "turnpike/request.h"

struct tp_engine;
struct tp_request;
struct tp_conn;

/* One attempt's destination: everything a connection pool must tell apart (engine-room.md, "Pool key"). */
struct tp_target {
    struct tp_str host; /* name or literal address of the service or target: for resolution and logs */
    uint16_t port;
    bool tls;
    struct tp_str tls_name; /* SNI and name to verify */
    bool tls_verify;
    int tls_verify_depth;
    struct tp_str ca_digest;          /* of the CA set to verify with; empty: the node's store */
    struct tp_str client_certificate; /* id text; empty: none */
    struct tp_str host_header;        /* value of Host for this attempt */
    int64_t connect_timeout_ms, write_timeout_ms, read_timeout_ms;
    int tries; /* attempts in all, at least 1 */
    bool request_buffering;
    bool response_buffering;
    bool websocket; /* the client asks for an upgrade to websocket */
};

/* A resolved address. */
struct tp_address {
    uint8_t family_v6; /* 0: IPv4 in bytes[0..3] */
    uint8_t bytes[16];
};

/* Callbacks of a byte-stream connection (Redis, LDAP, tcp-log). */
struct tp_conn_events {
    void (*on_open)(void *data);
    void (*on_data)(void *data, struct tp_str bytes);
    void (*on_close)(void *data, enum tp_err why); /* last; the conn is gone */
};

struct tp_conn_options {
    struct tp_str host;
    uint16_t port;
    bool tls, tls_verify;
    struct tp_str tls_name;
    int64_t connect_timeout_ms;
};

struct tp_engine_ops {
    int64_t (*now_ms)(struct tp_engine *engine);

    /* Run `tp_request_run(req)` soon, from the event loop, never from inside this call; not when req was freed
     * meanwhile. */
    void (*wake)(struct tp_request *req);

    /* One timer a request: on_timer after delay; setting replaces. */
    void (*timer_set)(struct tp_request *req, int64_t delay_ms);
    void (*timer_clear)(struct tp_request *req);

    /*
     * Collect the request's body, at most `max` bytes in memory; then tp_request_on_body. TP_OK: it is there already
     * (and stays replayable towards the upstream). TP_ERR_AGAIN: wait. TP_ERR_TOO_LARGE: longer; left unread.
     */
    enum tp_err (*body_read)(struct tp_request *req, uint64_t max, struct tp_str *out);

    /*
     * Answer from here: call tp_request_on_response_head, send the head (tp_request_answer), pass the body through
     * tp_request_on_body_chunk when tp_request_wants_body, then done. May do all of it at once and free req.
     */
    void (*send)(struct tp_request *req, struct tp_str body);

    /* Addresses of a name: TP_OK with the list in the request's arena, or TP_ERR_AGAIN and later
     * tp_request_on_resolved. */
    enum tp_err (*resolve)(struct tp_request *req, struct tp_str name, struct tp_address **out, size_t *count);

    /*
     * Proxy to req's target and addresses; the upstream request is made from req's method, path, query and headers
     * (tp_request_write_upstream). Then tp_request_on_response_head, …_on_body_chunk, …_on_done.
     */
    void (*proxy)(struct tp_request *req, const struct tp_target *target, const struct tp_address *addresses,
                  size_t count);

    void (*log)(struct tp_engine *engine, struct tp_request *req, enum tp_log_level level, struct tp_str line);

    enum tp_err (*conn_open)(struct tp_engine *engine, struct tp_conn **out, const struct tp_conn_options *options,
                             const struct tp_conn_events *events, void *data);
    enum tp_err (*conn_write)(struct tp_conn *conn, struct tp_str bytes); /* copies; bounded at 1 MiB unsent */
    void (*conn_close)(struct tp_conn *conn);                             /* no more callbacks */
    /* A timer that belongs to no request (Redis time-outs, breakers); fires once. */
    void *(*timer_start)(struct tp_engine *engine, int64_t delay_ms, void (*fn)(void *data), void *data);
    void (*timer_stop)(struct tp_engine *engine, void *timer);
};

struct tp_engine {
    const struct tp_engine_ops *ops;
};

#endif
