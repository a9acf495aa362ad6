/*
 * Building the program off the event loop: one at a time in nginx's thread pool "turnpike", the result swapped in on
 * the event loop.
 */
#ifndef TP_EDGE_REBUILD_H
#define TP_EDGE_REBUILD_H

#include "edge/edge.h"

struct tp_edge_rebuild;

/* on_done runs on the event loop after each build: whether it worked, and it is swapped in then. */
struct tp_edge_rebuild *tp_edge_rebuild_new(struct tp_edge_worker *worker, void (*on_done)(void *data, bool ok),
                                            void *data);
void tp_edge_rebuild_free(struct tp_edge_rebuild *rebuild);

bool tp_edge_rebuild_is_running(const struct tp_edge_rebuild *rebuild);
/* How long the last one took. */
ngx_msec_t tp_edge_rebuild_took_ms(const struct tp_edge_rebuild *rebuild);
/* Not while one runs. False: the thread pool's queue is full. */
bool tp_edge_rebuild_start(struct tp_edge_rebuild *rebuild);

/* The same at once, in init_process. */
bool tp_edge_rebuild_now(struct tp_edge_worker *worker);

#endif
