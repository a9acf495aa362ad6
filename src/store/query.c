/*
 * Queries: prepared statements, cached by their text, and what their failure means for the transaction.
 */
#include "store/store_priv.h"

#include <stdarg.h>
#include <stdio.h>

struct tp_cached_stmt {
    struct tp_stmt *stmt;
    bool in_use;
};

enum tp_err tp_store_fail(struct tp_store *store, enum tp_err err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(store->error, sizeof(store->error), format, args);
    va_end(args);
    return err;
}

/*
 * After a violated constraint the statement alone has no effect and the transaction can go on. After anything
 * else the database may have rolled back already: going on would commit half of it.
 */
static enum tp_err driver_failed(struct tp_store *store, enum tp_err err)
{
    tp_store_fail(store, err, "%s", store->driver->error(store->db));
    if (store->tx != TP_TX_NONE && err != TP_ERR_EXISTS && err != TP_ERR_REFERENCE)
        store->tx_err = err;
    return err;
}

static struct tp_cached_stmt *find_or_prepare(struct tp_store *store, const char *sql, enum tp_err *err)
{
    struct tp_str text = tp_str_from_cstr(sql);
    struct tp_cached_stmt *cached = tp_map_get(store->statements, text);
    struct tp_stmt *stmt;

    if (cached)
        return cached;
    *err = store->driver->prepare(store->db, sql, &stmt);
    if (*err) {
        driver_failed(store, *err);
        return NULL;
    }
    cached = tp_new(struct tp_cached_stmt);
    cached->stmt = stmt;
    tp_map_set(store->statements, text, cached);
    return cached;
}

void tp_store_forget_statements(struct tp_store *store)
{
    struct tp_str text;
    void *value;

    for (size_t i = 0; tp_map_next(store->statements, &i, &text, &value);) {
        struct tp_cached_stmt *cached = value;

        store->driver->finalize(cached->stmt);
    }
    tp_map_free(store->statements, free);
    store->statements = NULL;
}

struct tp_query tp_query_begin(struct tp_store *store, const char *sql)
{
    struct tp_query q = { .store = store, .next_param = 1, .err = store->tx_err };

    if (q.err)
        return q;
    q.cached = find_or_prepare(store, sql, &q.err);
    if (q.cached) {
        TP_ASSERT(!q.cached->in_use);
        q.cached->in_use = true;
    }
    return q;
}

void tp_query_int(struct tp_query *q, int64_t value)
{
    if (q->cached)
        q->store->driver->bind_int(q->cached->stmt, q->next_param++, value);
}

void tp_query_text(struct tp_query *q, struct tp_str value)
{
    if (!q->cached)
        return;
    if (value.data)
        q->store->driver->bind_text(q->cached->stmt, q->next_param++, value);
    else
        q->store->driver->bind_null(q->cached->stmt, q->next_param++);
}

void tp_query_bytes(struct tp_query *q, struct tp_str value)
{
    if (q->cached)
        q->store->driver->bind_bytes(q->cached->stmt, q->next_param++, value);
}

void tp_query_uuid(struct tp_query *q, const struct tp_uuid *value)
{
    if (!q->cached)
        return;
    if (value)
        q->store->driver->bind_uuid(q->cached->stmt, q->next_param++, value);
    else
        q->store->driver->bind_null(q->cached->stmt, q->next_param++);
}

enum tp_err tp_query_row(struct tp_query *q, bool *row)
{
    *row = false;
    if (q->err)
        return q->err;
    q->err = q->store->driver->step(q->cached->stmt, row);
    return q->err ? driver_failed(q->store, q->err) : TP_OK;
}

void tp_query_end(struct tp_query *q)
{
    if (!q->cached)
        return;
    q->store->driver->reset(q->cached->stmt);
    q->cached->in_use = false;
    q->cached = NULL;
}

enum tp_err tp_query_run(struct tp_query *q)
{
    bool row;
    enum tp_err err = tp_query_row(q, &row);

    tp_query_end(q);
    return err;
}

enum tp_err tp_query_defer(struct tp_query *q)
{
    enum tp_err err = q->err;

    if (!q->store->driver->defer)
        return tp_query_run(q);
    if (!err) {
        err = q->store->driver->defer(q->cached->stmt);
        if (err)
            driver_failed(q->store, err);
    }
    tp_query_end(q);
    return err;
}

bool tp_query_is_null(struct tp_query *q, int column)
{
    return q->store->driver->is_null(q->cached->stmt, column);
}

int64_t tp_query_get_int(struct tp_query *q, int column)
{
    return q->store->driver->get_int(q->cached->stmt, column);
}

struct tp_str tp_query_get_text(struct tp_query *q, int column)
{
    return q->store->driver->get_text(q->cached->stmt, column);
}

struct tp_str tp_query_get_bytes(struct tp_query *q, int column)
{
    return q->store->driver->get_bytes(q->cached->stmt, column);
}

bool tp_query_get_uuid(struct tp_query *q, int column, struct tp_uuid *out)
{
    return q->store->driver->get_uuid(q->cached->stmt, column, out);
}

/* --- Values ----------------------------------------------------------------------------------- */

static void set_expiry(struct tp_query *q, json_t *value)
{
    bool never = tp_query_is_null(q, 2);
    int64_t expires_at = never ? 0 : tp_query_get_int(q, 2);

    json_object_set_new(value, "ttl", never ? json_null() : json_integer(expires_at - tp_store_now(q->store)));
    if (q->store->show_expiry)
        json_object_set_new(value, "expires_at", never ? json_null() : json_integer(expires_at));
}

/* Rows written before a field existed have it at its default. */
static void fill_missing(const struct tp_table *table, json_t *value)
{
    for (const struct tp_field *f = table->entity->fields; f->name; f++) {
        json_t *def;

        if (f->write_only || f->alias_of || f->extension || json_object_get(value, f->name))
            continue;
        def = json_object_get(table->defaults, f->name);
        json_object_set_new(value, f->name, def ? json_deep_copy(def) : json_null());
    }
}

enum tp_err tp_query_value(struct tp_query *q, const struct tp_table *table, json_t **out)
{
    struct tp_str doc = tp_query_get_text(q, 1);
    json_t *value = doc.data ? json_loadb(doc.data, doc.len, JSON_ALLOW_NUL, NULL) : NULL;

    if (!json_is_object(value)) {
        json_decref(value);
        return tp_store_fail(q->store, TP_ERR_DAMAGED, "a row of %s holds no JSON object", table->entity->name);
    }
    fill_missing(table, value);
    if (table->entity->has_ttl)
        set_expiry(q, value);
    *out = value;
    return TP_OK;
}
