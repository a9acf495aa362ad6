/* See path_check.h, and tp_check_path in turnpike/field.h. Normal form: routing.md §2. */
#include "model/path_check.h"

#include "base/buf.h"
#include "base/hex.h"
#include "model/regex_check.h"
#include "turnpike/field.h"

#include <ctype.h>
#include <stdio.h>

static bool is_path_char(char c)
{
    return (isalnum((unsigned char)c) && (unsigned char)c < 128) || (c && strchr("._~/%:@!$&'()*+,;=-", c));
}

static bool is_path_text(struct tp_str path)
{
    if (path.len == 0 || path.data[0] != '/')
        return false;
    for (size_t i = 0; i < path.len; i++) {
        if (!is_path_char(path.data[i]))
            return false;
    }
    return true;
}

/* The byte that an escape at `at` stands for; -1: there is none. */
static int escaped_byte(struct tp_str path, size_t at)
{
    int high, low;

    if (at + 2 >= path.len || path.data[at] != '%')
        return -1;
    high = tp_hex_value(path.data[at + 1]);
    low = tp_hex_value(path.data[at + 2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* Every '%' is followed by two hex digits. */
static bool check_escapes(struct tp_str path, char *message, size_t size)
{
    for (size_t i = 0; i < path.len; i++) {
        if (path.data[i] != '%')
            continue;
        if (escaped_byte(path, i) >= 0) {
            i += 2;
            continue;
        }
        snprintf(message, size, "invalid url-encoded value: '%.*s'", TP_STR_ARG(tp_str_head(tp_str_from(path, i), 3)));
        return false;
    }
    return true;
}

bool tp_check_path(struct tp_str value, char *message, size_t size)
{
    if (!is_path_text(value)) {
        snprintf(message, size, "invalid path: '%.*s' (characters outside of the reserved list of RFC 3986 found)",
                 TP_STR_ARG(value));
        return false;
    }
    return check_escapes(value, message, size);
}

/* --- Normal form ------------------------------------------------------------------------------ */

/* %XX decoded unless the byte is reserved; those keep the escape, in upper case. */
static void unescape(struct tp_buf *out, struct tp_str path)
{
    for (size_t i = 0; i < path.len; i++) {
        int byte = escaped_byte(path, i);

        if (byte < 0) {
            tp_buf_add_char(out, path.data[i]);
            continue;
        }
        if (byte && strchr("!*'();:@&=+$,/?%#[]", byte))
            tp_buf_addf(out, "%%%02X", byte);
        else
            tp_buf_add_char(out, (char)byte);
        i += 2;
    }
}

static void drop_last_segment(struct tp_buf *out)
{
    while (out->len > 1 && out->data[out->len - 1] != '/')
        out->len--;
    if (out->len > 1)
        out->len--;
    while (out->len > 1 && out->data[out->len - 1] != '/')
        out->len--;
}

/* Dot segments removed, runs of '/' merged. `path` starts with '/'. */
static void resolve(struct tp_buf *out, struct tp_str path)
{
    struct tp_str rest = tp_str_from(path, 1), segment;

    tp_buf_add_char(out, '/'); /* from here on `out` ends with '/', until the last segment */
    while (tp_str_next(&rest, '/', &segment)) {
        if (tp_str_eq(segment, TP_STR("..")))
            drop_last_segment(out);
        else if (segment.len > 0 && !tp_str_eq(segment, TP_STR("."))) {
            tp_buf_add(out, segment);
            if (rest.data)
                tp_buf_add_char(out, '/');
        }
    }
}

static bool check_normal(struct tp_str path, char *message, size_t size)
{
    struct tp_buf plain, normal;
    bool same;

    tp_buf_init(&plain, 0);
    tp_buf_init(&normal, 0);
    unescape(&plain, path);
    resolve(&normal, tp_buf_str(&plain));
    same = tp_str_eq(tp_buf_str(&normal), path);
    if (!same)
        snprintf(message, size, "non-normalized path, consider use '%.*s' instead", TP_STR_ARG(tp_buf_str(&normal)));
    tp_buf_fini(&plain);
    tp_buf_fini(&normal);
    return same;
}

bool tp_check_route_path(struct tp_str value, char *message, size_t size)
{
    char reason[2048];
    struct tp_str regex;

    /* Other characters than RFC 3986 has are allowed here; escapes are judged only where they are escapes. */
    if (is_path_text(value) && !check_escapes(value, message, size))
        return false;
    if (value.data[0] != '~')
        return check_normal(value, message, size);
    regex = tp_str_from(value, 1);
    if (tp_regex_compiles(regex, reason, sizeof(reason)))
        return true;
    snprintf(message, size, "invalid regex: '%.*s' (PCRE returned: %s)", TP_STR_ARG(regex), reason);
    return false;
}
