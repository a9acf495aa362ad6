/*
 * Names to addresses: literals, the hosts file, then nginx's resolver (A and AAAA) for the name and, by the search
 * list, what it may stand for.
 */
#ifndef TP_EDGE_RESOLVER_H
#define TP_EDGE_RESOLVER_H

#include "edge/edge.h"

#define TP_EDGE_MAX_ADDRESSES 32

struct tp_edge_addresses {
    struct tp_address items[TP_EDGE_MAX_ADDRESSES];
    size_t count;
};

/* A worker's; the settings and the log must stay. Owned. */
struct tp_edge_resolver *tp_edge_resolver_new(const struct tp_edge_settings *settings, ngx_log_t *log);
void tp_edge_resolver_free(struct tp_edge_resolver *resolver);

/* "192.0.2.1", "2001:db8::1", "[2001:db8::1]". */
bool tp_edge_address_parse(struct tp_str text, struct tp_address *out);

/* A question on its way. */
struct tp_edge_lookup;
typedef void (*tp_edge_lookup_fn)(void *data, enum tp_err err, const struct tp_edge_addresses *addresses);

/*
 * TP_OK: *now is filled. TP_ERR_AGAIN: fn will be called once, unless *pending is cancelled before; *pending is gone
 * when fn is called. TP_ERR_NOT_FOUND: no such name; TP_ERR_TIMEOUT, TP_ERR_UNAVAILABLE: nobody could say.
 */
enum tp_err tp_edge_lookup_start(struct tp_edge_worker *worker, struct tp_str name, struct tp_edge_addresses *now,
                                 tp_edge_lookup_fn fn, void *data, struct tp_edge_lookup **pending);
/* fn will not be called. NULL is accepted. */
void tp_edge_lookup_cancel(struct tp_edge_lookup *pending);

/* ops.resolve: the result lives in the request's arena. */
enum tp_err tp_edge_resolve_for_request(struct tp_edge_request *er, struct tp_str name, struct tp_address **out,
                                        size_t *count);

#endif
