/* HTTP/2's preface and PROXY headers: first_bytes.h. */
#include "edge/first_bytes.h"

enum {
    V1_MAX_BYTES = 107,  /* of a PROXY header of version 1, with CR LF */
    V2_HEAD_BYTES = 16,  /* signature, version, family, length */
    V2_MAX_BYTES = 1024, /* nginx reads it into the buffer of a request's head */
};

/* Whether the bytes are `mark`, or the beginning of it. */
static bool may_start(struct tp_str bytes, struct tp_str mark)
{
    size_t len = bytes.len < mark.len ? bytes.len : mark.len;

    return tp_str_eq(tp_str_head(bytes, len), tp_str_head(mark, len));
}

/* Size of the PROXY header in *size. HTTP1: it is there. */
static enum tp_edge_first proxy_header(struct tp_str bytes, size_t *size)
{
    static const struct tp_str v1 = { "PROXY ", 6 }, v2 = { "\r\n\r\n\0\r\nQUIT\n", 12 };

    if (may_start(bytes, v1)) {
        ptrdiff_t end = tp_str_chr(tp_str_head(bytes, bytes.len < V1_MAX_BYTES ? bytes.len : V1_MAX_BYTES), '\n');

        *size = (size_t)end + 1;
        if (end >= 0)
            return TP_EDGE_FIRST_HTTP1;
        return bytes.len < V1_MAX_BYTES ? TP_EDGE_FIRST_MORE : TP_EDGE_FIRST_NO_PROXY;
    }
    if (!may_start(bytes, v2))
        return TP_EDGE_FIRST_NO_PROXY;
    if (bytes.len < V2_HEAD_BYTES)
        return TP_EDGE_FIRST_MORE;
    *size = V2_HEAD_BYTES + ((size_t)(unsigned char)bytes.data[14] << 8 | (unsigned char)bytes.data[15]);
    if (*size > V2_MAX_BYTES)
        return TP_EDGE_FIRST_NO_PROXY;
    return bytes.len < *size ? TP_EDGE_FIRST_MORE : TP_EDGE_FIRST_HTTP1;
}

enum tp_edge_first tp_edge_first_bytes(struct tp_str bytes, bool proxy_protocol)
{
    static const struct tp_str preface = { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24 };
    enum tp_edge_first proxy;
    size_t size = 0;

    if (proxy_protocol) {
        proxy = proxy_header(bytes, &size);
        if (proxy != TP_EDGE_FIRST_HTTP1)
            return proxy;
    }
    bytes = tp_str_from(bytes, size);
    if (!may_start(bytes, preface))
        return TP_EDGE_FIRST_HTTP1;
    return bytes.len < preface.len ? TP_EDGE_FIRST_MORE : TP_EDGE_FIRST_HTTP2;
}
