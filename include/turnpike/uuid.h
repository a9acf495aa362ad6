/*
 * UUIDs (RFC 4122) as 16 bytes in network order.
 */
#ifndef TURNPIKE_UUID_H
#define TURNPIKE_UUID_H

#include "turnpike/str.h"

#define TP_UUID_TEXT_LEN 36

struct tp_uuid {
    uint8_t bytes[16];
};

/* Any version, hex in either case, 8-4-4-4-12. False for anything else, *out untouched. */
bool tp_uuid_parse(struct tp_str text, struct tp_uuid *out);

/* Lower-case text and a NUL into `out`. */
void tp_uuid_format(const struct tp_uuid *uuid, char out[TP_UUID_TEXT_LEN + 1]);

/* A random (version 4) one. */
struct tp_uuid tp_uuid_random(void);

/* The name-based (version 5, SHA-1) one of `name` in `space`. */
struct tp_uuid tp_uuid_v5(const struct tp_uuid *space, struct tp_str name);

static inline bool tp_uuid_eq(const struct tp_uuid *a, const struct tp_uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static inline int tp_uuid_cmp(const struct tp_uuid *a, const struct tp_uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

/* All bits zero: "none". */
static inline bool tp_uuid_is_nil(const struct tp_uuid *a)
{
    static const struct tp_uuid nil;

    return tp_uuid_eq(a, &nil);
}

#endif
