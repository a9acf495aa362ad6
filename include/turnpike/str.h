/*
 * Text from the wire: a pointer and a length, passed by value, never owned.
 *
 * A tp_str need not end in NUL. `data == NULL` means "absent", which differs from an empty text.
 */
#ifndef TURNPIKE_STR_H
#define TURNPIKE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct tp_str {
    const char *data;
    size_t len;
};

/* A string literal as tp_str. */
#define TP_STR(literal) ((struct tp_str){ (literal), sizeof(literal) - 1 })
#define TP_STR_NULL ((struct tp_str){ NULL, 0 })

/* For printf: "%.*s", TP_STR_ARG(s). */
#define TP_STR_ARG(s) (int)(s).len, (s).data ? (s).data : ""

static inline struct tp_str tp_str_from_cstr(const char *cstr)
{
    return (struct tp_str){ cstr, cstr ? strlen(cstr) : 0 };
}

static inline struct tp_str tp_str_make(const char *data, size_t len)
{
    return (struct tp_str){ data, len };
}

static inline bool tp_str_eq(struct tp_str a, struct tp_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* The rest of `s` from byte `n` on; empty when `s` is shorter. */
static inline struct tp_str tp_str_from(struct tp_str s, size_t n)
{
    return n >= s.len ? tp_str_make(s.data + s.len, 0) : tp_str_make(s.data + n, s.len - n);
}

/* The first `n` bytes of `s`, or all of it. */
static inline struct tp_str tp_str_head(struct tp_str s, size_t n)
{
    return tp_str_make(s.data, n < s.len ? n : s.len);
}

static inline bool tp_str_starts(struct tp_str s, struct tp_str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.data, prefix.data, prefix.len) == 0);
}

static inline bool tp_str_ends(struct tp_str s, struct tp_str suffix)
{
    return s.len >= suffix.len &&
           (suffix.len == 0 || memcmp(s.data + s.len - suffix.len, suffix.data, suffix.len) == 0);
}

/* Comparison of ASCII letters without regard to case; other bytes exactly. */
bool tp_str_eq_nocase(struct tp_str a, struct tp_str b);
bool tp_str_starts_nocase(struct tp_str s, struct tp_str prefix);

/* Like memcmp, shorter first when one is the other's beginning. */
int tp_str_cmp(struct tp_str a, struct tp_str b);

/* Position of the first `c` or of `needle` in `s`, or -1. */
ptrdiff_t tp_str_chr(struct tp_str s, char c);
ptrdiff_t tp_str_find(struct tp_str s, struct tp_str needle);

/* `s` without leading and trailing spaces and tabs. */
struct tp_str tp_str_trim(struct tp_str s);

/*
 * Cut the part of *rest before the first `separator` and move *rest behind it. False when *rest is
 * absent (data NULL): so a loop `while (tp_str_next(&rest, ',', &item))` sees every item, also the
 * last and empty ones.
 */
bool tp_str_next(struct tp_str *rest, char separator, struct tp_str *item);

/* All of `s` as a decimal number. False, and *out untouched, for anything else or out of range. */
bool tp_str_to_i64(struct tp_str s, int64_t *out);
bool tp_str_to_double(struct tp_str s, double *out);

/* Equal without telling by the time taken where they differ (lengths may show). For secrets. */
bool tp_str_eq_secret(struct tp_str a, struct tp_str b);

#endif
