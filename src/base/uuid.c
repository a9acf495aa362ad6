/* UUIDs: turnpike/uuid.h. */
#include "turnpike/uuid.h"

#include "base/hash.h"
#include "base/hex.h"
#include "turnpike/err.h"

#include <openssl/evp.h>

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
        high = tp_hex_value(text.data[i]);
        low = tp_hex_value(text.data[i + 1]);
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
    const uint64_t eight[4] = { tp_hex4(uuid->bytes), tp_hex4(uuid->bytes + 4), tp_hex4(uuid->bytes + 8),
                                tp_hex4(uuid->bytes + 12) };

    memcpy(out, &eight[0], 8);
    memcpy(out + 9, &eight[1], 4);
    memcpy(out + 14, (const char *)&eight[1] + 4, 4);
    memcpy(out + 19, &eight[2], 4);
    memcpy(out + 24, (const char *)&eight[2] + 4, 4);
    memcpy(out + 28, &eight[3], 8);
    out[8] = out[13] = out[18] = out[23] = '-';
    out[TP_UUID_TEXT_LEN] = '\0';
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
