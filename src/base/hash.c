/* Hashes and randomness: base/hash.h. libsodium and OpenSSL do the work. */
#include "base/hash.h"

#include "turnpike/err.h"

#include <openssl/evp.h>
#include <sodium.h>

#define DIGEST_WHOLE_MAX 256 /* an API key and what goes before it, nearly always */

/* sodium_init is safe to call again and from several threads; 1 means "already done". */
__attribute__((constructor)) static void start_sodium(void)
{
    TP_ASSERT(sodium_init() >= 0);
}

struct tp_digest tp_digest_keyed(const struct tp_hash_key *key, struct tp_str text)
{
    return tp_digest_keyed_parts(key, &text, 1);
}

/* What is hashed when it is too long to be put together first: the same bytes. */
static void digest_stream(const struct tp_hash_key *key, const struct tp_str *parts, size_t count,
                          struct tp_digest *digest)
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, NULL, 0, sizeof(digest->bytes));
    crypto_generichash_update(&state, key->bytes, sizeof(key->bytes));
    for (size_t i = 0; i < count; i++) {
        uint64_t len = parts[i].len;

        crypto_generichash_update(&state, (const unsigned char *)&len, sizeof(len));
        crypto_generichash_update(&state, (const unsigned char *)parts[i].data, parts[i].len);
    }
    crypto_generichash_final(&state, digest->bytes, sizeof(digest->bytes));
}

/*
 * The key goes in front of the text. BLAKE2b's own key parameter would take a block for itself, and so a second
 * compression; as a prefix it is as strong, since the last block is marked and nothing can be appended (ADR 0003).
 */
struct tp_digest tp_digest_keyed_parts(const struct tp_hash_key *key, const struct tp_str *parts, size_t count)
{
    unsigned char whole[DIGEST_WHOLE_MAX];
    size_t at = sizeof(key->bytes);
    struct tp_digest digest;

    memcpy(whole, key->bytes, sizeof(key->bytes));
    for (size_t i = 0; i < count; i++) {
        uint64_t len = parts[i].len;

        if (len > sizeof(whole) - sizeof(len) || at > sizeof(whole) - sizeof(len) - len) {
            digest_stream(key, parts, count, &digest);
            return digest;
        }
        memcpy(whole + at, &len, sizeof(len));
        at += sizeof(len);
        if (len)
            memcpy(whole + at, parts[i].data, len);
        at += len;
    }
    crypto_generichash(digest.bytes, sizeof(digest.bytes), whole, at, NULL, 0);
    return digest;
}

void tp_hash128(const struct tp_hash_key *key, struct tp_str text, uint64_t out[2])
{
    _Static_assert(crypto_shorthash_siphashx24_BYTES == 2 * sizeof(*out), "SipHash-2-4-128");
    _Static_assert(crypto_shorthash_siphashx24_KEYBYTES <= TP_HASH_KEY_LEN, "our key is long enough");
    crypto_shorthash_siphashx24((unsigned char *)out, (const unsigned char *)text.data, text.len, key->bytes);
}

uint64_t tp_hash64(const struct tp_hash_key *key, struct tp_str text)
{
    uint64_t hash;

    _Static_assert(crypto_shorthash_BYTES == sizeof(hash), "SipHash-2-4 gives 64 bits");
    _Static_assert(crypto_shorthash_KEYBYTES <= TP_HASH_KEY_LEN, "our key is long enough");
    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)text.data, text.len, key->bytes);
    return hash;
}

void tp_random_bytes(void *out, size_t len)
{
    randombytes_buf(out, len);
}

void tp_random_text(char *out, size_t len)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    for (size_t i = 0; i < len; i++)
        out[i] = alphabet[randombytes_uniform(sizeof(alphabet) - 1)];
    out[len] = '\0';
}

void tp_sha256_hex(struct tp_str text, char out[65])
{
    unsigned char digest[32];

    TP_ASSERT(EVP_Digest(text.data, text.len, digest, NULL, EVP_sha256(), NULL) == 1);
    sodium_bin2hex(out, 65, digest, sizeof(digest));
}
