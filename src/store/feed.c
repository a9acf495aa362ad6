/*
 * The change feed. Changes are noted in memory while a transaction runs; its last statements move the clock and
 * write the outbox rows. The clock's row is locked from there to the commit, so numbers are in the order of
 * commits, without gaps.
 */
#include "store/store_priv.h"

#define MAX_TX_ROWS 100000
#define PRUNE_BATCH 20000

/* --- Writing ---------------------------------------------------------------------------------- */

void tp_feed_note(struct tp_store *store, enum tp_feed_op op, const struct tp_entity *entity, const struct tp_uuid *id)
{
    if (store->bulk || store->pending_count == MAX_TX_ROWS)
        store->reread = true;
    if (store->reread)
        return;
    if (store->pending_count == store->pending_cap) {
        store->pending_cap = store->pending_cap ? 2 * store->pending_cap : 16;
        store->pending = tp_realloc(store->pending, store->pending_cap * sizeof(*store->pending));
    }
    store->pending[store->pending_count++] = (struct tp_pending_change){ entity, op, *id };
}

static enum tp_err move_clock(struct tp_store *store, size_t count, uint64_t *last)
{
    struct tp_query q = tp_query_begin(store, "UPDATE feed_clock SET seq = seq + $1 RETURNING seq");
    bool row;
    enum tp_err err;

    tp_query_int(&q, (int64_t)count);
    err = tp_query_row(&q, &row);
    if (!err && !row)
        err = tp_store_fail(store, TP_ERR_DAMAGED, "the feed has no clock");
    if (!err)
        *last = (uint64_t)tp_query_get_int(&q, 0);
    tp_query_end(&q);
    return err;
}

static enum tp_err insert_row(struct tp_store *store, uint64_t seq, uint64_t last,
                              const struct tp_pending_change *change)
{
    struct tp_query q = tp_query_begin(
        store, "INSERT INTO outbox (seq, tx_last, op, entity, id, at) VALUES ($1, $2, $3, $4, $5, $6)");

    tp_query_int(&q, (int64_t)seq);
    tp_query_int(&q, (int64_t)last);
    tp_query_int(&q, change->op);
    tp_query_text(&q, change->entity ? tp_str_from_cstr(change->entity->name) : TP_STR_NULL);
    tp_query_uuid(&q, change->entity ? &change->id : NULL);
    tp_query_int(&q, tp_store_now(store));
    return tp_query_defer(&q);
}

enum tp_err tp_feed_write(struct tp_store *store, uint64_t *clock)
{
    static const struct tp_pending_change reread = { .op = TP_FEED_REREAD };
    const struct tp_pending_change *changes = store->reread ? &reread : store->pending;
    size_t count = store->reread ? 1 : store->pending_count;
    uint64_t last;
    enum tp_err err;

    if (count == 0)
        return TP_OK;
    err = move_clock(store, count, &last);
    for (size_t i = 0; !err && i < count; i++)
        err = insert_row(store, last - count + 1 + i, last, &changes[i]);
    if (!err && store->driver->sql_notify) {
        struct tp_query q = tp_query_begin(store, store->driver->sql_notify);

        err = tp_query_defer(&q);
    }
    if (!err)
        *clock = last;
    return err;
}

/* --- Reading ---------------------------------------------------------------------------------- */

enum tp_err tp_store_position(struct tp_store *store, uint64_t *out)
{
    struct tp_query q = tp_query_begin(store, "SELECT seq FROM feed_clock");
    bool row;
    enum tp_err err = tp_query_row(&q, &row);

    if (!err && !row)
        err = tp_store_fail(store, TP_ERR_DAMAGED, "the feed has no clock");
    if (!err)
        *out = (uint64_t)tp_query_get_int(&q, 0);
    tp_query_end(&q);
    return err;
}

static struct tp_feed_row take_row(struct tp_query *q)
{
    struct tp_feed_row row = {
        .seq = (uint64_t)tp_query_get_int(q, 0),
        .tx_last = (uint64_t)tp_query_get_int(q, 1),
        .op = (enum tp_feed_op)tp_query_get_int(q, 2),
    };
    struct tp_str entity = tp_query_get_text(q, 3);

    if (entity.data && tp_query_get_uuid(q, 4, &row.id))
        row.entity = tp_entity_by_name(entity);
    return row;
}

static enum tp_err fail_gap(struct tp_store *store, uint64_t missing)
{
    return tp_store_fail(store, TP_ERR_NOT_FOUND, "the feed lacks number %llu", (unsigned long long)missing);
}

static enum tp_err read_rows(struct tp_store *store, uint64_t after, size_t max, struct tp_feed_row **rows,
                             size_t *count)
{
    struct tp_query q = tp_query_begin(
        store, "SELECT seq, tx_last, op, entity, id FROM outbox WHERE seq > $1 ORDER BY seq LIMIT $2");
    size_t cap = 0;
    bool row;
    enum tp_err err;

    tp_query_int(&q, (int64_t)after);
    tp_query_int(&q, (int64_t)max);
    while (!(err = tp_query_row(&q, &row)) && row) {
        if (*count == cap) {
            cap = cap ? 2 * cap : 64;
            *rows = tp_realloc(*rows, cap * sizeof(**rows));
        }
        (*rows)[*count] = take_row(&q);
        if ((*rows)[*count].seq != after + *count + 1) {
            err = fail_gap(store, after + *count + 1);
            break;
        }
        (*count)++;
    }
    tp_query_end(&q);
    return err;
}

enum tp_err tp_store_feed(struct tp_store *store, uint64_t after, size_t max, struct tp_feed_row **rows, size_t *count)
{
    struct tp_feed_row *list = NULL;
    uint64_t newest;
    size_t n = 0;
    /* The clock first: a commit between the two reads shows as rows beyond it, never as a gap. */
    enum tp_err err = tp_store_position(store, &newest);

    TP_ASSERT(max > 0);
    if (!err && after > newest)
        err = tp_store_fail(store, TP_ERR_NOT_FOUND, "the feed ends at %llu, before %llu", (unsigned long long)newest,
                            (unsigned long long)after);
    if (!err)
        err = read_rows(store, after, max, &list, &n);
    if (!err && n < max && after + n < newest)
        err = fail_gap(store, after + n + 1);
    if (err) {
        free(list);
        return err;
    }
    *rows = list;
    *count = n;
    return TP_OK;
}

/* --- Pruning ---------------------------------------------------------------------------------- */

static enum tp_err one_number(struct tp_query *q, bool *found, int64_t *out)
{
    enum tp_err err = tp_query_row(q, found);

    *found = *found && !tp_query_is_null(q, 0);
    if (*found)
        *out = tp_query_get_int(q, 0);
    tp_query_end(q);
    return err;
}

/* Rows before *out may go. Stops at the first row that is young enough: a clock that jumped costs nothing. */
static enum tp_err prune_limit(struct tp_store *store, uint64_t keep_rows, int64_t older_than_s, int64_t *out)
{
    struct tp_query q;
    uint64_t newest;
    bool found;
    enum tp_err err = tp_store_position(store, &newest);

    if (err)
        return err;
    *out = (int64_t)newest + 1;
    q = tp_query_begin(store, "SELECT seq FROM outbox WHERE at >= $1 ORDER BY seq LIMIT 1");
    tp_query_int(&q, tp_store_now(store) - older_than_s);
    err = one_number(&q, &found, out);
    if (newest > keep_rows && *out < (int64_t)(newest - keep_rows + 1))
        *out = (int64_t)(newest - keep_rows + 1);
    return err;
}

static enum tp_err prune_before(struct tp_store *store, int64_t limit)
{
    bool own;
    enum tp_err err = tp_store_enter(store, &own);

    if (!err) {
        struct tp_query q = tp_query_begin(store, "DELETE FROM outbox WHERE seq < $1");

        tp_query_int(&q, limit);
        err = tp_store_leave(store, own, tp_query_run(&q));
    }
    return err;
}

enum tp_err tp_store_prune(struct tp_store *store, uint64_t keep_rows, int64_t older_than_s)
{
    struct tp_query q;
    int64_t limit = 0, oldest = 0;
    bool found = false;
    enum tp_err err = prune_limit(store, keep_rows, older_than_s, &limit);

    if (err)
        return err;
    q = tp_query_begin(store, "SELECT MIN(seq) FROM outbox");
    err = one_number(&q, &found, &oldest);
    while (!err && found && oldest < limit) {
        oldest = limit - oldest > PRUNE_BATCH ? oldest + PRUNE_BATCH : limit;
        err = prune_before(store, oldest);
    }
    return err;
}
