/*
 * Hashes and randomness, through libsodium and OpenSSL.
 */
#ifndef TP_BASE_HASH_H
#define TP_BASE_HASH_H

#include "turnpike/str.h"

#define TP_DIGEST_LEN 16
#define TP_HASH_KEY_LEN 32

/* A secret key of a hash. */
struct tp_hash_key {
    uint8_t bytes[TP_HASH_KEY_LEN];
};

struct tp_digest {
    uint8_t bytes[TP_DIGEST_LEN];
};

/* Keyed BLAKE2b, 128 bits: names secrets in the read model without telling them (ADR 0003). */
struct tp_digest tp_digest_keyed(const struct tp_hash_key *key, struct tp_str text);
/* The same over several parts; each part's length is hashed too, so parts cannot run together. */
struct tp_digest tp_digest_keyed_parts(const struct tp_hash_key *key, const struct tp_str *parts, size_t count);

/* Keyed SipHash-2-4, 64 bits: for tables. */
uint64_t tp_hash64(const struct tp_hash_key *key, struct tp_str text);
/* The same with 128 bits: for names that must not collide. */
void tp_hash128(const struct tp_hash_key *key, struct tp_str text, uint64_t out[2]);

void tp_random_bytes(void *out, size_t len);
/* `len` random characters of A-Z a-z 0-9 and a NUL. */
void tp_random_text(char *out, size_t len);

/* Lower-case hex of SHA-256, 64 characters and a NUL. */
void tp_sha256_hex(struct tp_str text, char out[65]);

#endif
