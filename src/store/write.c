/*
 * Writing entities: insert and update.
 *
 * A row whose ttl has passed counts as absent: one that stands in the way of a unique key is deleted, and the
 * write tried again.
 */
#include "store/store_priv.h"

#include <stdio.h>

/* --- A row as it is written ------------------------------------------------------------------- */

static void write_fini(struct tp_row_write *w)
{
    for (size_t i = 0; w->texts && i < w->table->column_count; i++)
        free(w->texts[i]);
    free(w->texts);
    free(w->foreign);
    free(w->has_foreign);
    free(w->doc);
}

static char *make_doc(const struct tp_entity *entity, const json_t *value)
{
    json_t *copy;
    char *doc;

    if (!entity->has_ttl)
        return json_dumps(value, JSON_COMPACT);
    copy = json_copy((json_t *)value);
    json_object_del(copy, "ttl"); /* stands in expires_at */
    json_object_del(copy, "expires_at");
    doc = json_dumps(copy, JSON_COMPACT);
    json_decref(copy);
    return doc;
}

static enum tp_err read_id(struct tp_store *store, const json_t *value, struct tp_uuid *out)
{
    const json_t *id = json_object_get(value, "id");

    if (json_is_string(id) && tp_uuid_parse(tp_str_from_cstr(json_string_value(id)), out) && !tp_uuid_is_nil(out))
        return TP_OK;
    return tp_store_fail(store, TP_ERR_INVALID, "the value has no id");
}

static enum tp_err read_columns(struct tp_store *store, struct tp_row_write *w)
{
    const struct tp_table *table = w->table;

    for (size_t i = 0; i < table->column_count; i++) {
        const struct tp_column *column = &table->columns[i];
        const json_t *member = json_object_get(w->value, column->name);

        if (column->kind != TP_COLUMN_FOREIGN) {
            w->texts[i] = tp_column_text(table, column, w->value);
            continue;
        }
        w->has_foreign[i] = tp_column_foreign_id(member, &w->foreign[i]);
        if (member && !json_is_null(member) && !w->has_foreign[i])
            return tp_store_fail(store, TP_ERR_INVALID, "%s.%s is not a reference", table->entity->name, column->name);
    }
    return TP_OK;
}

static bool is_orphan(const struct tp_row_write *w)
{
    for (const struct tp_field *f = w->table->entity->fields; f->name; f++) {
        const json_t *member = json_object_get(w->value, f->name);

        if (f->type == TP_TYPE_FOREIGN && member && !json_is_null(member) &&
            !tp_entity_by_name(tp_str_from_cstr(f->reference)))
            return true;
    }
    return false;
}

static enum tp_err write_init(struct tp_store *store, struct tp_row_write *w, const struct tp_entity *entity,
                              const json_t *value)
{
    enum tp_err err;

    *w = (struct tp_row_write){ .table = tp_store_table(store, entity), .value = value };
    w->texts = tp_calloc(w->table->column_count + 1, sizeof(*w->texts));
    w->foreign = tp_calloc(w->table->column_count + 1, sizeof(*w->foreign));
    w->has_foreign = tp_calloc(w->table->column_count + 1, sizeof(*w->has_foreign));
    err = read_id(store, value, &w->id);
    if (!err)
        err = read_columns(store, w);
    if (err)
        return err;
    w->orphan = is_orphan(w);
    w->doc = make_doc(entity, value);
    if (!w->doc)
        return tp_store_fail(store, TP_ERR_INVALID, "the value of %s is not valid UTF-8", entity->name);
    return TP_OK;
}

static void set_expiry(struct tp_row_write *w, int64_t now)
{
    const json_t *ttl = json_object_get(w->value, "ttl");

    w->expires = w->table->entity->has_ttl && json_is_integer(ttl) && json_integer_value(ttl) > 0;
    if (w->expires && __builtin_add_overflow(now, json_integer_value(ttl), &w->expires_at))
        w->expires = false; /* beyond the end of time */
}

static void bind_columns(struct tp_query *q, const struct tp_row_write *w)
{
    for (size_t i = 0; i < w->table->column_count; i++) {
        if (w->table->columns[i].kind == TP_COLUMN_FOREIGN)
            tp_query_uuid(q, w->has_foreign[i] ? &w->foreign[i] : NULL);
        else
            tp_query_text(q, tp_str_from_cstr(w->texts[i]));
    }
}

static void bind_doc_and_expiry(struct tp_query *q, const struct tp_row_write *w)
{
    tp_query_text(q, tp_str_from_cstr(w->doc));
    if (w->expires)
        tp_query_int(q, w->expires_at);
    else
        tp_query_text(q, TP_STR_NULL);
}

/* --- Tags ------------------------------------------------------------------------------------- */

/* Deferred: it must not run into a constraint, whose failure would be taken for that of a later row. */
static enum tp_err insert_tag(struct tp_store *store, const struct tp_row_write *w, size_t place, const json_t *tag)
{
    struct tp_query q = tp_query_begin(
        store, "INSERT INTO tags (id, entity, place, tag, expires_at) VALUES ($1, $2, $3, $4, $5)"
               " ON CONFLICT (id, entity, place) DO UPDATE SET tag = excluded.tag, expires_at = excluded.expires_at");

    tp_query_uuid(&q, &w->id);
    tp_query_text(&q, tp_str_from_cstr(w->table->entity->name));
    tp_query_int(&q, (int64_t)place);
    tp_query_text(&q, tp_str_make(json_string_value(tag), json_string_length(tag)));
    if (w->expires)
        tp_query_int(&q, w->expires_at);
    else
        tp_query_text(&q, TP_STR_NULL);
    return tp_query_defer(&q);
}

/* Each tag once: pages by tag count on it. */
static enum tp_err insert_tags(struct tp_store *store, const struct tp_row_write *w)
{
    const json_t *tags = json_object_get(w->value, "tags"), *tag;
    json_t *seen;
    enum tp_err err = TP_OK;
    size_t i;

    if (!w->table->has_tags || json_array_size(tags) == 0)
        return TP_OK;
    seen = json_object();
    json_array_foreach(tags, i, tag) {
        if (!json_is_string(tag) || json_object_get(seen, json_string_value(tag)))
            continue;
        json_object_set_new(seen, json_string_value(tag), json_true());
        err = insert_tag(store, w, i, tag);
        if (err)
            break;
    }
    json_decref(seen);
    return err;
}

/* --- Insert and update ------------------------------------------------------------------------ */

static enum tp_err run_insert(struct tp_store *store, const struct tp_row_write *w)
{
    struct tp_query q = tp_query_begin(store, w->table->insert_sql);
    bool row;
    enum tp_err err;

    tp_query_uuid(&q, &w->id);
    bind_doc_and_expiry(&q, w);
    bind_columns(&q, w);
    err = tp_query_row(&q, &row);
    tp_query_end(&q);
    if (err)
        return err;
    return row ? insert_tags(store, w) : TP_ERR_EXISTS;
}

static enum tp_err run_update(struct tp_store *store, const struct tp_row_write *w)
{
    struct tp_query q = tp_query_begin(store, w->table->update_sql);
    bool row;
    enum tp_err err;

    bind_doc_and_expiry(&q, w);
    bind_columns(&q, w);
    tp_query_uuid(&q, &w->id);
    tp_query_int(&q, tp_store_now(store));
    err = tp_query_row(&q, &row);
    tp_query_end(&q);
    if (!err && !row)
        err = TP_ERR_NOT_FOUND;
    if (!err)
        err = tp_delete_tags(store, w->table, &w->id);
    return err ? err : insert_tags(store, w);
}

static enum tp_err run_guarded(struct tp_store *store, const struct tp_row_write *w, bool is_insert)
{
    struct tp_savepoint sp;
    enum tp_err err;

    if (w->orphan)
        return TP_ERR_REFERENCE;
    if (!store->driver->failure_ends_tx)
        return is_insert ? run_insert(store, w) : run_update(store, w);
    err = tp_savepoint_set(store, &sp, "write_row");
    if (err)
        return err;
    err = is_insert ? run_insert(store, w) : run_update(store, w);
    return tp_savepoint_end(store, &sp, err);
}

/* One expired row may stand behind each unique key. */
static enum tp_err write_row(struct tp_store *store, const struct tp_row_write *w, bool is_insert,
                             struct tp_store_fault *fault)
{
    for (size_t tries = w->table->column_count + 2; tries > 0; tries--) {
        struct tp_clash clash;
        enum tp_err broken = run_guarded(store, w, is_insert), err;

        if (broken != TP_ERR_EXISTS && broken != TP_ERR_REFERENCE)
            return broken;
        err = tp_fault_find_clash(store, w, is_insert, &clash); /* keys are judged before references */
        if (err)
            return err;
        if (clash.found && !clash.expired) {
            tp_fault_tell_clash(w, &clash, fault);
            return TP_ERR_EXISTS;
        }
        if (!clash.found && broken == TP_ERR_REFERENCE)
            return tp_fault_tell_missing_parent(store, w, fault);
        if (!clash.found)
            continue; /* another writer's, and gone again */
        err = tp_delete_row(store, w->table, &clash.id, fault);
        if (err)
            return err;
    }
    return TP_ERR_EXISTS;
}

enum tp_err tp_store_insert(struct tp_store *store, const struct tp_entity *entity, const json_t *value,
                            struct tp_store_fault *fault)
{
    struct tp_row_write w;
    enum tp_err err;

    TP_ASSERT(store->tx == TP_TX_WRITE);
    *fault = (struct tp_store_fault){ TP_OK };
    err = write_init(store, &w, entity, value);
    if (!err) {
        set_expiry(&w, tp_store_now(store));
        err = write_row(store, &w, true, fault);
    }
    if (!err)
        tp_feed_note(store, TP_FEED_PUT, entity, &w.id);
    write_fini(&w);
    return tp_fault_finish(store, fault, err);
}

/*
 * A ttl that is absent, or still the one that a read shows, keeps the moment as it was: a change of another
 * field does not move it.
 */
static enum tp_err keep_expiry(struct tp_store *store, struct tp_row_write *w, int64_t now)
{
    const json_t *ttl = json_object_get(w->value, "ttl");
    struct tp_query q;
    char sql[128];
    bool row;
    enum tp_err err;

    if (!w->table->entity->has_ttl)
        return TP_OK;
    snprintf(sql, sizeof(sql), "SELECT expires_at FROM \"%s\" WHERE id = $1", w->table->entity->name);
    q = tp_query_begin(store, sql);
    tp_query_uuid(&q, &w->id);
    err = tp_query_row(&q, &row);
    if (!err && row && !tp_query_is_null(&q, 0)) {
        int64_t expires_at = tp_query_get_int(&q, 0);

        if (!ttl || (json_is_integer(ttl) && json_integer_value(ttl) == expires_at - now)) {
            w->expires = true;
            w->expires_at = expires_at;
        }
    }
    tp_query_end(&q);
    return err;
}

enum tp_err tp_store_update(struct tp_store *store, const struct tp_entity *entity, const json_t *value,
                            struct tp_store_fault *fault)
{
    int64_t now = tp_store_now(store);
    struct tp_row_write w;
    enum tp_err err;

    TP_ASSERT(store->tx == TP_TX_WRITE);
    *fault = (struct tp_store_fault){ TP_OK };
    err = write_init(store, &w, entity, value);
    if (!err) {
        set_expiry(&w, now);
        err = keep_expiry(store, &w, now);
    }
    if (!err)
        err = write_row(store, &w, false, fault);
    if (!err)
        tp_feed_note(store, TP_FEED_PUT, entity, &w.id);
    write_fini(&w);
    return tp_fault_finish(store, fault, err);
}

/* --- Many at once ----------------------------------------------------------------------------- */

/* Whether it fits shows when all have been sent. */
static enum tp_err send_row(struct tp_store *store, const struct tp_store_item *item)
{
    struct tp_row_write w;
    struct tp_query q;
    enum tp_err err = write_init(store, &w, item->entity, item->value);

    if (!err && w.orphan)
        err = TP_ERR_REFERENCE;
    if (!err) {
        set_expiry(&w, tp_store_now(store));
        q = tp_query_begin(store, w.table->load_sql);
        tp_query_uuid(&q, &w.id);
        bind_doc_and_expiry(&q, &w);
        bind_columns(&q, &w);
        err = tp_query_defer(&q);
    }
    if (!err)
        err = insert_tags(store, &w);
    if (!err)
        tp_feed_note(store, TP_FEED_PUT, item->entity, &w.id);
    write_fini(&w);
    return err;
}

/* All of them, or none when one does not fit: which one it is remains to be found. */
static enum tp_err send_rows(struct tp_store *store, const struct tp_store_item *items, size_t count)
{
    struct tp_savepoint sp;
    struct tp_query q;
    enum tp_err err = tp_savepoint_set(store, &sp, "load_rows");

    if (err)
        return err;
    for (size_t i = 0; !err && i < count; i++)
        err = send_row(store, &items[i]);
    if (!err) { /* something to wait for */
        q = tp_query_begin(store, store->driver->sql_ping);
        err = tp_query_run(&q);
    }
    return tp_savepoint_end(store, &sp, err);
}

enum tp_err tp_store_insert_many(struct tp_store *store, const struct tp_store_item *items, size_t count,
                                 size_t *failed, struct tp_store_fault *fault)
{
    enum tp_err err;

    TP_ASSERT(store->tx == TP_TX_WRITE);
    *fault = (struct tp_store_fault){ TP_OK };
    *failed = 0;
    if (store->driver->defer) {
        err = send_rows(store, items, count);
        if (!err || store->tx_err)
            return err ? tp_fault_finish(store, fault, err) : TP_OK;
    }
    for (size_t i = 0; i < count; i++) { /* one by one, so that the fault is known */
        *failed = i;
        err = tp_store_insert(store, items[i].entity, items[i].value, fault);
        if (err)
            return err;
    }
    return TP_OK;
}
