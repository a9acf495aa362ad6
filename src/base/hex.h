/*
 * Bytes as lower-case hex digits, eight digits at a time: ids are written several times a request.
 */
#ifndef TP_BASE_HEX_H
#define TP_BASE_HEX_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* The eight digits of the four bytes at `bytes`, in the order of memory. */
static inline uint64_t tp_hex4(const uint8_t *bytes)
{
    uint32_t four;
    uint64_t x, digits, letters;

    memcpy(&four, bytes, sizeof(four));
    x = le32toh(four);
    x = (x | x << 16) & UINT64_C(0x0000ffff0000ffff);
    x = (x | x << 8) & UINT64_C(0x00ff00ff00ff00ff); /* a byte in every second one */
    digits = (x >> 4 | x << 8) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    letters = (digits + UINT64_C(0x0606060606060606)) >> 4 & UINT64_C(0x0101010101010101);
    return htole64(digits + UINT64_C(0x3030303030303030) + letters * ('a' - '0' - 10));
}

/* The 32 digits of 16 bytes. */
static inline void tp_hex16(char *out, const uint8_t *bytes)
{
    for (int i = 0; i < 4; i++) {
        uint64_t text = tp_hex4(bytes + 4 * i);

        memcpy(out + 8 * i, &text, sizeof(text));
    }
}

/* What one digit of either case stands for; -1: none. */
static inline int tp_hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
