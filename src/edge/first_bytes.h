/*
 * What a client's first bytes are the beginning of. Knows no nginx; all input is hostile.
 */
#ifndef TP_EDGE_FIRST_BYTES_H
#define TP_EDGE_FIRST_BYTES_H

#include "turnpike/str.h"

enum tp_edge_first {
    TP_EDGE_FIRST_MORE,     /* may become one or the other: wait for more */
    TP_EDGE_FIRST_HTTP1,    /* or garbage that its parser refuses */
    TP_EDGE_FIRST_HTTP2,    /* the preface of prior knowledge */
    TP_EDGE_FIRST_NO_PROXY, /* a PROXY header was due and is not there */
};

/* `proxy_protocol`: a PROXY header, version 1 or 2, stands before them. */
enum tp_edge_first tp_edge_first_bytes(struct tp_str bytes, bool proxy_protocol);

#endif
