/*
 * One Admin API call: the request as it came, the answer as it grows. Knows no HTTP library: server.c fills
 * the request part and sends the reply; tests do the same without a socket.
 */
#ifndef TP_CONTROL_ADMIN_CALL_H
#define TP_CONTROL_ADMIN_CALL_H

#include "control/admin/admin.h"
#include "control/admin/form.h"
#include "turnpike/arena.h"

#define TP_ADMIN_BODY_MAX (10u << 20)
#define TP_ADMIN_MAX_PARAMS 4   /* parameters in one path */
#define TP_ADMIN_MAX_HEADERS 10 /* of a reply, beside those that server.c always adds */

struct tp_admin_endpoint;

/* What the server knows beside its options; made once, shared by its threads, never changed. */
struct tp_admin_context {
    struct tp_admin_options options;
    struct tp_admin_endpoints *endpoints; /* dispatch.h */
    struct tp_registry plugins;           /* those enabled, clones under their own names, sorted */
    char hostname[256];
};

struct tp_admin_header {
    const char *name; /* static */
    struct tp_str value;
};

struct tp_admin_reply {
    int status;
    const char *content_type; /* NULL: no body */
    char *body;               /* owned, from jansson or malloc; NULL: empty */
    size_t body_len;
    struct tp_admin_header headers[TP_ADMIN_MAX_HEADERS];
    size_t header_count;
};

struct tp_admin_call {
    const struct tp_admin_context *context;
    struct tp_arena *arena;
    struct tp_store *store; /* this thread's; NULL: the database cannot be reached */
    bool store_lost;        /* the connection is of no use any more: server.c opens another */

    struct tp_str method;
    struct tp_str path;         /* as sent, before the '?' */
    struct tp_str query;        /* as sent, behind the '?' */
    struct tp_str content_type; /* data NULL: none */
    struct tp_str origin;
    struct tp_str requested_headers; /* Access-Control-Request-Headers */
    struct tp_str body;

    struct tp_admin_pairs args; /* the query, decoded */
    const struct tp_admin_endpoint *endpoint;
    struct tp_str params[TP_ADMIN_MAX_PARAMS]; /* path parameters, decoded once */
    size_t param_count;
    struct tp_str plain_path; /* as typed, without a slash at the end: for `next` links */
    json_t *input;            /* the body as an object; owned */
    bool input_is_text;       /* from a form: types are still to be inferred */

    bool wrote; /* the transaction changed something: publish */
    struct tp_admin_reply reply;
};

/* Handle the call: afterwards call->reply is complete. Never fails. */
void tp_admin_handle(struct tp_admin_call *call);
/* Release what the call owns: input and reply; not the arena, not the store. */
void tp_admin_call_fini(struct tp_admin_call *call);

/*
 * Prepare a context: route table, enabled plugins. `options` is copied, what it points to is borrowed.
 */
void tp_admin_context_init(struct tp_admin_context *context, const struct tp_admin_options *options);
void tp_admin_context_fini(struct tp_admin_context *context);

#endif
