/*
 * Byte streams for the gateway (Redis, LDAP, tcp-log) on nginx's events: gateway/engine.h has the contract.
 */
#ifndef TP_EDGE_CONN_H
#define TP_EDGE_CONN_H

#include "edge/edge.h"

enum tp_err tp_edge_conn_open(struct tp_engine *engine, struct tp_conn **out, const struct tp_conn_options *options,
                              const struct tp_conn_events *events, void *data);
enum tp_err tp_edge_conn_write(struct tp_conn *conn, struct tp_str bytes);
void tp_edge_conn_close(struct tp_conn *conn);

#endif
