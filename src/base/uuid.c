/* UUIDs: turnpike/uuid.h. */
#include "turnpike/uuid.h"

#include "base/hash.h"
#include "turnpike/err.h"

#include <openssl/evp.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_dash_position(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

bool tp_uuid_parse(struct tp_str text, struct tp_uuid *out)
{
    struct tp_uuid uuid;
    size_t n = 0;

    if (text.len != TP_UUID_TEXT_LEN)
        return false;
    for (size_t i = 0; i < text.len;) {
        int high, low;

        if (is_dash_position(i)) {
            if (text.data[i++] != '-')
                return false;
            continue;
        }
        high = hex_value(text.data[i]);
        low = hex_value(text.data[i + 1]);
        if (high < 0 || low < 0)
            return false;
        uuid.bytes[n++] = (uint8_t)(high << 4 | low);
        i += 2;
    }
    *out = uuid;
    return true;
}

void tp_uuid_format(const struct tp_uuid *uuid, char out[TP_UUID_TEXT_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    size_t n = 0;

    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        if (is_dash_position(n))
            out[n++] = '-';
        out[n++] = digits[uuid->bytes[i] >> 4];
        out[n++] = digits[uuid->bytes[i] & 15];
    }
    out[n] = '\0';
}

static void set_version(struct tp_uuid *uuid, unsigned version)
{
    uuid->bytes[6] = (uint8_t)((uuid->bytes[6] & 0x0f) | version << 4);
    uuid->bytes[8] = (uint8_t)((uuid->bytes[8] & 0x3f) | 0x80);
}

struct tp_uuid tp_uuid_random(void)
{
    struct tp_uuid uuid;

    tp_random_bytes(uuid.bytes, sizeof(uuid.bytes));
    set_version(&uuid, 4);
    return uuid;
}

struct tp_uuid tp_uuid_v5(const struct tp_uuid *space, struct tp_str name)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char digest[20];
    struct tp_uuid uuid;

    TP_ASSERT(ctx && EVP_DigestInit_ex(ctx, EVP_sha1(), NULL) == 1 &&
              EVP_DigestUpdate(ctx, space->bytes, sizeof(space->bytes)) == 1 &&
              EVP_DigestUpdate(ctx, name.data, name.len) == 1 && EVP_DigestFinal_ex(ctx, digest, NULL) == 1);
    EVP_MD_CTX_free(ctx);
    memcpy(uuid.bytes, digest, sizeof(uuid.bytes));
    set_version(&uuid, 5);
    return uuid;
}
