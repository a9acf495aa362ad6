/* The memory engine's connections and timers; engine_mem.c uses them as operations. */
#ifndef TESTS_SUPPORT_ENGINE_MEM_IO_H
#define TESTS_SUPPORT_ENGINE_MEM_IO_H

#include "support/engine_mem.h"

enum tp_err mem_conn_open(struct tp_engine *engine, struct tp_conn **out, const struct tp_conn_options *options,
                          const struct tp_conn_events *events, void *data);
enum tp_err mem_conn_write(struct tp_conn *conn, struct tp_str bytes);
void mem_conn_close(struct tp_conn *conn);
void mem_conns_free(struct engine_mem *e);

void *mem_timer_start(struct tp_engine *engine, int64_t delay_ms, void (*fn)(void *data), void *data);
void mem_timer_stop(struct tp_engine *engine, void *timer);
void mem_timers_fire(struct engine_mem *e); /* all that are due */

#endif
