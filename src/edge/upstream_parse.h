/*
 * The head of an HTTP/1.x answer, as hostile bytes. Knows no nginx and no I/O: unit tests and fuzzers drive it.
 *
 * Two steps: tp_edge_head_scan looks for the end of the head (call it again when more has arrived), then
 * tp_edge_head_parse cuts the whole head into headers, which borrow its bytes.
 */
#ifndef TP_EDGE_UPSTREAM_PARSE_H
#define TP_EDGE_UPSTREAM_PARSE_H

#include "turnpike/err.h"
#include "turnpike/request.h"

struct tp_edge_head {
    /* The scan. */
    size_t scanned; /* complete lines end here */
    size_t lines;   /* in them: an upper bound of the headers */

    /* The outcome. */
    int version;               /* 10 or 11 */
    int status;                /* 100 … 999 */
    struct tp_str status_text; /* "200 OK" */
    int64_t content_length;    /* -1: not given */
    bool chunked;
    bool close; /* the connection must not be used again */
    bool upgrade_websocket;
};

/* Forget everything: before an answer, and after each interim one. */
void tp_edge_head_reset(struct tp_edge_head *head);

/*
 * Look for the empty line. TP_OK: *size bytes of `in` are the head with its empty line. TP_ERR_AGAIN: not there yet;
 * call with the same bytes and more behind them.
 */
enum tp_err tp_edge_head_scan(struct tp_edge_head *head, struct tp_str in, size_t *size);

/*
 * Parse the head. `headers` has room for `capacity` ≥ head->lines. Hop-by-hop headers are taken out: those named by
 * Connection, Keep-Alive, Transfer-Encoding, Proxy-Connection, X-Accel-*, X-Pad; Upgrade unless it is the answer
 * to a websocket request (status 101). TP_ERR_INVALID: not an answer to go on with.
 */
enum tp_err tp_edge_head_parse(struct tp_edge_head *head, struct tp_str text, struct tp_header *headers,
                               size_t capacity, size_t *count);

#endif
