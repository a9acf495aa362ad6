/* Parts of a multipart body: multipart.h. */
#include "control/admin/multipart.h"

#define BOUNDARY_MAX 200     /* RFC 2046 allows 70 */
#define HEADER_LINE_MAX 8192 /* longer ones are passed over: reading parameters is not linear */

/* Take a value off *rest, quoted or not, up to the next ';' or the end. A quote that is not closed ends there too. */
static struct tp_str take_value(struct tp_str *rest)
{
    struct tp_str value;
    size_t n = 0;

    *rest = tp_str_trim(*rest);
    if (!rest->len || rest->data[0] != '"') {
        ptrdiff_t end = tp_str_chr(*rest, ';');

        value = end < 0 ? *rest : tp_str_head(*rest, (size_t)end);
        *rest = tp_str_from(*rest, value.len);
        return tp_str_trim(value);
    }
    *rest = tp_str_from(*rest, 1);
    while (n < rest->len && rest->data[n] != '"')
        n += rest->data[n] == '\\' && n + 1 < rest->len ? 2 : 1;
    value = tp_str_head(*rest, n);
    *rest = tp_str_from(*rest, n);
    return value;
}

/* The parameter `name` of a header value: name=token or name="quoted". data NULL when absent. */
static struct tp_str parameter(struct tp_str header, struct tp_str name)
{
    struct tp_str rest = header;

    for (;;) {
        ptrdiff_t end = tp_str_chr(rest, ';');
        ptrdiff_t equals;
        struct tp_str found, value;

        if (end < 0)
            return TP_STR_NULL;
        rest = tp_str_from(rest, (size_t)end + 1);
        equals = tp_str_chr(rest, '=');
        if (equals < 0)
            return TP_STR_NULL;
        found = tp_str_trim(tp_str_head(rest, (size_t)equals));
        if (tp_str_chr(found, ';') >= 0)
            continue; /* a parameter without a value stands before */
        rest = tp_str_from(rest, (size_t)equals + 1);
        value = take_value(&rest);
        if (tp_str_eq_nocase(found, name))
            return value;
    }
}

struct tp_str tp_multipart_boundary(struct tp_str content_type)
{
    struct tp_str boundary = parameter(content_type, TP_STR("boundary"));

    return boundary.len && boundary.len <= BOUNDARY_MAX ? boundary : TP_STR_NULL;
}

void tp_multipart_init(struct tp_multipart *mp, struct tp_str body, struct tp_str boundary)
{
    *mp = (struct tp_multipart){ .rest = body, .boundary = boundary };
}

/* Position of the next "--boundary" at the start of a line, or -1. */
static ptrdiff_t find_delimiter(struct tp_str text, struct tp_str boundary)
{
    struct tp_str rest = text;

    for (;;) {
        ptrdiff_t at = tp_str_find(rest, boundary);
        size_t from_start;

        if (at < 0)
            return -1;
        from_start = (size_t)(rest.data - text.data) + (size_t)at;
        if (from_start >= 2 && memcmp(text.data + from_start - 2, "--", 2) == 0 &&
            (from_start == 2 || text.data[from_start - 3] == '\n'))
            return (ptrdiff_t)from_start - 2;
        rest = tp_str_from(rest, (size_t)at + 1);
    }
}

/* Take one line off *rest, without its line end. */
static struct tp_str take_line(struct tp_str *rest)
{
    struct tp_str line;

    tp_str_next(rest, '\n', &line);
    if (!rest->data)
        *rest = TP_STR("");
    if (tp_str_ends(line, TP_STR("\r")))
        line.len--;
    return line;
}

static struct tp_str header_value(struct tp_str line, struct tp_str name)
{
    if (!tp_str_starts_nocase(line, name) || line.len <= name.len || line.data[name.len] != ':')
        return TP_STR_NULL;
    return tp_str_trim(tp_str_from(line, name.len + 1));
}

/* Everything between two delimiter lines. */
static void parse_part(struct tp_str text, struct tp_multipart_part *part)
{
    *part = (struct tp_multipart_part){ 0 };
    while (text.len) {
        struct tp_str line = take_line(&text), value;

        if (!line.len)
            break;
        if (line.len > HEADER_LINE_MAX)
            continue;
        value = header_value(line, TP_STR("Content-Disposition"));
        if (value.data)
            part->name = parameter(value, TP_STR("name"));
        value = header_value(line, TP_STR("Content-Type"));
        if (value.data)
            part->content_type = value;
    }
    /* The line end before the delimiter belongs to the delimiter. */
    if (tp_str_ends(text, TP_STR("\r\n")))
        text.len -= 2;
    else if (tp_str_ends(text, TP_STR("\n")))
        text.len--;
    part->value = text;
}

bool tp_multipart_next(struct tp_multipart *mp, struct tp_multipart_part *part)
{
    if (!mp->boundary.len)
        return false;
    for (;;) {
        ptrdiff_t at = find_delimiter(mp->rest, mp->boundary);
        struct tp_str text;

        if (at < 0)
            return false; /* the last delimiter, or a body cut short: its last part is not whole */
        text = tp_str_head(mp->rest, (size_t)at);
        mp->rest = tp_str_from(mp->rest, (size_t)at + 2 + mp->boundary.len);
        if (tp_str_starts(mp->rest, TP_STR("--")))
            mp->rest = TP_STR("");
        take_line(&mp->rest);
        if (!mp->started) {
            mp->started = true;
            continue;
        }
        parse_part(text, part);
        if (part->name.len)
            return true;
    }
}
