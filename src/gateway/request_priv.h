/*
 * A request, whole. Its files:
 *
 *   request.c          the table of steps and the loop; its life
 *   step_*.c           the steps that are more than a few lines
 *   wait.c             stopping and going on
 *   request_view.c     what plugins can read
 *   upstream_view.c    what goes upstream: headers, path, method; query.c; body.c
 *   identity.c find.c  who is calling
 *   respond.c answer.c error_response.c   the answer
 *   secret.c           captures that no log may show
 */
#ifndef TP_GATEWAY_REQUEST_PRIV_H
#define TP_GATEWAY_REQUEST_PRIV_H

#include "gateway/header_table.h"
#include "gateway/node.h"
#include "gateway/program.h"
#include "gateway/request.h"

/* Where a request stops; written by tp_request_stop only (wait.c). */
enum tp_stop {
    TP_STOP_NONE,    /* steps run */
    TP_STOP_PLUGIN,  /* until tp_request_resume */
    TP_STOP_TIMER,   /* tp_request_sleep */
    TP_STOP_BODY,    /* the request's body */
    TP_STOP_RESOLVE, /* the target's addresses */
    TP_STOP_ENGINE,  /* proxying, sending, or the answer's body passes */
    TP_STOP_OVER,    /* logged */
};

/* A change of the answer's headers that was asked for before there is an answer. */
struct tp_answer_edit {
    enum { TP_EDIT_SET, TP_EDIT_ADD, TP_EDIT_CLEAR } kind;
    struct tp_header header;
};

struct tp_note {
    const char *key;
    void *value;
    struct tp_note *next;
};

/* A protected capture (secret.c). */
struct tp_secret {
    struct tp_str text; /* inside req->path */
    bool hidden;        /* from the upstream too */
    struct tp_secret *next;
};

struct tp_request {
    struct tp_arena *arena;
    struct tp_gateway *gateway;
    struct tp_node *node;
    struct tp_program *program; /* NULL: none yet */
    void *engine_data;
    struct tp_request_input input;
    char id[33];

    /* The loop. */
    unsigned step;
    enum tp_stop stop;
    size_t turn;                /* plugins of the running phase that are done */
    const struct tp_slot *slot; /* of the running plugin */
    tp_resume_fn resume;        /* set: the running plugin goes on here */
    void *resume_state;
    bool abandoned;               /* nobody waits for the plugin's tp_request_resume any more */
    const struct tp_chain *chain; /* what runs from now on; until access the global one */
    bool access_begun;
    bool caller_changed; /* consumer rows are to be looked up before the next turn */

    /* The request as it came, taken apart. */
    struct tp_str raw_path, raw_query; /* raw_query.data NULL: no '?' */
    struct tp_str path;                /* normalised */
    struct tp_str host;                /* without port */
    uint16_t port;                     /* of Host, or the public one */
    int8_t trusted;                    /* -1: not asked yet */

    struct tp_match match;
    const struct tp_route_info *route_info; /* NULL: no route */

    /* On the way upstream. */
    struct tp_header_table headers;
    struct tp_str method, upstream_path, upstream_query;
    bool path_replaced;          /* by a plugin */
    struct tp_str host_replaced; /* Host set by a plugin; data NULL: no */
    struct tp_arg *args;         /* of upstream_query, when args_read */
    size_t arg_count;
    bool args_read;
    struct tp_str body, new_body;
    bool body_read, body_known, body_replaced;
    uint64_t body_limit; /* 0: none */
    struct tp_target target;
    struct tp_address *addresses;
    size_t address_count;
    enum tp_err resolve_err;
    bool resolved;

    const struct tp_consumer *consumer;
    const struct tp_credential *credential;
    const struct tp_consumer *without_rows; /* seen to have no plugin rows of its own when it was looked up */
    struct tp_note *notes;
    struct tp_secret *secrets;
    struct tp_str log_target;   /* data NULL: as sent; also the next */
    struct tp_str masked_path;  /* raw_path without secrets */
    struct tp_str masked_query; /* raw_query without the arguments that are secret */

    /* The answer. */
    struct tp_answer answer;
    struct tp_str answer_body;
    bool responded;
    bool head_done; /* edits go straight into the answer */
    struct tp_answer_edit *edits;
    size_t edit_count, edit_capacity;
    struct tp_measures measures;
};

/* wait.c: the one writer of req->stop. Returns TP_WAIT. */
enum tp_verdict tp_request_stop(struct tp_request *req, enum tp_stop why);
/* Whatever the request waited for: it goes another way now, and a completion that still comes is dropped. */
void tp_request_abandon(struct tp_request *req);
/* The next piece of work of the plugin whose turn it is: its handler, or where it goes on. */
enum tp_verdict tp_request_call(struct tp_request *req, enum tp_verdict (*handler)(struct tp_request *, const void *),
                                const struct tp_slot *slot);
/* Run the loop again if the request stopped for `why`. */
void tp_request_continue(struct tp_request *req, enum tp_stop why);

/* Steps of some size. */
enum tp_verdict tp_step_match(struct tp_request *req); /* step_match.c */
enum tp_verdict tp_step_gate(struct tp_request *req);
enum tp_verdict tp_step_rewrite(struct tp_request *req); /* step_plugins.c */
enum tp_verdict tp_step_access(struct tp_request *req);
enum tp_verdict tp_step_header(struct tp_request *req);
enum tp_verdict tp_step_log(struct tp_request *req);
enum tp_verdict tp_step_target(struct tp_request *req); /* target.c */

/* respond.c: the 500 of TP_FAIL, and the page for a failed upstream. */
void tp_respond_failed(struct tp_request *req);
void tp_respond_upstream_failed(struct tp_request *req, int status);

/* upstream_writer.c: whether the client reads trailers. */
bool tp_request_wants_trailers(const struct tp_request *req);

/* answer.c: before and after the plugins' header handlers. */
void tp_answer_begin(struct tp_request *req);
void tp_answer_finish(struct tp_request *req);

/* forwarded.c */
bool tp_request_peer_is_trusted(struct tp_request *req);
/* "http" or "https", from X-Forwarded-Proto when the peer is trusted. */
struct tp_str tp_request_forwarded_scheme(struct tp_request *req);

/* secret.c: `text` with every protected capture as "******". */
struct tp_str tp_request_masked(const struct tp_request *req, struct tp_arena *arena, struct tp_str text);

#endif
