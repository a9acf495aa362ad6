/*
 * Long quota windows between the shared file and the store: saved every few seconds and at the end, put back when the
 * shared file is new. One thread at a time.
 */
#ifndef TP_CONTROL_COUNTERS_SAVE_H
#define TP_CONTROL_COUNTERS_SAVE_H

#include "quota/counters.h"
#include "store/store.h"

struct tp_counter_saver;

/* `counters` is borrowed and outlives it. */
struct tp_counter_saver *tp_counter_saver_new(struct tp_counters *counters);
void tp_counter_saver_free(struct tp_counter_saver *saver);

/*
 * Write what changed since the last call, in transactions of bounded size. What could not be written is kept and
 * tried again by the next call. *saved (may be NULL): how many windows.
 */
enum tp_err tp_counter_saver_run(struct tp_counter_saver *saver, struct tp_store *store, size_t *saved);

/* Put the saved windows that still run back. */
enum tp_err tp_counter_saver_restore(struct tp_counter_saver *saver, struct tp_store *store, int64_t now_s,
                                     size_t *restored);

#endif
