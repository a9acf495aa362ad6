/*
 * Where a try goes: the target's addresses in turn, a pooled connection if there is one. What may be tried again
 * is nginx's rule, which is Kong's: `tries` in all, statuses never, POST, LOCK and PATCH not once bytes were sent.
 */
#include "edge/edge.h"

#include "edge/pool.h"
#include "edge/upstream_tls.h"

static void set_sockaddr(struct tp_edge_request *er, ngx_peer_connection_t *pc, const struct tp_address *address)
{
    if (address->family_v6) {
        struct sockaddr_in6 *sin6 = &er->peer_sockaddr.v6;

        *sin6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(er->target.port) };
        memcpy(&sin6->sin6_addr, address->bytes, 16);
        pc->socklen = sizeof(*sin6);
    } else {
        struct sockaddr_in *sin = &er->peer_sockaddr.v4;

        *sin = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(er->target.port) };
        memcpy(&sin->sin_addr, address->bytes, 4);
        pc->socklen = sizeof(*sin);
    }
    pc->sockaddr = (struct sockaddr *)&er->peer_sockaddr;
}

/* "address:port" for nginx, and its part before the port for the gateway. */
static ngx_int_t note_try(struct tp_edge_request *er, ngx_peer_connection_t *pc)
{
    struct tp_measures *m = tp_request_measures(er->req);
    size_t len;

    er->peer_name = tp_edge_address_text(&er->worker->peer, er->r->pool, pc->sockaddr, pc->socklen, true);
    if (!er->peer_name.data)
        return NGX_ERROR;
    pc->name = &er->peer_name;
    if (m->try_count < (size_t)er->target.tries) {
        for (len = er->peer_name.len; len && er->peer_name.data[len - 1] != ':';)
            len--;
        m->tries[m->try_count++] = (struct tp_try){
            .ip = tp_str_make((const char *)er->peer_name.data, len ? len - 1 : 0),
            .port = er->target.port,
            .start_ms = tp_edge_engine_ops.now_ms(&er->worker->engine),
        };
    }
    return NGX_OK;
}

static const struct tp_address *address_in_use(const struct tp_edge_request *er)
{
    return &er->addresses[(er->address_next + er->address_count - 1) % er->address_count];
}

static ngx_int_t get_peer(ngx_peer_connection_t *pc, void *data)
{
    struct tp_edge_request *er = data;
    struct tp_edge_pool_key key;
    const struct tp_address *address = &er->addresses[er->address_next];
    ngx_connection_t *c;

    er->address_next = (er->address_next + 1) % er->address_count;
    set_sockaddr(er, pc, address);
    if (note_try(er, pc) != NGX_OK)
        return NGX_ERROR;
    pc->cached = 0;
    pc->connection = NULL;
    tp_edge_pool_key_make(&key, &er->target, address);
    c = tp_edge_pool_take(er->worker->pool, &key, pc->log);
    if (!c)
        return NGX_OK;
    pc->connection = c;
    pc->cached = 1;
    return NGX_DONE;
}

static void free_peer(ngx_peer_connection_t *pc, void *data, ngx_uint_t state)
{
    struct tp_edge_request *er = data;
    const ngx_http_upstream_t *u = er->r->upstream;
    ngx_connection_t *c = pc->connection;
    struct tp_edge_pool_key key;

    if (pc->tries)
        pc->tries--;
    if (!c || (state & NGX_PEER_FAILED) || !u->keepalive || !u->request_body_sent)
        return;
    tp_edge_pool_key_make(&key, &er->target, address_in_use(er));
    if (tp_edge_pool_put(er->worker->pool, &key, c))
        pc->connection = NULL;
}

/* The last word before nginx begins the handshake. */
static ngx_int_t set_session(ngx_peer_connection_t *pc, void *data)
{
    struct tp_edge_request *er = data;
    struct tp_edge_pool_key key;

    if (er->target.tls_verify && tp_edge_tls_verify(pc->connection, er->target.tls_name) != NGX_OK)
        return NGX_ERROR;
    tp_edge_pool_key_make(&key, &er->target, address_in_use(er));
    return tp_edge_tls_set_session(er->worker->tls, &key, pc->connection);
}

static void save_session(ngx_peer_connection_t *pc, void *data)
{
    struct tp_edge_request *er = data;
    struct tp_edge_pool_key key;

    tp_edge_pool_key_make(&key, &er->target, address_in_use(er));
    tp_edge_tls_save_session(er->worker->tls, &key, pc->connection);
}

ngx_int_t tp_edge_peer_init(ngx_http_request_t *r, ngx_http_upstream_srv_conf_t *us)
{
    struct tp_edge_request *er = tp_edge_request_of(r);
    ngx_http_upstream_t *u = r->upstream;

    (void)us;
    if (er->address_count == 0)
        return NGX_ERROR;
    er->address_next = 0;
    u->peer.data = er;
    u->peer.get = get_peer;
    u->peer.free = free_peer;
    u->peer.tries = (ngx_uint_t)er->target.tries;
    u->peer.set_session = set_session;
    u->peer.save_session = save_session;
    u->ssl_name = tp_edge_ngx_str(er->target.tls_name);
    return NGX_OK;
}
