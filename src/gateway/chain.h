/*
 * Plugin chains: which configurations run for a route, and in which order (routing.md §11).
 *
 * Chains for every route are made when the program is built. Only when the caller is a consumer with plugin rows
 * of its own is a chain made for the one request (tp_chain_specialise).
 */
#ifndef TP_GATEWAY_CHAIN_H
#define TP_GATEWAY_CHAIN_H

#include "gateway/gateway.h"

/* One plugin name's turn. */
struct tp_slot {
    const struct tp_plugin *plugin;
    struct tp_str name; /* clones differ from plugin->name */
    int priority;
    const void *conf;
    unsigned rank;                      /* of the scope, 1 the most specific … 8 global */
    const struct tp_ordering *ordering; /* NULL: none */
};

struct tp_chain {
    const struct tp_slot *slots; /* by priority: the order of every phase but access */
    const uint16_t *access;      /* positions in slots: the order of access, which `ordering` changes */
    size_t count;
    bool has_match, has_header, has_body, has_log, has_rewrite;
};

/* Rank of a scope; `consumer`: the row has one. */
unsigned tp_scope_rank(bool route, bool service, bool consumer);
/* Whether a row of that rank is attached to a route, to a service. */
bool tp_rank_has_route(unsigned rank);
bool tp_rank_has_service(unsigned rank);

/* Rows of the plan sorted for building chains. */
struct tp_chain_rows;
struct tp_chain_rows *tp_chain_rows_new(struct tp_arena *arena, const struct tp_plan *plan);

/* The chain of a route and its service (NULL: none); both NULL: global rows only. Equal chains are shared. */
const struct tp_chain *tp_chain_build(struct tp_arena *arena, struct tp_chain_rows *rows, const struct tp_route *route,
                                      const struct tp_service *service);

/*
 * The chain of a request whose caller has just become known: `turn` plugins of `current`'s access order have run and
 * stay as they are; the rest is chosen again from `base` (the route's own chain) and the consumer's rows. `rows` are
 * those of the consumer; configurations are released with the request.
 */
const struct tp_chain *tp_chain_specialise(struct tp_request *req, const struct tp_chain *base,
                                           const struct tp_chain *current, size_t turn,
                                           const struct tp_consumer_plugin *rows, size_t row_count);

#endif
