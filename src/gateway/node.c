/* Settings in the shape in which requests use them: node.h. */
#include "gateway/node.h"

#include "base/hash.h"
#include "base/hex.h"
#include "base/mem.h"
#include "gateway/lua.h"
#include "gateway/redis.h"

#include <arpa/inet.h>

#define ID_BYTES 16
#define MAX_SPARE_ARENAS 64

static bool parse_address(struct tp_str text, struct tp_cidr *out)
{
    char cstr[INET6_ADDRSTRLEN];

    if (text.len == 0 || text.len >= sizeof(cstr))
        return false;
    memcpy(cstr, text.data, text.len);
    cstr[text.len] = '\0';
    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, cstr, out->bytes) == 1) {
        out->bits = 32;
        return true;
    }
    out->v6 = true;
    out->bits = 128;
    return inet_pton(AF_INET6, cstr, out->bytes) == 1;
}

static bool parse_cidr(struct tp_str text, struct tp_cidr *out)
{
    ptrdiff_t slash = tp_str_chr(text, '/');
    int64_t bits;

    if (slash < 0)
        return parse_address(text, out);
    if (!parse_address(tp_str_head(text, (size_t)slash), out) ||
        !tp_str_to_i64(tp_str_from(text, (size_t)slash + 1), &bits) || bits < 0 || bits > out->bits)
        return false;
    out->bits = (uint8_t)bits;
    return true;
}

static bool contains(const struct tp_cidr *range, const struct tp_cidr *address)
{
    size_t whole = range->bits / 8, rest = range->bits % 8;
    uint8_t mask = (uint8_t)(0xff00u >> rest);

    if (range->v6 != address->v6 || memcmp(range->bytes, address->bytes, whole) != 0)
        return false;
    return rest == 0 || ((range->bytes[whole] ^ address->bytes[whole]) & mask) == 0;
}

static void read_trusted(struct tp_node *node, struct tp_list list)
{
    node->trusted = tp_calloc(list.count ? list.count : 1, sizeof(*node->trusted));
    for (size_t i = 0; i < list.count; i++) {
        struct tp_str text = *TP_LIST_AT(list, struct tp_str, i);

        if (tp_str_eq(text, TP_STR("unix:")))
            node->trusts_unix = true;
        else if (parse_cidr(text, &node->trusted[node->trusted_count]))
            node->trusted_count++;
    }
}

static void read_ports(struct tp_node *node, struct tp_list list)
{
    node->ports = tp_calloc(list.count ? list.count : 1, sizeof(*node->ports));
    for (size_t i = 0; i < list.count; i++) {
        struct tp_str local = *TP_LIST_AT(list, struct tp_str, i), shown;
        int64_t from, to;

        if (!tp_str_next(&local, ':', &shown) || !tp_str_to_i64(shown, &to) || !tp_str_to_i64(local, &from) ||
            from < 1 || from > 65535 || to < 1 || to > 65535)
            continue; /* settings were checked where they were read */
        node->ports[node->port_count++] = (struct tp_port_map){ (uint16_t)from, (uint16_t)to };
    }
}

struct tp_node *tp_gateway_make_node(struct tp_gateway *gateway)
{
    gateway->node = tp_new(struct tp_node);
    read_trusted(gateway->node, gateway->settings.trusted_ips);
    read_ports(gateway->node, gateway->settings.port_maps);
    gateway->node->arenas = tp_arena_spares_new(MAX_SPARE_ARENAS);
    return gateway->node;
}

bool tp_node_trusts(const struct tp_node *node, struct tp_str ip)
{
    struct tp_cidr address;

    if (node->trusted_count == 0 && !node->trusts_unix)
        return false;
    if (tp_str_starts(ip, TP_STR("unix:")))
        return node->trusts_unix;
    if (!parse_address(ip, &address))
        return false;
    for (size_t i = 0; i < node->trusted_count; i++) {
        if (contains(&node->trusted[i], &address))
            return true;
    }
    return false;
}

uint16_t tp_node_public_port(const struct tp_node *node, uint16_t port)
{
    for (size_t i = 0; i < node->port_count; i++) {
        if (node->ports[i].local == port)
            return node->ports[i].public_port;
    }
    return port;
}

void tp_gateway_draw_id(struct tp_gateway *gateway, char out[33])
{
    struct tp_node *node = tp_gateway_node(gateway);

    if (node->random_left < ID_BYTES) {
        tp_random_bytes(node->random, sizeof(node->random));
        node->random_left = sizeof(node->random);
    }
    node->random_left -= ID_BYTES;
    tp_hex16(out, node->random + node->random_left);
    out[32] = '\0';
}

void tp_gateway_fini(struct tp_gateway *gateway)
{
    if (gateway->node) {
        free(gateway->node->trusted);
        free(gateway->node->ports);
        tp_arena_spares_free(gateway->node->arenas);
        free(gateway->node);
        gateway->node = NULL;
    }
    tp_redis_free(gateway->redis);
    gateway->redis = NULL;
    tp_lua_free(gateway->lua);
    gateway->lua = NULL;
    tp_gateway_set_program(gateway, NULL);
}
