/* Text views: turnpike/str.h. */
#include "turnpike/str.h"

#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <stdlib.h>

static unsigned char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : (unsigned char)c;
}

static bool each_eq_nocase(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (a[i] != b[i] && lower(a[i]) != lower(b[i]))
            return false;
    }
    return true;
}

/* Eight bytes: at once where both are spelled alike, as header names nearly always are, or not alike at all. */
static bool eight_eq_nocase(const char *a, const char *b)
{
    uint64_t x, y;

    memcpy(&x, a, 8);
    memcpy(&y, b, 8);
    if (x == y)
        return true;
    return ((x ^ y) & ~UINT64_C(0x2020202020202020)) == 0 && each_eq_nocase(a, b, 8);
}

static bool bytes_eq_nocase(const char *a, const char *b, size_t len)
{
    if (len < 8)
        return each_eq_nocase(a, b, len);
    for (size_t i = 0; i + 8 < len; i += 8) {
        if (!eight_eq_nocase(a + i, b + i))
            return false;
    }
    return eight_eq_nocase(a + len - 8, b + len - 8); /* may look at some bytes again */
}

bool tp_str_eq_nocase(struct tp_str a, struct tp_str b)
{
    return a.len == b.len && bytes_eq_nocase(a.data, b.data, a.len);
}

bool tp_str_starts_nocase(struct tp_str s, struct tp_str prefix)
{
    return s.len >= prefix.len && bytes_eq_nocase(s.data, prefix.data, prefix.len);
}

int tp_str_cmp(struct tp_str a, struct tp_str b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len ? memcmp(a.data, b.data, len) : 0;

    if (order)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

ptrdiff_t tp_str_chr(struct tp_str s, char c)
{
    const char *at = s.len ? memchr(s.data, c, s.len) : NULL;

    return at ? at - s.data : -1;
}

ptrdiff_t tp_str_find(struct tp_str s, struct tp_str needle)
{
    const char *at;

    if (needle.len == 0)
        return 0;
    at = s.len ? memmem(s.data, s.len, needle.data, needle.len) : NULL;
    return at ? at - s.data : -1;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct tp_str tp_str_trim(struct tp_str s)
{
    while (s.len && is_blank(s.data[0])) {
        s.data++;
        s.len--;
    }
    while (s.len && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

bool tp_str_next(struct tp_str *rest, char separator, struct tp_str *item)
{
    ptrdiff_t at;

    if (!rest->data)
        return false;
    at = tp_str_chr(*rest, separator);
    if (at < 0) {
        *item = *rest;
        *rest = TP_STR_NULL;
    } else {
        *item = tp_str_head(*rest, (size_t)at);
        *rest = tp_str_from(*rest, (size_t)at + 1);
    }
    return true;
}

/* Longest text that strtoll or strtod needs for a number we accept. */
#define NUMBER_MAX 64

/* Up to 18 digits cannot overflow: ports and lengths. */
static bool short_to_i64(struct tp_str s, int64_t *out)
{
    int64_t value = 0;

    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(s.data[i] - '0');

        if (digit > 9)
            return false;
        value = value * 10 + (int64_t)digit;
    }
    *out = value;
    return true;
}

bool tp_str_to_i64(struct tp_str s, int64_t *out)
{
    uint64_t limit = INT64_MAX, value = 0;
    bool negative = false;
    size_t i = 0;

    if (s.len && s.len <= 18 && s.data[0] != '-')
        return short_to_i64(s, out);
    if (s.len && s.data[0] == '-') {
        negative = true;
        limit = (uint64_t)INT64_MAX + 1;
        i = 1;
    }
    if (i == s.len)
        return false;
    for (; i < s.len; i++) {
        unsigned digit = (unsigned)(s.data[i] - '0');

        if (digit > 9 || value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

bool tp_str_to_double(struct tp_str s, double *out)
{
    char text[NUMBER_MAX + 1], *end;
    double value;

    if (s.len == 0 || s.len > NUMBER_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!strchr("0123456789+-.eE", s.data[i]) || s.data[i] == '\0')
            return false; /* no hex, no "inf", no blanks */
    }
    memcpy(text, s.data, s.len);
    text[s.len] = '\0';
    value = strtod(text, &end);
    if (*end || !isfinite(value))
        return false;
    *out = value;
    return true;
}

bool tp_str_eq_secret(struct tp_str a, struct tp_str b)
{
    return a.len == b.len && (a.len == 0 || sodium_memcmp(a.data, b.data, a.len) == 0);
}
