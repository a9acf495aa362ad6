/* Hashes and randomness: base/hash.h. libsodium and OpenSSL do the work. */
#include "base/hash.h"

#include "turnpike/err.h"

#include <openssl/evp.h>
#include <sodium.h>

/* sodium_init is safe to call again and from several threads; 1 means "already done". */
__attribute__((constructor)) static void start_sodium(void)
{
    TP_ASSERT(sodium_init() >= 0);
}

struct tp_digest tp_digest_keyed(const struct tp_hash_key *key, struct tp_str text)
{
    struct tp_digest digest;

    crypto_generichash(digest.bytes, sizeof(digest.bytes), (const unsigned char *)text.data, text.len,
                       key->bytes, sizeof(key->bytes));
    return digest;
}

struct tp_digest tp_digest_keyed_parts(const struct tp_hash_key *key, const struct tp_str *parts, size_t count)
{
    crypto_generichash_state state;
    struct tp_digest digest;

    crypto_generichash_init(&state, key->bytes, sizeof(key->bytes), sizeof(digest.bytes));
    for (size_t i = 0; i < count; i++) {
        uint64_t len = parts[i].len;

        crypto_generichash_update(&state, (const unsigned char *)&len, sizeof(len));
        crypto_generichash_update(&state, (const unsigned char *)parts[i].data, parts[i].len);
    }
    crypto_generichash_final(&state, digest.bytes, sizeof(digest.bytes));
    return digest;
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
