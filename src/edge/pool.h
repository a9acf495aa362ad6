/*
 * Idle connections to upstreams, one pool a worker, and the key that tells them apart.
 *
 * Security: a pooled TLS connection is not verified again, so the key holds everything that verification and identity
 * depend on. Two requests that differ in any of it never share a connection, nor a TLS session.
 */
#ifndef TP_EDGE_POOL_H
#define TP_EDGE_POOL_H

#include "edge/edge.h"

/* The text is borrowed; the pool keeps copies. */
struct tp_edge_pool_key {
    struct tp_address address;
    uint16_t port;
    bool tls;
    /* With TLS only; zero and empty without. */
    bool verify;
    int verify_depth;
    struct tp_str tls_name, ca_digest, client_certificate;
};

void tp_edge_pool_key_make(struct tp_edge_pool_key *key, const struct tp_target *target,
                           const struct tp_address *address);
bool tp_edge_pool_key_eq(const struct tp_edge_pool_key *a, const struct tp_edge_pool_key *b);
uint32_t tp_edge_pool_key_hash(const struct tp_edge_pool_key *key);
/* A copy with its text in one heap block, owned: free(). */
struct tp_edge_pool_key *tp_edge_pool_key_copy(const struct tp_edge_pool_key *key);

struct tp_edge_pool *tp_edge_pool_new(const struct tp_edge_settings *settings);
/* Closes all connections. */
void tp_edge_pool_free(struct tp_edge_pool *pool);

/* An idle connection for the key, ready to be used with this log; NULL: none. */
ngx_connection_t *tp_edge_pool_take(struct tp_edge_pool *pool, const struct tp_edge_pool_key *key, ngx_log_t *log);
/* Keep the connection. False: it cannot be kept, and stays the caller's. */
bool tp_edge_pool_put(struct tp_edge_pool *pool, const struct tp_edge_pool_key *key, ngx_connection_t *c);

#endif
