/*
 * Which route a request takes (routing.md). Immutable once compiled.
 */
#ifndef TP_GATEWAY_ROUTER_H
#define TP_GATEWAY_ROUTER_H

#include "gateway/gateway.h"

struct tp_router;

struct tp_router_input {
    struct tp_str method;
    struct tp_str path;      /* normalised */
    struct tp_str host;      /* as sent, without port */
    struct tp_str host_text; /* as sent, with port */
    uint16_t port;           /* in the Host header, or the listening (mapped) one */
    bool tls;
    struct tp_str sni;
    const struct tp_header *headers;
    size_t header_count;
};

struct tp_match {
    const struct tp_route *route; /* NULL: none */
    size_t route_index;           /* its place in plan->routes */
    struct tp_str matched_path;   /* the text that strip_path takes off */
    struct tp_str *captures;      /* [0] the whole; data NULL: did not take part */
    size_t capture_count;
    const struct tp_str *names;       /* name of each capture, or absent; borrowed from the router */
    const struct tp_route *exhausted; /* a route whose regex hit its limit and so did not match: for the log */
};

enum tp_err tp_router_compile(struct tp_router **out, const struct tp_plan *plan, enum tp_router_flavor flavor,
                              struct tp_diag *diag);
void tp_router_free(struct tp_router *router);
/*
 * Captures live in `arena`. A regex that exceeds its match limit counts as no match. One thread at a time: the router
 * keeps the regex engine's scratch memory.
 */
void tp_router_match(const struct tp_router *router, const struct tp_router_input *input, struct tp_arena *arena,
                     struct tp_match *out);

/* Path helpers (gateway/path.c), routing.md §2 and §7. Results may share the input's bytes. */
struct tp_str tp_path_normalize(struct tp_arena *arena, struct tp_str raw_path);
struct tp_str tp_path_encode(struct tp_arena *arena, struct tp_str path);
/* `matched` absent: the route has no paths. */
struct tp_str tp_path_join(struct tp_arena *arena, struct tp_str service_path, struct tp_str request_path,
                           struct tp_str matched, bool strip, bool v1);

#endif
