/*
 * What a gateway derives from its settings once, and its store of randomness for request ids.
 */
#ifndef TP_GATEWAY_NODE_H
#define TP_GATEWAY_NODE_H

#include "base/arena_spares.h"
#include "gateway/gateway.h"

struct tp_cidr {
    bool v6;
    uint8_t bits;
    uint8_t bytes[16];
};

struct tp_port_map {
    uint16_t local, public_port;
};

struct tp_node {
    struct tp_cidr *trusted;
    size_t trusted_count;
    bool trusts_unix;
    struct tp_port_map *ports;
    size_t port_count;
    struct tp_arena_spares *arenas; /* of requests */
    uint8_t random[512];
    size_t random_left;
};

/* The gateway's node, made by the first call. */
struct tp_node *tp_gateway_make_node(struct tp_gateway *gateway);
static inline struct tp_node *tp_gateway_node(struct tp_gateway *gateway)
{
    return gateway->node ? gateway->node : tp_gateway_make_node(gateway);
}

/* Whether the connecting address is one of trusted_ips. */
bool tp_node_trusts(const struct tp_node *node, struct tp_str ip);
/* The port that clients know a listening port by (port_maps). */
uint16_t tp_node_public_port(const struct tp_node *node, uint16_t port);

#endif
