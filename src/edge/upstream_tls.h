/*
 * TLS towards upstreams: contexts by what is verified how, and sessions by the pool's key.
 */
#ifndef TP_EDGE_UPSTREAM_TLS_H
#define TP_EDGE_UPSTREAM_TLS_H

#include "edge/pool.h"

struct tp_edge_tls *tp_edge_tls_new(const struct tp_edge_settings *settings, ngx_log_t *log);
void tp_edge_tls_free(struct tp_edge_tls *tls);

/*
 * The context for a target, made on first use and kept. NULL (and a line in the log): it cannot be made as the target
 * asks, so nothing must be sent.
 */
ngx_ssl_t *tp_edge_tls_context(struct tp_edge_tls *tls, const struct tp_target *target, ngx_log_t *log);

/*
 * Before the handshake: it fails unless the chain leads to a trusted authority and the certificate is for `name`, a DNS
 * name or an address. NGX_ERROR: there must be no handshake.
 */
ngx_int_t tp_edge_tls_verify(ngx_connection_t *c, struct tp_str name);

/* Offer the last session with this key, keep the one that was made. NGX_ERROR: out of memory. */
ngx_int_t tp_edge_tls_set_session(struct tp_edge_tls *tls, const struct tp_edge_pool_key *key, ngx_connection_t *c);
void tp_edge_tls_save_session(struct tp_edge_tls *tls, const struct tp_edge_pool_key *key, ngx_connection_t *c);

#endif
