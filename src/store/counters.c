/*
 * Saved counters: the long windows of quotas, so that they outlive the node's shared file.
 */
#include "store/store_priv.h"
#include "turnpike/quota.h"

/* The longest that a window of the period can be; its owner judges the exact end. */
static int64_t longest_s(uint8_t period)
{
    static const int64_t lengths[TP_PERIODS] = {
        [TP_SECOND] = 1,       [TP_MINUTE] = 60,         [TP_HOUR] = 3600,
        [TP_DAY] = 24 * 3600L, [TP_MONTH] = 31 * 86400L, [TP_YEAR] = 366 * 86400L,
    };

    return period < TP_PERIODS ? lengths[period] : 0;
}

static struct tp_str counter_name(const struct tp_saved_counter *counter)
{
    return tp_str_make((const char *)counter->name, sizeof(counter->name));
}

/* A window that is older than the saved one is news from the past: dropped. */
static enum tp_err save_one(struct tp_store *store, const struct tp_saved_counter *counter)
{
    struct tp_query q = tp_query_begin(
        store, "INSERT INTO saved_counters AS old (kind, period, name, window_start, count, ends_at)"
               " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (kind, period, name) DO UPDATE SET"
               " window_start = excluded.window_start, count = excluded.count, ends_at = excluded.ends_at"
               " WHERE excluded.window_start >= old.window_start");

    tp_query_int(&q, counter->table);
    tp_query_int(&q, counter->period);
    tp_query_bytes(&q, counter_name(counter));
    tp_query_int(&q, counter->window_start);
    tp_query_int(&q, (int64_t)counter->count);
    tp_query_int(&q, counter->window_start + longest_s(counter->period));
    return tp_query_defer(&q);
}

static enum tp_err drop_ended(struct tp_store *store)
{
    struct tp_query q = tp_query_begin(store, "DELETE FROM saved_counters WHERE ends_at <= $1");

    tp_query_int(&q, tp_store_now(store));
    return tp_query_run(&q);
}

static int by_key(const void *a, const void *b)
{
    const struct tp_saved_counter *x = *(const struct tp_saved_counter *const *)a;
    const struct tp_saved_counter *y = *(const struct tp_saved_counter *const *)b;

    if (x->table != y->table)
        return x->table < y->table ? -1 : 1;
    if (x->period != y->period)
        return x->period < y->period ? -1 : 1;
    return memcmp(x->name, y->name, sizeof(x->name));
}

/* Nodes that save the same counters take them in the same order, or two of them would wait for each other. */
static enum tp_err save_in_order(struct tp_store *store, const struct tp_saved_counter *counters, size_t n)
{
    const struct tp_saved_counter **order = tp_calloc(n + 1, sizeof(*order));
    enum tp_err err = TP_OK;

    for (size_t i = 0; i < n; i++)
        order[i] = &counters[i];
    qsort(order, n, sizeof(*order), by_key);
    for (size_t i = 0; !err && i < n; i++)
        err = save_one(store, order[i]);
    free(order);
    return err;
}

enum tp_err tp_store_counters_save(struct tp_store *store, const struct tp_saved_counter *counters, size_t n)
{
    bool own;
    enum tp_err err = tp_store_enter(store, &own);

    if (err)
        return err;
    err = save_in_order(store, counters, n);
    if (!err)
        err = drop_ended(store);
    return tp_store_leave(store, own, err);
}

enum tp_err tp_store_counters_load(struct tp_store *store, int64_t now_s, tp_store_counter_fn fn, void *data)
{
    struct tp_query q = tp_query_begin(
        store, "SELECT kind, period, name, window_start, count FROM saved_counters WHERE ends_at > $1");
    bool row;
    enum tp_err err;

    tp_query_int(&q, now_s);
    while (!(err = tp_query_row(&q, &row)) && row) {
        struct tp_str name = tp_query_get_bytes(&q, 2);
        struct tp_saved_counter counter = {
            .table = (uint8_t)tp_query_get_int(&q, 0),
            .period = (uint8_t)tp_query_get_int(&q, 1),
            .window_start = tp_query_get_int(&q, 3),
            .count = (uint64_t)tp_query_get_int(&q, 4),
        };

        if (name.len != sizeof(counter.name))
            continue;
        memcpy(counter.name, name.data, name.len);
        fn(data, &counter);
    }
    tp_query_end(&q);
    return err;
}
