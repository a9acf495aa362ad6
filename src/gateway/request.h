/*
 * A request's way through the gateway: a table of steps and one loop (request.c). docs/request-path.md tells it.
 *
 *   engine                                      gateway
 *   tp_request_new, fills tp_request_input  →   tp_request_run: match, rewrite, access, target
 *   ops.proxy / ops.send                    ←
 *   tp_request_on_response_head             →   header filter (both for proxied and own answers)
 *   tp_request_on_body_chunk                →   body filter
 *   tp_request_on_done                      →   log; tp_request_free
 *
 * The client leaving: tp_request_free at any time; the arena's destructors cancel what waits.
 */
#ifndef TP_GATEWAY_REQUEST_H
#define TP_GATEWAY_REQUEST_H

#include "gateway/gateway.h"

/*
 * What the engine knows of a request when it starts; text lives as long as the request. The engine's parser
 * guarantees: the method is a token, no CR, LF or NUL in any text.
 */
struct tp_request_input {
    struct tp_str request_id; /* 32 hex digits; absent: drawn by tp_request_new */
    struct tp_str method;
    struct tp_str target;      /* as in the request line: path?query */
    struct tp_str host_header; /* data NULL: none */
    const struct tp_header *headers;
    size_t header_count;
    int http_version; /* 10 11 20 */
    bool tls;
    struct tp_str sni;
    struct tp_str peer_ip;   /* the connecting address */
    struct tp_str client_ip; /* after real-ip */
    uint16_t client_port;
    struct tp_str server_ip;
    uint16_t server_port;
    int64_t content_length; /* -1: not announced */
    bool has_body;
    int64_t started_ms;
};

/* Makes the request; keeps a reference on the gateway's program. `engine_data` is the engine's own. */
struct tp_request *tp_request_new(struct tp_gateway *gateway, const struct tp_request_input *input, void *engine_data);
/* The same in an arena that the engine has begun, with what it needs itself of a request; *takes* the arena. */
struct tp_arena *tp_request_begin_arena(struct tp_gateway *gateway);
struct tp_request *tp_request_new_in(struct tp_arena *arena, struct tp_gateway *gateway,
                                     const struct tp_request_input *input, void *engine_data);
void tp_request_free(struct tp_request *req);
void *tp_request_engine_data(const struct tp_request *req);
struct tp_gateway *tp_request_gateway(const struct tp_request *req);

/* Run steps until one waits, or the request is handed to ops.proxy or ops.send. */
void tp_request_run(struct tp_request *req);

/*
 * The request target as logs may show it: what plugins have named a secret (on_match, tp_request_protect_…) is
 * "******", and without a route the whole query is. Never log the target in another way.
 */
struct tp_str tp_request_log_target(const struct tp_request *req);

/* What a plugin asked of the body: 0 when it may be of any length; and the body it put in place of the client's. */
uint64_t tp_request_body_limit(const struct tp_request *req);
bool tp_request_replaced_body(const struct tp_request *req, struct tp_str *out);
/* The body grew over the limit before the upstream answered: make the 413. */
void tp_request_on_body_too_large(struct tp_request *req);

/* Engine's completions; each may run steps. */
void tp_request_on_timer(struct tp_request *req);
void tp_request_on_body(struct tp_request *req, enum tp_err err, struct tp_str body);
void tp_request_on_resolved(struct tp_request *req, enum tp_err err, const struct tp_address *addresses, size_t count);

/* --- The answer ------------------------------------------------------------------------------- */

/* The answer's head, as it will be sent; the engine fills it from the upstream before on_response_head. */
struct tp_answer {
    int status;
    struct tp_header *headers; /* without hop-by-hop ones */
    size_t header_count, header_capacity;
    uint64_t name_lengths; /* a bit (length modulo 64) for each name that is, or was, among them */
    bool proxied;          /* proxying was attempted */
    bool drop_length;      /* a plugin changes the body: no Content-Length */
};
struct tp_answer *tp_request_answer(struct tp_request *req);
/* For the engine, filling it from the upstream; *borrows* the text. */
void tp_answer_add(struct tp_request *req, struct tp_str name, struct tp_str value);
/* The same for a whole head: an empty answer with room for `count`, to be written by the engine; then how many there
 * are. */
struct tp_header *tp_answer_begin_fill(struct tp_request *req, size_t count);
void tp_answer_end_fill(struct tp_request *req, size_t count);

/*
 * The upstream's head arrived (or ops.send is about to send ours, or proxying failed and `status` is 502, 504 …):
 * runs the header filter step, which leaves the final head in tp_request_answer.
 */
void tp_request_on_response_head(struct tp_request *req);
/* True when some plugin looks at the body: only then on_body_chunk must be called. */
bool tp_request_wants_body(const struct tp_request *req);
void tp_request_on_body_chunk(struct tp_request *req, struct tp_str *chunk, bool last);

/* Numbers for the log step and X-Kong-*-Latency, set by the engine. */
struct tp_try {
    struct tp_str ip;
    uint16_t port;
    int status; /* 0: no answer */
    int64_t start_ms;
};
struct tp_measures {
    int64_t upstream_start_ms, upstream_head_ms, done_ms;
    uint64_t request_bytes, response_bytes;
    struct tp_try *tries;
    size_t try_count;
};
struct tp_measures *tp_request_measures(struct tp_request *req);

/* The request is over (answered, failed, or the client left): the log step. Then tp_request_free. */
void tp_request_on_done(struct tp_request *req);

/*
 * Proxying failed before an answer (502, 503, 504 …), or the engine itself refuses the request (400, 408, 413, 414, 494
 * …), then also at an earlier step or before any: make the error page.
 */
void tp_request_on_proxy_failed(struct tp_request *req, int status);

/* --- For the engine's writer of the upstream request ------------------------------------------ */

/*
 * The head of the HTTP/1.1 request for `target`, request line to empty line, into `out`. Content-Length or
 * Transfer-Encoding as given: content_length -1 means chunked, when has_body.
 */
struct tp_buf;
void tp_request_write_upstream(const struct tp_request *req, const struct tp_target *target, int64_t content_length,
                               bool has_body, struct tp_buf *out);

/* --- Errors that the engine makes before or beside the gateway (400, 408, 414, 494, …) ---------- */
struct tp_error_body {
    struct tp_str content_type;
    struct tp_str body;
};
/* `accept` and `content_type` may be absent; `server_level`: type falls back to content_type, then text/plain. */
void tp_error_body_make(struct tp_arena *arena, const struct tp_gateway_settings *settings, int status,
                        const char *message, struct tp_str accept, struct tp_str content_type, bool server_level,
                        struct tp_str request_id, struct tp_error_body *out);

#endif
