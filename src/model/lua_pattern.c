/* See lua_pattern.h. Recursion is as deep as the pattern has repetitions. */
#include "model/lua_pattern.h"

#include <ctype.h>

#define STEPS_PER_BYTE 64
#define STEPS_AT_LEAST 10000

struct search {
    const unsigned char *end;
    size_t steps; /* left */
};

static bool match_here(struct search *search, const unsigned char *s, const char *p);

static bool in_class(int c, char class)
{
    bool in;

    switch (tolower((unsigned char)class)) {
    case 'a': in = c < 128 && isalpha(c); break;
    case 'c': in = c < 128 && iscntrl(c); break;
    case 'd': in = c >= '0' && c <= '9'; break;
    case 'l': in = c >= 'a' && c <= 'z'; break;
    case 'p': in = c < 128 && ispunct(c); break;
    case 's': in = c < 128 && isspace(c); break;
    case 'u': in = c >= 'A' && c <= 'Z'; break;
    case 'w': in = c < 128 && isalnum(c); break;
    case 'x': in = c < 128 && isxdigit(c); break;
    default: return c == (unsigned char)class;
    }
    return isupper((unsigned char)class) ? !in : in;
}

/* Behind the single-character item at `p`. */
static const char *item_end(const char *p)
{
    if (*p == '%')
        return p[1] ? p + 2 : p + 1;
    if (*p != '[')
        return p + 1;
    p++;
    if (*p == '^')
        p++;
    do {
        if (!*p)
            return p;
        if (*p++ == '%' && *p)
            p++;
    } while (*p != ']');
    return p + 1;
}

/* `p` is at '[', `last` at the matching ']'. */
static bool in_set(int c, const char *p, const char *last)
{
    bool negated = p[1] == '^';

    p += negated ? 2 : 1;
    for (; p < last; p++) {
        if (*p == '%' && p + 1 < last) {
            if (in_class(c, *++p))
                return !negated;
        } else if (p + 2 < last && p[1] == '-') {
            if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2])
                return !negated;
            p += 2;
        } else if ((unsigned char)*p == c) {
            return !negated;
        }
    }
    return negated;
}

static bool match_one(const struct search *search, const unsigned char *s, const char *p, const char *end)
{
    if (s >= search->end)
        return false;
    switch (*p) {
    case '.': return true;
    case '%': return in_class(*s, p[1]);
    case '[': return in_set(*s, p, end - 1);
    default: return (unsigned char)*p == *s;
    }
}

static bool match_longest(struct search *search, const unsigned char *s, const char *p, const char *end)
{
    const unsigned char *at = s;

    while (match_one(search, at, p, end))
        at++;
    for (;; at--) {
        if (match_here(search, at, end + 1))
            return true;
        if (at == s || search->steps == 0)
            return false;
    }
}

static bool match_shortest(struct search *search, const unsigned char *s, const char *p, const char *end)
{
    for (;; s++) {
        if (match_here(search, s, end + 1))
            return true;
        if (!match_one(search, s, p, end) || search->steps == 0)
            return false;
    }
}

static bool match_here(struct search *search, const unsigned char *s, const char *p)
{
    while (*p) {
        const char *end;

        if (search->steps == 0)
            return false;
        search->steps--;
        if (p[0] == '$' && p[1] == '\0')
            return s == search->end;
        end = item_end(p);
        if (*end == '*')
            return match_longest(search, s, p, end);
        if (*end == '-')
            return match_shortest(search, s, p, end);
        if (*end == '+')
            return match_one(search, s, p, end) && match_longest(search, s + 1, p, end);
        if (*end == '?') {
            if (match_one(search, s, p, end) && match_here(search, s + 1, end + 1))
                return true;
            p = end + 1;
            continue;
        }
        if (!match_one(search, s, p, end))
            return false;
        s++;
        p = end;
    }
    return true;
}

bool tp_lua_pattern_find(const char *pattern, struct tp_str text)
{
    const unsigned char *s = (const unsigned char *)(text.data ? text.data : "");
    struct search search = { s + text.len, STEPS_AT_LEAST + text.len * STEPS_PER_BYTE };

    if (*pattern == '^')
        return match_here(&search, s, pattern + 1);
    for (;; s++) {
        if (match_here(&search, s, pattern))
            return true;
        if (s == search.end || search.steps == 0)
            return false;
    }
}
