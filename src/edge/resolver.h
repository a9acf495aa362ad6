/*
 * Names to addresses: literals, the hosts file, then nginx's resolver (A and AAAA).
 */
#ifndef TP_EDGE_RESOLVER_H
#define TP_EDGE_RESOLVER_H

#include "edge/edge.h"

#define TP_EDGE_MAX_ADDRESSES 32

struct tp_edge_addresses {
    struct tp_address items[TP_EDGE_MAX_ADDRESSES];
    size_t count;
};

/* Read the hosts file; one that cannot be read counts as empty and is logged. Owned. */
struct tp_edge_hosts *tp_edge_hosts_load(const char *path, ngx_log_t *log);
void tp_edge_hosts_free(struct tp_edge_hosts *hosts);

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
