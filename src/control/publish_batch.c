/*
 * The feed tells which rows changed, never what they hold: their present state is read from the store, in the same
 * snapshot, so that telling twice does no harm.
 */
#include "control/publish_batch.h"

#include "base/mem.h"

#define BATCH_ROWS 1000
#define BATCH_ROWS_MAX 128000 /* a larger transaction is cheaper to rebuild than to apply */

void tp_batch_fini(struct tp_batch *batch)
{
    for (size_t i = 0; i < batch->change_count; i++)
        json_decref((json_t *)batch->changes[i].value);
    free(batch->changes);
    free(batch->rows);
}

/* Rows of transactions that are in the batch to their end. */
static size_t whole_transactions(const struct tp_feed_row *rows, size_t count)
{
    while (count > 0 && rows[count - 1].seq != rows[count - 1].tx_last)
        count--;
    return count;
}

/* TP_ERR_NOT_FOUND: the feed cannot bring us there; rebuild. */
static enum tp_err read_feed(struct tp_batch *batch, struct tp_store *store, uint64_t after)
{
    for (size_t max = BATCH_ROWS; max <= BATCH_ROWS_MAX; max *= 2) {
        size_t got;
        enum tp_err err = tp_store_feed(store, after, max, &batch->rows, &got);

        if (err)
            return err;
        batch->count = whole_transactions(batch->rows, got);
        if (batch->count > 0 || got == 0)
            return TP_OK;
        free(batch->rows);
        batch->rows = NULL;
    }
    return TP_ERR_NOT_FOUND;
}

static int compare_changes(const void *x, const void *y)
{
    const struct tp_feed_row *a = *(const struct tp_feed_row *const *)x, *b = *(const struct tp_feed_row *const *)y;
    int order = tp_uuid_cmp(&a->id, &b->id);

    if (order == 0)
        order = strcmp(a->entity->name, b->entity->name);
    if (order == 0)
        order = a->seq < b->seq ? -1 : 1;
    return order;
}

static int compare_sequence(const void *x, const void *y)
{
    const struct tp_feed_row *a = *(const struct tp_feed_row *const *)x, *b = *(const struct tp_feed_row *const *)y;

    return a->seq < b->seq ? -1 : a->seq > b->seq;
}

/* The rows that matter to the read model, each entity once (its last mention), in the order of the feed. */
static size_t distinct_rows(const struct tp_batch *batch, const struct tp_feed_row **out)
{
    size_t n = 0, kept = 0;

    for (size_t i = 0; i < batch->count; i++) {
        if (batch->rows[i].entity && tp_read_model_keeps(batch->rows[i].entity->name))
            out[n++] = &batch->rows[i];
    }
    qsort(out, n, sizeof(*out), compare_changes);
    for (size_t i = 0; i < n; i++) {
        if (i + 1 == n || out[i]->entity != out[i + 1]->entity || !tp_uuid_eq(&out[i]->id, &out[i + 1]->id))
            out[kept++] = out[i];
    }
    qsort(out, kept, sizeof(*out), compare_sequence);
    return kept;
}

/* The present state of every row of the batch. */
static enum tp_err read_changes(struct tp_batch *batch, struct tp_store *store)
{
    const struct tp_feed_row **rows = tp_calloc(batch->count, sizeof(*rows));
    size_t count = distinct_rows(batch, rows);
    enum tp_err err = TP_OK;

    batch->changes = tp_calloc(count ? count : 1, sizeof(*batch->changes));
    for (size_t i = 0; i < count && !err; i++) {
        struct tp_change *change = &batch->changes[batch->change_count++];
        json_t *value = NULL;

        *change = (struct tp_change){ rows[i]->entity->name, rows[i]->id, NULL };
        err = tp_store_get(store, rows[i]->entity, &rows[i]->id, &value);
        change->value = value;
        if (err == TP_ERR_NOT_FOUND)
            err = TP_OK; /* deleted */
    }
    free(rows);
    return err;
}

static bool asks_for_reread(const struct tp_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->rows[i].op == TP_FEED_REREAD)
            return true;
    }
    return false;
}

enum tp_err tp_batch_read(struct tp_batch *batch, struct tp_store *store, uint64_t after)
{
    enum tp_err err = tp_store_begin_read(store);

    *batch = (struct tp_batch){ 0 };
    if (!err)
        err = read_feed(batch, store, after);
    if (!err && asks_for_reread(batch))
        err = TP_ERR_NOT_FOUND;
    else if (!err && batch->count > 0)
        err = read_changes(batch, store);
    tp_store_rollback(store);
    return err;
}
