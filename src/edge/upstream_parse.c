/* Parsing of an upstream's head: upstream_parse.h. */
#include "edge/upstream_parse.h"

enum {
    MAX_CONNECTION_TOKENS = 32, /* names in Connection that are looked at; more is no honest server */
};

void tp_edge_head_reset(struct tp_edge_head *head)
{
    *head = (struct tp_edge_head){ .content_length = -1 };
}

enum tp_err tp_edge_head_scan(struct tp_edge_head *head, struct tp_str in, size_t *size)
{
    for (;;) {
        struct tp_str rest = tp_str_from(in, head->scanned);
        const char *newline = rest.len ? memchr(rest.data, '\n', rest.len) : NULL;
        size_t length;

        if (!newline)
            return TP_ERR_AGAIN;
        length = (size_t)(newline - rest.data);
        head->scanned += length + 1;
        if (length == 0 || (length == 1 && rest.data[0] == '\r')) {
            *size = head->scanned;
            return TP_OK;
        }
        head->lines++;
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The text from `start` to the newline, without its end. */
static struct tp_str line_to(const char *start, const char *newline)
{
    size_t len = (size_t)(newline - start);

    return tp_str_make(start, len && start[len - 1] == '\r' ? len - 1 : len);
}

/*
 * "HTTP/1.1 200 OK" (RFC 9112 §4); the text behind the code may be missing with its space. Some newline before `end`
 * ends it. Returns what is behind the line, or NULL.
 */
static const char *parse_status_line(struct tp_edge_head *head, const char *p, const char *end)
{
    const char *newline = memchr(p, '\n', (size_t)(end - p));
    struct tp_str line = line_to(p, newline);

    if (line.len < 12 || memcmp(p, "HTTP/1.", 7) != 0 || !is_digit(p[7]) || p[8] != ' ')
        return NULL;
    if (!is_digit(p[9]) || !is_digit(p[10]) || !is_digit(p[11]) || (line.len > 12 && p[12] != ' '))
        return NULL;
    head->version = p[7] == '0' ? 10 : 11;
    head->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
    head->status_text = tp_str_from(line, 9);
    head->close = head->version == 10;
    return head->status >= 100 && memchr(p, '\r', line.len) == NULL ? newline + 1 : NULL;
}

/* Characters of a header's name (RFC 9110 §5.6.2). */
static const bool token_chars[256] = {
    ['!'] = true, ['#'] = true, ['$'] = true, ['%'] = true,         ['&'] = true,         ['\''] = true,
    ['*'] = true, ['+'] = true, ['-'] = true, ['.'] = true,         ['^'] = true,         ['_'] = true,
    ['`'] = true, ['|'] = true, ['~'] = true, ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/*
 * A header's line from `p`, which some newline before `end` ends; that newline is no part of a name, so the name needs
 * no other bound. Returns what is behind the line; NULL: not a header.
 */
static const char *parse_header(const char *p, const char *end, struct tp_header *out)
{
    const char *start = p, *newline;
    struct tp_str value;

    while (token_chars[(unsigned char)*p])
        p++;
    if (p == start || *p != ':')
        return NULL;
    out->name = tp_str_make(start, (size_t)(p - start));
    for (p++; is_blank(*p);)
        p++;
    newline = memchr(p, '\n', (size_t)(end - p));
    value = line_to(p, newline);
    if (memchr(value.data, '\r', value.len))
        return NULL;
    while (value.len && is_blank(value.data[value.len - 1]))
        value.len--;
    out->value = value;
    return newline + 1;
}

/* What Connection names, over all its lines. */
struct hop_names {
    struct tp_str names[MAX_CONNECTION_TOKENS];
    size_t count;
};

static bool read_connection(struct tp_edge_head *head, struct hop_names *hops, struct tp_str value)
{
    struct tp_str token;

    if (tp_str_eq(value, TP_STR("keep-alive"))) { /* what nearly all send */
        head->close = false;
        return true;
    }
    while (tp_str_next(&value, ',', &token)) {
        token = tp_str_trim(token);
        if (tp_str_eq_nocase(token, TP_STR("close"))) {
            head->close = true;
        } else if (tp_str_eq_nocase(token, TP_STR("keep-alive"))) {
            head->close = false;
        } else if (token.len && !tp_str_eq_nocase(token, TP_STR("upgrade"))) {
            if (hops->count == MAX_CONNECTION_TOKENS)
                return false;
            hops->names[hops->count++] = token;
        }
    }
    return true;
}

/*
 * Length and framing decide where this answer ends and the next one begins, so anything ambiguous is refused
 * (RFC 9112 §6.3): two lengths, a length beside a transfer coding, a coding we do not know.
 */
static bool read_length(struct tp_edge_head *head, struct tp_str value)
{
    int64_t length;

    if (head->content_length >= 0 || !value.len || !is_digit(value.data[0]) || !tp_str_to_i64(value, &length))
        return false;
    head->content_length = length;
    return true;
}

static bool read_transfer_encoding(struct tp_edge_head *head, struct tp_str value)
{
    if (head->chunked || !tp_str_eq_nocase(value, TP_STR("chunked")))
        return false;
    head->chunked = true;
    return true;
}

enum header_verdict { HEADER_KEEP, HEADER_DROP, HEADER_BAD };

static enum header_verdict judge(bool ok, enum header_verdict when_ok)
{
    return ok ? when_ok : HEADER_BAD;
}

#define IS(header, literal) tp_str_eq_nocase((header)->name, TP_STR(literal))

/* By length first: nearly all headers need no comparison at all. */
static enum header_verdict read_known(struct tp_edge_head *head, struct hop_names *hops, const struct tp_header *h)
{
    switch (h->name.len) {
    case 5: return IS(h, "X-Pad") ? HEADER_DROP : HEADER_KEEP;
    case 7:
        if (!IS(h, "Upgrade"))
            return HEADER_KEEP;
        head->upgrade_websocket = tp_str_eq_nocase(h->value, TP_STR("websocket"));
        return head->status == 101 ? HEADER_KEEP : HEADER_DROP;
    case 10:
        if (IS(h, "Connection"))
            return judge(read_connection(head, hops, h->value), HEADER_DROP);
        return IS(h, "Keep-Alive") ? HEADER_DROP : HEADER_KEEP;
    case 14:
        if (IS(h, "Content-Length"))
            return judge(read_length(head, h->value), HEADER_KEEP);
        break;
    case 16:
        if (IS(h, "Proxy-Connection"))
            return HEADER_DROP;
        break;
    case 17:
        if (IS(h, "Transfer-Encoding"))
            return judge(read_transfer_encoding(head, h->value), HEADER_DROP);
        break;
    default: break;
    }
    return h->name.len > 8 && h->name.data[1] == '-' && tp_str_starts_nocase(h->name, TP_STR("x-accel-")) ? HEADER_DROP
                                                                                                          : HEADER_KEEP;
}

static size_t drop_hops(const struct hop_names *hops, struct tp_header *headers, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        bool drop = false;

        for (size_t j = 0; j < hops->count && !drop; j++)
            drop = tp_str_eq_nocase(headers[i].name, hops->names[j]);
        /* framing is ours to judge: Connection cannot name it away */
        if (!drop || tp_str_eq_nocase(headers[i].name, TP_STR("content-length")))
            headers[kept++] = headers[i];
    }
    return kept;
}

static bool is_last_line(const char *p)
{
    return p[0] == '\n' || (p[0] == '\r' && p[1] == '\n');
}

enum tp_err tp_edge_head_parse(struct tp_edge_head *head, struct tp_str text, struct tp_header *headers,
                               size_t capacity, size_t *count)
{
    const char *p = text.data, *end = text.data + text.len;
    struct hop_names hops;
    size_t n = 0;

    hops.count = 0;
    if (text.len == 0 || end[-1] != '\n' || memchr(p, '\0', text.len))
        return TP_ERR_INVALID;
    p = parse_status_line(head, p, end);
    if (!p)
        return TP_ERR_INVALID;
    while (p < end && !is_last_line(p)) {
        if (n == capacity)
            return TP_ERR_INVALID;
        p = parse_header(p, end, &headers[n]);
        if (!p)
            return TP_ERR_INVALID;
        switch (read_known(head, &hops, &headers[n])) {
        case HEADER_BAD: return TP_ERR_INVALID;
        case HEADER_KEEP: n++; break;
        case HEADER_DROP: break;
        }
    }
    if (head->chunked && (head->content_length >= 0 || head->version == 10))
        return TP_ERR_INVALID;
    *count = hops.count ? drop_hops(&hops, headers, n) : n;
    return TP_OK;
}
