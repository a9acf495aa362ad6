/* UTF-8: base/utf8.h. */
#include "base/utf8.h"

/* Bytes of the character that starts with `lead`, 0 when none does. */
static size_t announced_length(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2)
        return 0; /* a continuation, or the long form of an ASCII character */
    if (lead < 0xe0)
        return 2;
    if (lead < 0xf0)
        return 3;
    return lead < 0xf5 ? 4 : 0;
}

/* Long forms, surrogates and what lies beyond U+10FFFF show in the second byte. */
static bool can_follow(unsigned char lead, unsigned char second)
{
    switch (lead) {
    case 0xe0: return second >= 0xa0;
    case 0xed: return second < 0xa0;
    case 0xf0: return second >= 0x90;
    case 0xf4: return second < 0x90;
    default: return true;
    }
}

/* Bytes of the character that starts at `p`, 0 when it is not one. */
static size_t character_length(const unsigned char *p, size_t left)
{
    size_t n = announced_length(p[0]);

    if (n > left || (n > 1 && !can_follow(p[0], p[1])))
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    return n;
}

size_t tp_utf8_valid_prefix(struct tp_str s)
{
    size_t at = 0;

    while (at < s.len) {
        size_t n = character_length((const unsigned char *)s.data + at, s.len - at);

        if (n == 0)
            break;
        at += n;
    }
    return at;
}
