/*
 * Deleting entities: row by row with what cascades, so that each leaves its outbox row; and the sweep of those
 * whose ttl has passed.
 */
#include "store/store_priv.h"

#include <stdio.h>

#define CHILD_BATCH 500

enum tp_err tp_delete_tags(struct tp_store *store, const struct tp_table *table, const struct tp_uuid *id)
{
    struct tp_query q;

    if (!table->has_tags)
        return TP_OK;
    q = tp_query_begin(store, "DELETE FROM tags WHERE id = $1 AND entity = $2");
    tp_query_uuid(&q, id);
    tp_query_text(&q, tp_str_from_cstr(table->entity->name));
    return tp_query_defer(&q);
}

/* Up to CHILD_BATCH ids of rows whose `column` is `parent`. */
static enum tp_err find_children(struct tp_store *store, const struct tp_table *table, const struct tp_column *column,
                                 const struct tp_uuid *parent, struct tp_uuid *ids, size_t *count)
{
    struct tp_query q;
    char sql[256];
    bool row;
    enum tp_err err;

    snprintf(sql, sizeof(sql), "SELECT id FROM \"%s\" WHERE \"%s\" = $1 LIMIT %d", table->entity->name, column->name,
             CHILD_BATCH);
    q = tp_query_begin(store, sql);
    tp_query_uuid(&q, parent);
    *count = 0;
    while (!(err = tp_query_row(&q, &row)) && row && *count < CHILD_BATCH)
        if (tp_query_get_uuid(&q, 0, &ids[*count]))
            (*count)++;
    tp_query_end(&q);
    return err;
}

static enum tp_err delete_children(struct tp_store *store, struct tp_table *table, const struct tp_column *column,
                                   const struct tp_uuid *parent, struct tp_store_fault *fault)
{
    struct tp_uuid *ids = tp_calloc(CHILD_BATCH, sizeof(*ids));
    size_t count;
    enum tp_err err;

    do {
        err = find_children(store, table, column, parent, ids, &count);
        if (!err && count > 0 && !column->field->cascade) {
            fault->entity = table->entity->name;
            fault->referenced_by = true;
            err = TP_ERR_REFERENCE;
        }
        for (size_t i = 0; !err && i < count; i++)
            err = tp_delete_row(store, table, &ids[i], fault);
    } while (!err && count == CHILD_BATCH);
    free(ids);
    return err;
}

static enum tp_err delete_all_children(struct tp_store *store, const struct tp_entity *parent, const struct tp_uuid *id,
                                       bool cascading, struct tp_store_fault *fault)
{
    enum tp_err err = TP_OK;

    for (struct tp_table *t = store->tables; !err && t->entity; t++)
        for (size_t c = 0; !err && c < t->column_count; c++) {
            const struct tp_column *column = &t->columns[c];

            if (column->kind == TP_COLUMN_FOREIGN && column->parent == parent && column->field->cascade == cascading)
                err = delete_children(store, t, column, id, fault);
        }
    return err;
}

static bool has_children(const struct tp_store *store, const struct tp_entity *parent)
{
    for (const struct tp_table *t = store->tables; t->entity; t++)
        for (size_t c = 0; c < t->column_count; c++)
            if (t->columns[c].kind == TP_COLUMN_FOREIGN && t->columns[c].parent == parent)
                return true;
    return false;
}

/* From here on nobody can add a child behind our back. */
static enum tp_err lock_parent(struct tp_store *store, const struct tp_entity *entity, const struct tp_uuid *id)
{
    const char *lock = store->driver->sql_lock_to_delete;
    struct tp_query q;
    char sql[160];

    if (!lock || !has_children(store, entity))
        return TP_OK;
    snprintf(sql, sizeof(sql), "SELECT id FROM \"%s\" WHERE id = $1%s", entity->name, lock);
    q = tp_query_begin(store, sql);
    tp_query_uuid(&q, id);
    return tp_query_run(&q);
}

/* References that refuse are looked at before anything is deleted. */
enum tp_err tp_delete_row(struct tp_store *store, struct tp_table *table, const struct tp_uuid *id,
                          struct tp_store_fault *fault)
{
    enum tp_err err = lock_parent(store, table->entity, id);
    struct tp_query q;
    bool row = false;

    if (!err)
        err = delete_all_children(store, table->entity, id, false, fault);
    if (!err)
        err = delete_all_children(store, table->entity, id, true, fault);
    if (!err)
        err = tp_delete_tags(store, table, id);
    if (err)
        return err;
    q = tp_query_begin(store, table->delete_sql);
    tp_query_uuid(&q, id);
    err = tp_query_row(&q, &row);
    tp_query_end(&q);
    if (!err && row)
        tp_feed_note(store, TP_FEED_DELETE, table->entity, id);
    return err;
}

enum tp_err tp_store_delete(struct tp_store *store, const struct tp_entity *entity, const struct tp_uuid *id,
                            struct tp_store_fault *fault)
{
    struct tp_table *table = tp_store_table(store, entity);
    struct tp_savepoint sp;
    struct tp_query q;
    bool row;
    enum tp_err err;

    TP_ASSERT(store->tx == TP_TX_WRITE);
    *fault = (struct tp_store_fault){ TP_OK };
    q = tp_query_begin(store, table->get_sql);
    tp_query_uuid(&q, id);
    tp_query_int(&q, tp_store_now(store));
    err = tp_query_row(&q, &row);
    tp_query_end(&q);
    if (!err && !row)
        return tp_fault_finish(store, fault, TP_ERR_NOT_FOUND);
    if (!err)
        err = tp_savepoint_set(store, &sp, "delete_rows");
    if (!err) /* a refusal deep down undoes what was deleted on the way */
        err = tp_savepoint_end(store, &sp, tp_delete_row(store, table, id, fault));
    return tp_fault_finish(store, fault, err);
}

/* --- Sweep ------------------------------------------------------------------------------------ */

static enum tp_err find_expired(struct tp_store *store, const struct tp_table *table, size_t max, struct tp_uuid *ids,
                                size_t *count)
{
    struct tp_query q;
    char sql[160];
    bool row;
    enum tp_err err;

    snprintf(sql, sizeof(sql), "SELECT id FROM \"%s\" WHERE expires_at <= $1 ORDER BY expires_at, id LIMIT $2",
             table->entity->name);
    q = tp_query_begin(store, sql);
    tp_query_int(&q, tp_store_now(store));
    tp_query_int(&q, (int64_t)max);
    *count = 0;
    while (!(err = tp_query_row(&q, &row)) && row && *count < max)
        if (tp_query_get_uuid(&q, 0, &ids[*count]))
            (*count)++;
    tp_query_end(&q);
    return err;
}

static enum tp_err sweep_table(struct tp_store *store, struct tp_table *table, size_t max, size_t *swept)
{
    struct tp_uuid *ids = tp_calloc(max, sizeof(*ids));
    struct tp_store_fault fault = { TP_OK };
    size_t count;
    enum tp_err err = find_expired(store, table, max, ids, &count);

    for (size_t i = 0; !err && i < count; i++)
        err = tp_delete_row(store, table, &ids[i], &fault);
    if (!err)
        *swept += count;
    tp_store_fault_fini(&fault);
    free(ids);
    return err;
}

enum tp_err tp_store_sweep(struct tp_store *store, size_t max, size_t *swept)
{
    bool own;
    enum tp_err err = tp_store_enter(store, &own);

    *swept = 0;
    if (err)
        return err;
    for (struct tp_table *t = store->tables; !err && t->entity && *swept < max; t++)
        if (t->entity->has_ttl)
            err = sweep_table(store, t, max - *swept, swept);
    return tp_store_leave(store, own, err);
}
