/* Percent-encoding: base/url.h. */
#include "base/url.h"

#include "base/hex.h"

static bool is_plain(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

struct tp_str tp_url_decode(struct tp_arena *arena, struct tp_str s, bool plus)
{
    char *out;
    size_t n = 0;

    if (tp_str_chr(s, '%') < 0 && (!plus || tp_str_chr(s, '+') < 0))
        return s;
    out = tp_arena_alloc(arena, s.len + 1);
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '%' && i + 2 < s.len && tp_hex_value(s.data[i + 1]) >= 0 && tp_hex_value(s.data[i + 2]) >= 0) {
            out[n++] = (char)(tp_hex_value(s.data[i + 1]) << 4 | tp_hex_value(s.data[i + 2]));
            i += 2;
        } else {
            out[n++] = plus && s.data[i] == '+' ? ' ' : s.data[i];
        }
    }
    out[n] = '\0';
    return tp_str_make(out, n);
}

struct tp_str tp_url_encode(struct tp_arena *arena, struct tp_str s)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = tp_arena_alloc(arena, s.len * 3 + 1);
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];

        if (is_plain(s.data[i])) {
            out[n++] = s.data[i];
        } else {
            out[n++] = '%';
            out[n++] = digits[c >> 4];
            out[n++] = digits[c & 15];
        }
    }
    out[n] = '\0';
    return tp_str_make(out, n);
}
