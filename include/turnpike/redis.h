/*
 * Redis for plugins: commands over the worker's own connections, one per server, pipelined.
 *
 * A server that fails or does not answer in time trips its breaker: for a while every call fails at
 * once with TP_ERR_UNAVAILABLE, so callers fall back without waiting.
 */
#ifndef TURNPIKE_REDIS_H
#define TURNPIKE_REDIS_H

#include "turnpike/field.h"
#include "turnpike/request.h"

struct tp_redis_conf {
    struct tp_str host;
    int64_t port;
    int64_t timeout; /* ms, for the whole call */
    struct tp_str username;
    struct tp_str password;
    int64_t database;
    bool ssl;
    bool ssl_verify;
    struct tp_str server_name;
};

/* The fields of Kong's `config.redis` record (plugins/index.md §4). */
extern const struct tp_field tp_redis_fields[];

enum tp_redis_type { TP_REDIS_NIL, TP_REDIS_INTEGER, TP_REDIS_TEXT, TP_REDIS_ERROR, TP_REDIS_ARRAY };

struct tp_redis_reply {
    enum tp_redis_type type;
    int64_t integer;
    struct tp_str text;
    const struct tp_redis_reply *items;
    size_t count;
};

/*
 * Send one command (argv, binary safe) and go on in `fn`, exactly once. There,
 * tp_redis_result gives the reply or the error. `return tp_redis_call(…)` is the whole use.
 */
enum tp_verdict tp_redis_call(struct tp_request *req, const struct tp_redis_conf *server, const struct tp_str *argv,
                              size_t argc, tp_resume_fn fn, void *state);

/* The outcome of the last call. On an error *out is NULL. */
enum tp_err tp_redis_result(struct tp_request *req, const struct tp_redis_reply **out);

#endif
