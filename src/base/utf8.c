/* UTF-8: base/utf8.h. */
#include "base/utf8.h"

/* Bytes of the character that starts at `p`, 0 when it is not one (RFC 3629: no surrogates, no long forms). */
static size_t character_length(const unsigned char *p, size_t left)
{
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
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
