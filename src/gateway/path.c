/*
 * Paths: what the router matches and what the upstream gets (routing.md §2 and §7).
 *
 * Nothing is copied when nothing changes, which is the usual case.
 */
#include "base/hex.h"
#include "base/url.h"
#include "gateway/router.h"

#include "turnpike/err.h"

/* Stay encoded when normalised: they would change meaning ('/' and '?' above all). NUL joins them as a guard. */
static const bool reserved[256] = {
    ['\0'] = 1, ['!'] = 1, ['*'] = 1, ['\''] = 1, ['('] = 1, [')'] = 1, [';'] = 1, [':'] = 1, ['@'] = 1, ['&'] = 1,
    ['='] = 1,  ['+'] = 1, ['$'] = 1, [','] = 1,  ['/'] = 1, ['?'] = 1, ['%'] = 1, ['#'] = 1, ['['] = 1, [']'] = 1,
};

/* May stand in a path sent upstream. */
static const bool plain[256] = {
    ['a' ... 'z'] = 1, ['A' ... 'Z'] = 1, ['0' ... '9'] = 1, ['-'] = 1, ['_'] = 1,  ['.'] = 1, ['~'] = 1,
    ['!'] = 1,         ['#'] = 1,         ['$'] = 1,         ['&'] = 1, ['\''] = 1, ['('] = 1, [')'] = 1,
    ['*'] = 1,         ['+'] = 1,         [','] = 1,         ['/'] = 1, [':'] = 1,  [';'] = 1, ['='] = 1,
    ['?'] = 1,         ['@'] = 1,         ['['] = 1,         [']'] = 1, ['%'] = 1,
};

static const char hex[] = "0123456789ABCDEF";

static bool is_normal(struct tp_str path)
{
    if (path.len == 0 || path.data[0] != '/')
        return false;
    for (size_t i = 0; i < path.len; i++) {
        char c = path.data[i];

        if (c == '%' || (c == '/' && i + 1 < path.len && (path.data[i + 1] == '/' || path.data[i + 1] == '.')))
            return false;
    }
    return true;
}

/* Decode what is not reserved; escapes that stay get upper-case digits. Never longer than the input. */
static size_t decode(struct tp_str raw, char *out)
{
    size_t w = 0;

    for (size_t i = 0; i < raw.len; i++) {
        int hi = -1, lo = -1;

        if (raw.data[i] == '%' && i + 2 < raw.len) {
            hi = tp_hex_value(raw.data[i + 1]);
            lo = tp_hex_value(raw.data[i + 2]);
        }
        if (hi < 0 || lo < 0) {
            out[w++] = raw.data[i];
            continue;
        }
        if (reserved[hi << 4 | lo]) {
            out[w++] = '%';
            out[w++] = hex[hi];
            out[w++] = hex[lo];
        } else {
            out[w++] = (char)(hi << 4 | lo);
        }
        i += 2;
    }
    return w;
}

/* In place; `path` starts with '/'. A segment goes with the slash before it. */
static size_t remove_dot_segments(char *path, size_t len)
{
    size_t w = 0, end;

    for (size_t r = 0; r < len; r = end) {
        size_t segment;

        for (end = r + 1; end < len && path[end] != '/'; end++)
            ;
        segment = end - r - 1;
        if (segment == 2 && path[r + 1] == '.' && path[r + 2] == '.') {
            while (w > 0 && path[--w] != '/')
                ;
        } else if (segment != 1 || path[r + 1] != '.') {
            memmove(path + w, path + r, end - r);
            w += end - r;
            continue;
        }
        if (end == len)
            path[w++] = '/'; /* "/a/." and "/a/b/.." keep their last slash */
    }
    return w;
}

static size_t merge_slashes(char *path, size_t len)
{
    size_t w = 0;

    for (size_t r = 0; r < len; r++) {
        if (path[r] != '/' || w == 0 || path[w - 1] != '/')
            path[w++] = path[r];
    }
    return w;
}

struct tp_str tp_path_normalize(struct tp_arena *arena, struct tp_str raw_path)
{
    char *out;
    size_t len;

    if (is_normal(raw_path))
        return raw_path;
    out = tp_arena_alloc(arena, raw_path.len + 2);
    out[0] = '/';
    if (raw_path.len && raw_path.data[0] == '/')
        len = decode(raw_path, out);
    else
        len = 1 + decode(raw_path, out + 1);
    len = remove_dot_segments(out, len);
    len = merge_slashes(out, len);
    out[len] = '\0';
    return tp_str_make(out, len);
}

struct tp_str tp_path_encode(struct tp_arena *arena, struct tp_str path)
{
    size_t odd = 0, w = 0;
    char *out;

    for (size_t i = 0; i < path.len; i++)
        odd += !plain[(unsigned char)path.data[i]];
    if (odd == 0)
        return path;
    out = tp_arena_alloc(arena, path.len + 2 * odd + 1);
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.data[i];

        if (plain[c]) {
            out[w++] = (char)c;
        } else {
            out[w++] = '%';
            out[w++] = hex[c >> 4];
            out[w++] = hex[c & 15];
        }
    }
    out[w] = '\0';
    return tp_str_make(out, w);
}

/* A traversal guard: what is left behind the prefix must not start with a dot segment. */
static struct tp_str without_leading_dots(struct tp_str rest)
{
    if (tp_str_eq(rest, TP_STR(".")) || tp_str_eq(rest, TP_STR("..")))
        return tp_str_from(rest, rest.len);
    if (tp_str_starts(rest, TP_STR("./")))
        return tp_str_from(rest, 2);
    if (tp_str_starts(rest, TP_STR("../")))
        return tp_str_from(rest, 3);
    return rest;
}

static struct tp_str without_last(struct tp_str s)
{
    return tp_str_head(s, s.len - 1);
}

static struct tp_str concat(struct tp_arena *arena, struct tp_str a, struct tp_str b)
{
    if (a.len == 0)
        return b;
    return b.len == 0 ? a : tp_arena_concat(arena, a, b);
}

/* v0, stripped; `base` ends with '/' or not: the two halves of the table in routing.md §7. */
static struct tp_str join_stripped(struct tp_arena *arena, struct tp_str base, struct tp_str path, struct tp_str rest)
{
    bool path_slash = tp_str_ends(path, TP_STR("/"));

    if (tp_str_ends(base, TP_STR("/"))) {
        if (rest.len == 0)
            return base.len == 1 || path_slash ? base : without_last(base);
        return rest.data[0] == '/' ? concat(arena, without_last(base), rest) : concat(arena, base, rest);
    }
    if (rest.len == 0)
        return path.len > 1 && path_slash ? concat(arena, base, TP_STR("/")) : base;
    if (rest.data[0] == '/')
        return concat(arena, base, rest);
    return concat(arena, base, tp_arena_concat(arena, TP_STR("/"), rest));
}

static struct tp_str join_v0(struct tp_arena *arena, struct tp_str base, struct tp_str path, struct tp_str rest,
                             bool strip)
{
    if (strip)
        return join_stripped(arena, base, path, rest);
    if (tp_str_ends(base, TP_STR("/")))
        return concat(arena, without_last(base), path);
    return path.len == 1 ? base : concat(arena, base, path);
}

static struct tp_str join_v1(struct tp_arena *arena, struct tp_str base, struct tp_str path, struct tp_str rest,
                             bool strip)
{
    if (!strip)
        return concat(arena, base, tp_str_from(path, 1));
    if (tp_str_ends(base, TP_STR("/")) && tp_str_starts(rest, TP_STR("/")))
        return concat(arena, base, tp_str_from(rest, 1));
    return concat(arena, base, rest);
}

struct tp_str tp_path_join(struct tp_arena *arena, struct tp_str service_path, struct tp_str request_path,
                           struct tp_str matched, bool strip, bool v1)
{
    struct tp_str base = service_path.len ? service_path : TP_STR("/");
    struct tp_str rest = without_leading_dots(tp_str_from(request_path, matched.data ? matched.len : 1));

    return v1 ? join_v1(arena, base, request_path, rest, strip) : join_v0(arena, base, request_path, rest, strip);
}
