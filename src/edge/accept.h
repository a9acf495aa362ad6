/*
 * A client's connection between accept and nginx's first look at its bytes. Three things happen here:
 *
 * - Its log context is ours: nginx's prints the request line and the Referer as sent, and keys travel in them.
 * - HTTP/2 without TLS shares the port with HTTP/1.1: the first bytes decide (prior knowledge, RFC 9113 §3.3). As in
 *   Kong it is on for all plain proxy listeners as soon as one listener has the flag `http2`.
 * - Where a PROXY header is due, what is something else is closed without a word: nginx would log it, key and all.
 */
#ifndef TP_EDGE_ACCEPT_H
#define TP_EDGE_ACCEPT_H

#include "edge/edge.h"

/* In postconfiguration, while nginx still knows its listeners' flags: whether some proxy listener has `http2`. */
bool tp_edge_accept_wants_http2(ngx_conf_t *cf);

/* In init_process, before the first accept. */
void tp_edge_accept_watch(ngx_cycle_t *cycle);

#endif
