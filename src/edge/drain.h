/*
 * A worker that was told to quit leaves without losing a request.
 *
 * nginx closes idle keep-alive connections the moment it hears QUIT, and resets whatever is on its way to them. So the
 * word is held back for a while:
 *
 *   serving ──QUIT (master's, or the master died)──► draining ──no idle clients, or drain_idle over──► nginx's own QUIT
 *
 * While draining the worker accepts nothing (the next generation does, from the same sockets), and every answer says
 * "Connection: close"; HTTP/2 clients get a GOAWAY with their next request. Requests under way have all the time that
 * the supervisor gives.
 */
#ifndef TP_EDGE_DRAIN_H
#define TP_EDGE_DRAIN_H

#include "edge/edge.h"

/* In init_process of a worker: from now on its QUIT is ours. The worker must stay until exit_process. */
void tp_edge_drain_watch(struct tp_edge_worker *worker);

#endif
