/* What tells upstream connections apart: pool.h. */
#include "edge/pool.h"

#include "base/mem.h"

void tp_edge_pool_key_make(struct tp_edge_pool_key *key, const struct tp_target *target,
                           const struct tp_address *address)
{
    *key = (struct tp_edge_pool_key){ .address = *address, .port = target->port, .tls = target->tls };
    if (!target->tls)
        return;
    key->verify = target->tls_verify;
    key->verify_depth = target->tls_verify ? target->tls_verify_depth : 0;
    key->tls_name = target->tls_name;
    key->ca_digest = target->ca_digest;
    key->client_certificate = target->client_certificate;
}

static bool same_address(const struct tp_address *a, const struct tp_address *b)
{
    return a->family_v6 == b->family_v6 && memcmp(a->bytes, b->bytes, a->family_v6 ? 16 : 4) == 0;
}

bool tp_edge_pool_key_eq(const struct tp_edge_pool_key *a, const struct tp_edge_pool_key *b)
{
    if (!same_address(&a->address, &b->address) || a->port != b->port || a->tls != b->tls)
        return false;
    return !a->tls ||
           (a->verify == b->verify && a->verify_depth == b->verify_depth && tp_str_eq(a->tls_name, b->tls_name) &&
            tp_str_eq(a->ca_digest, b->ca_digest) && tp_str_eq(a->client_certificate, b->client_certificate));
}

/* Addresses and ports are the operators' own: no more than a spread is needed. */
uint32_t tp_edge_pool_key_hash(const struct tp_edge_pool_key *key)
{
    uint64_t words[2] = { 0, 0 }, hash;

    memcpy(words, key->address.bytes, key->address.family_v6 ? 16 : 4);
    hash = (words[0] ^ words[1] << 1 ^ (uint64_t)key->port << 32) * UINT64_C(0x9e3779b97f4a7c15);
    if (key->tls)
        hash ^= ngx_murmur_hash2(tp_edge_ngx_str(key->tls_name).data, key->tls_name.len);
    return (uint32_t)(hash >> 32) ^ (uint32_t)hash;
}

static struct tp_str copy_text(char **to, struct tp_str text)
{
    struct tp_str copy = tp_str_make(*to, text.len);

    if (text.len)
        memcpy(*to, text.data, text.len);
    *to += text.len;
    return copy;
}

struct tp_edge_pool_key *tp_edge_pool_key_copy(const struct tp_edge_pool_key *key)
{
    size_t text = key->tls_name.len + key->ca_digest.len + key->client_certificate.len;
    struct tp_edge_pool_key *copy = tp_malloc(sizeof(*copy) + text);
    char *to = (char *)(copy + 1);

    *copy = *key;
    copy->tls_name = copy_text(&to, key->tls_name);
    copy->ca_digest = copy_text(&to, key->ca_digest);
    copy->client_certificate = copy_text(&to, key->client_certificate);
    return copy;
}
