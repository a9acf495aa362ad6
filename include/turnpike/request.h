/*
 * What a plugin can see and do of a request. Every function is called in the worker that owns the
 * request, between the start of a handler and its verdict, never from another thread.
 *
 * Text returned is valid until the request ends unless said otherwise; text given is copied unless
 * the function says *borrows*.
 */
#ifndef TURNPIKE_REQUEST_H
#define TURNPIKE_REQUEST_H

#include "turnpike/arena.h"
#include "turnpike/err.h"
#include "turnpike/str.h"
#include "turnpike/uuid.h"

struct tp_request;

enum tp_verdict {
    TP_NEXT,      /* go on */
    TP_WAIT,      /* tp_request_wait was called: the loop stops until tp_request_resume */
    TP_RESPONDED, /* tp_respond… was called: skip to the answer */
    TP_FAIL,      /* our fault or the configuration's: 500, the log says why */
};

/* --- The request as it came ------------------------------------------------------------------- */

struct tp_arena *tp_request_arena(struct tp_request *req);
struct tp_str tp_request_id(const struct tp_request *req);        /* 32 hex digits */
struct tp_str tp_request_method(const struct tp_request *req);    /* exact case */
struct tp_str tp_request_path(const struct tp_request *req);      /* normalised (routing.md §2), no query */
struct tp_str tp_request_raw_path(const struct tp_request *req);  /* as sent, no query */
struct tp_str tp_request_raw_query(const struct tp_request *req); /* after '?', as sent; data NULL: no '?' */
struct tp_str tp_request_scheme(const struct tp_request *req);    /* "http" or "https" */
struct tp_str tp_request_host(const struct tp_request *req);      /* as sent, without port */
uint16_t tp_request_port(const struct tp_request *req);
struct tp_str tp_request_client_ip(const struct tp_request *req); /* after real-ip */
int tp_request_http_version(const struct tp_request *req);        /* 10, 11, 20 */
int64_t tp_request_started_ms(const struct tp_request *req);      /* epoch */
int64_t tp_request_now_ms(const struct tp_request *req);          /* epoch, now */

/* -1 when not announced (chunked, HTTP/2). */
int64_t tp_request_content_length(const struct tp_request *req);

/* From here on a longer body ends in 413 as it arrives. */
void tp_request_limit_body(struct tp_request *req, uint64_t max_bytes);

/* --- The route that matched ------------------------------------------------------------------- */

/* Ids of the matched entities; NULL when there is none. */
const struct tp_uuid *tp_request_route_id(const struct tp_request *req);
const struct tp_uuid *tp_request_service_id(const struct tp_request *req);

/*
 * The plugin row whose rewrite or access handler runs now: its plugin's name as configured (clones differ), and the
 * route and service that the row is attached to (nil: not attached; not what the request matched).
 */
struct tp_plugin_scope {
    struct tp_str plugin;
    struct tp_uuid route, service;
};
void tp_request_plugin_scope(const struct tp_request *req, struct tp_plugin_scope *out);

/*
 * Regex captures of the route's path. Index 0 is the whole match, 1… the groups. False when the
 * group did not take part or the route has no regex path.
 */
bool tp_request_capture(const struct tp_request *req, struct tp_str name, struct tp_str *out);
bool tp_request_capture_at(const struct tp_request *req, size_t index, struct tp_str *out);
size_t tp_request_capture_count(const struct tp_request *req);

/*
 * The capture `name` is a secret: its text is masked in logs and left out of X-Forwarded-Path; with `hide`
 * it is also cut from the path sent upstream, with the slash before it.
 */
void tp_request_protect_capture(struct tp_request *req, struct tp_str name, bool hide);
/* The value of the query's argument `name` (decoded, in any case) is a secret: it is masked in logs. */
void tp_request_protect_query_arg(struct tp_request *req, struct tp_str name);

/* --- Headers on their way upstream ------------------------------------------------------------ */
/* Names compare without case, and '_' equals '-', as in Kong's header lookup. */

struct tp_header {
    struct tp_str name;
    struct tp_str value;
};

/* The first value. */
bool tp_request_header(const struct tp_request *req, struct tp_str name, struct tp_str *out);
size_t tp_request_header_count(const struct tp_request *req, struct tp_str name);

/* All of them in order: `*i` starts at 0. The pair is valid until the next change. */
bool tp_request_header_next(const struct tp_request *req, size_t *i, struct tp_header *out);

/* Replace all of that name by one (in the place of the first), keeping the client's spelling. */
void tp_request_set_header(struct tp_request *req, struct tp_str name, struct tp_str value);
void tp_request_add_header(struct tp_request *req, struct tp_str name, struct tp_str value);
void tp_request_clear_header(struct tp_request *req, struct tp_str name);

/*
 * The headers as they came from the client, untouched by plugins: for logs. Same rules as
 * tp_request_header_next.
 */
bool tp_request_client_header_next(const struct tp_request *req, size_t *i, struct tp_header *out);

/* --- Path, query, method, body on their way upstream ------------------------------------------ */

struct tp_str tp_request_upstream_path(const struct tp_request *req);

/* Percent-encodes what must not stand in a path (proxying.md); must start with '/'. */
enum tp_err tp_request_set_upstream_path(struct tp_request *req, struct tp_str path);
enum tp_err tp_request_set_upstream_method(struct tp_request *req, struct tp_str method);

/*
 * The query's arguments, decoded; at most 100. `has_value` is false for "?x" (without '='). The list
 * belongs to the request; set_query_args takes a new one and encodes it in the given order.
 */
struct tp_arg {
    struct tp_str name;
    struct tp_str value;
    bool has_value;
};
size_t tp_request_query_args(struct tp_request *req, const struct tp_arg **out);
void tp_request_set_query_args(struct tp_request *req, const struct tp_arg *args, size_t count);
/* Remove all arguments of that (decoded) name from the raw text, leaving every other byte. */
void tp_request_remove_query_arg(struct tp_request *req, struct tp_str name);

/* What runs after a wait; `conf` is the one the handler got. */
typedef enum tp_verdict (*tp_resume_fn)(struct tp_request *req, const void *conf, void *state);

/*
 * Read the whole body, up to `max_bytes`, and go on in `fn`: at once, when it is there already (the
 * verdict is then fn's), or after a wait. `return tp_request_read_body(…)` is the whole use.
 * In `fn`, tp_request_body tells what came.
 */
enum tp_verdict tp_request_read_body(struct tp_request *req, uint64_t max_bytes, tp_resume_fn fn, void *state);

/* False when the body was not read, or was longer than the limit (then it went on unread). */
bool tp_request_body(const struct tp_request *req, struct tp_str *out);
void tp_request_set_body(struct tp_request *req, struct tp_str body); /* also Content-Length */

/* --- Who is calling --------------------------------------------------------------------------- */

struct tp_consumer {
    struct tp_uuid id;
    struct tp_str username; /* data NULL when unset, also below */
    struct tp_str custom_id;
    struct tp_str tags; /* JSON array text, or absent */
};

struct tp_credential {
    struct tp_uuid id;
    struct tp_uuid consumer_id;
    int64_t expires_at; /* epoch seconds; 0: never */
    struct tp_str data; /* further fields of the kind, as compact JSON; may be empty */
};

/* NULL until an authentication plugin has run. */
const struct tp_consumer *tp_request_consumer(const struct tp_request *req);
const struct tp_credential *tp_request_credential(const struct tp_request *req);

/*
 * Look up in this node's read model; no waiting. `kind` is the entity's table name
 * ("keyauth_credentials"), `key` the text of its endpoint key. Expired ones are not found. The
 * results are copies in the request's arena.
 */
enum tp_err tp_find_credential(struct tp_request *req, const char *kind, struct tp_str key,
                               const struct tp_credential **out);
enum tp_err tp_find_consumer(struct tp_request *req, const struct tp_uuid *id, const struct tp_consumer **out);
/* Both in one look: the credential, and the consumer that it belongs to. */
enum tp_err tp_find_caller(struct tp_request *req, const char *kind, struct tp_str key,
                           const struct tp_credential **credential, const struct tp_consumer **consumer);
/* By id or by username: what `config.anonymous` holds. */
enum tp_err tp_find_consumer_named(struct tp_request *req, struct tp_str id_or_username,
                                   const struct tp_consumer **out);

/*
 * This is the caller: sets the X-Consumer-* and X-Credential-Identifier headers, clears
 * X-Anonymous-Consumer, and makes consumer-scoped configurations of later plugins count.
 * `identifier` is the value of X-Credential-Identifier.
 */
void tp_authenticate(struct tp_request *req, const struct tp_consumer *consumer, const struct tp_credential *credential,
                     struct tp_str identifier);
/* The anonymous consumer: no credential, X-Anonymous-Consumer: true. */
void tp_authenticate_anonymous(struct tp_request *req, const struct tp_consumer *consumer);

/* --- Answering -------------------------------------------------------------------------------- */

/*
 * Answer with `status` and the negotiated error body (JSON, HTML, XML or plain by Accept) that holds
 * `message` (NULL: the status' own text) and the request id. Returns TP_RESPONDED.
 */
enum tp_verdict tp_respond(struct tp_request *req, int status, const char *message);

/* Answer with this body; content_type NULL: none sent. Copies. */
enum tp_verdict tp_respond_raw(struct tp_request *req, int status, const char *content_type, struct tp_str body);

/*
 * Headers of the answer, proxied or our own. In on_access they are kept until the answer is made;
 * set replaces what the upstream sent.
 */
void tp_response_set_header(struct tp_request *req, struct tp_str name, struct tp_str value);
void tp_response_add_header(struct tp_request *req, struct tp_str name, struct tp_str value);
void tp_response_clear_header(struct tp_request *req, struct tp_str name);
/*
 * As tp_response_set_header, but *borrows* both and checks neither: for a literal name, and a value that lives as
 * long as the request and cannot hold control characters by how it was made (a number, a literal).
 */
void tp_response_set_plain_header(struct tp_request *req, struct tp_str name, struct tp_str value);
/* From on_header on: what will be sent. */
bool tp_response_header(const struct tp_request *req, struct tp_str name, struct tp_str *out);
int tp_response_status(const struct tp_request *req);
void tp_response_set_status(struct tp_request *req, int status);
bool tp_response_is_proxied(const struct tp_request *req); /* false: made here */

/* --- Waiting ---------------------------------------------------------------------------------- */

/*
 * Stop here; `fn` runs after exactly one tp_request_resume. Register a destructor on the request's
 * arena to cancel what you started when the client leaves. Returns TP_WAIT.
 */
enum tp_verdict tp_request_wait(struct tp_request *req, tp_resume_fn fn, void *state);
void tp_request_resume(struct tp_request *req);

/* Go on in `fn` after `delay_ms`. */
enum tp_verdict tp_request_sleep(struct tp_request *req, int64_t delay_ms, tp_resume_fn fn, void *state);

/* --- Sharing between plugins of one request --------------------------------------------------- */

void *tp_request_get_note(const struct tp_request *req, const char *key); /* NULL: none */
void tp_request_set_note(struct tp_request *req, const char *key, void *value);

/* --- Log -------------------------------------------------------------------------------------- */

enum tp_log_level { TP_LOG_DEBUG, TP_LOG_INFO, TP_LOG_NOTICE, TP_LOG_WARN, TP_LOG_ERROR, TP_LOG_CRIT };

/* One line in the error log, with the request id. Never a secret. */
void tp_request_log(struct tp_request *req, enum tp_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
