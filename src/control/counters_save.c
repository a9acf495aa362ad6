/* Saving and restoring of counters: counters_save.h. */
#include "control/counters_save.h"

#include "base/mem.h"

#define BATCH 2048 /* windows a transaction: others may write in between */

struct tp_counter_saver {
    struct tp_counters *counters;
    /* A batch that was taken from the table, where it counts as saved, and is not in the store yet. */
    struct tp_saved_counter batch[BATCH];
    size_t count;
};

struct tp_counter_saver *tp_counter_saver_new(struct tp_counters *counters)
{
    struct tp_counter_saver *saver = tp_new(struct tp_counter_saver);

    saver->counters = counters;
    return saver;
}

void tp_counter_saver_free(struct tp_counter_saver *saver)
{
    free(saver);
}

static enum tp_err write_batch(struct tp_counter_saver *saver, struct tp_store *store)
{
    enum tp_err err;

    if (saver->count == 0)
        return TP_OK;
    err = tp_store_counters_save(store, saver->batch, saver->count);
    if (!err)
        saver->count = 0;
    return err;
}

/* The next changed windows; false when all were seen. */
static bool take_batch(struct tp_counter_saver *saver, uint64_t *cursor)
{
    struct tp_counter_image images[256];
    size_t n;

    while (saver->count + 256 <= BATCH) {
        n = tp_counters_unsaved(saver->counters, cursor, images, 256);
        if (n == 0)
            break;
        for (size_t i = 0; i < n; i++) {
            struct tp_saved_counter *to = &saver->batch[saver->count++];

            *to = (struct tp_saved_counter){
                .table = (uint8_t)images[i].table,
                .period = (uint8_t)images[i].period,
                .window_start = images[i].window_start,
                .count = images[i].count,
            };
            memcpy(to->name, images[i].name, sizeof(to->name));
        }
    }
    return saver->count > 0;
}

enum tp_err tp_counter_saver_run(struct tp_counter_saver *saver, struct tp_store *store, size_t *saved)
{
    uint64_t cursor = 0;
    size_t total = saver->count;
    enum tp_err err = write_batch(saver, store);

    while (!err && take_batch(saver, &cursor)) {
        total += saver->count;
        err = write_batch(saver, store);
    }
    if (saved)
        *saved = total - saver->count;
    return err;
}

struct restoring {
    struct tp_counters *counters;
    size_t count;
};

static void on_saved(void *data, const struct tp_saved_counter *from)
{
    struct restoring *r = data;
    struct tp_counter_image image = {
        .table = from->table,
        .period = from->period,
        .window_start = from->window_start,
        .count = from->count,
    };

    if (from->table > TP_QUOTA_ADDRESSES || from->period >= TP_PERIODS)
        return; /* of a later version */
    memcpy(image.name, from->name, sizeof(image.name));
    tp_counters_restore(r->counters, &image);
    r->count++;
}

enum tp_err tp_counter_saver_restore(struct tp_counter_saver *saver, struct tp_store *store, int64_t now_s,
                                     size_t *restored)
{
    struct restoring r = { .counters = saver->counters };
    enum tp_err err = tp_store_counters_load(store, now_s, on_saved, &r);

    *restored = r.count;
    return err;
}
