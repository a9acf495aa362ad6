/*
 * A piece of the feed, as the publisher applies it: whole SQL transactions, each row that they changed once, with its
 * present state.
 */
#ifndef TP_CONTROL_PUBLISH_BATCH_H
#define TP_CONTROL_PUBLISH_BATCH_H

#include "plan/read_model.h"
#include "store/store.h"

struct tp_batch {
    struct tp_feed_row *rows;
    size_t count; /* 0: there is nothing new */
    struct tp_change *changes;
    size_t change_count;
};

/*
 * Read what comes behind position `after`, feed and rows from one snapshot. TP_ERR_NOT_FOUND: the feed cannot bring us
 * there (pruned, a re-read asked for, a transaction too large to apply): rebuild. In any case *batch is filled or
 * empty, to be released with tp_batch_fini.
 */
enum tp_err tp_batch_read(struct tp_batch *batch, struct tp_store *store, uint64_t after);
void tp_batch_fini(struct tp_batch *batch);

#endif
