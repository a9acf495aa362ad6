/*
 * The store's life and its transactions.
 */
#include "base/clock.h"
#include "store/store_priv.h"

#include <poll.h>
#include <stdio.h>

static int64_t system_clock(void *data)
{
    (void)data;
    return tp_clock_now_ms();
}

static struct tp_store *make_store(const struct tp_driver *driver, struct tp_db *db)
{
    struct tp_store *store = tp_new(struct tp_store);

    store->driver = driver;
    store->db = db;
    store->statements = tp_map_new();
    store->tables = tp_tables_new();
    store->now_ms = system_clock;
    return store;
}

enum tp_err tp_store_over(struct tp_store **out, const struct tp_driver *driver, struct tp_db *db,
                          struct tp_diag *diag)
{
    struct tp_store *store = make_store(driver, db);
    enum tp_err err = tp_migrate_check(store, diag);

    if (err) {
        tp_store_free(store);
        return err;
    }
    *out = store;
    return TP_OK;
}

void tp_store_read_from(struct tp_store *store, const struct tp_driver *driver, struct tp_db *db)
{
    TP_ASSERT(!store->replica);
    store->replica = make_store(driver, db);
}

void tp_store_free(struct tp_store *store)
{
    if (!store)
        return;
    tp_store_free(store->replica);
    tp_store_rollback(store);
    tp_store_forget_statements(store);
    tp_tables_free(store->tables);
    store->driver->close(store->db);
    free(store->pending);
    free(store);
}

const char *tp_store_error(const struct tp_store *store)
{
    return store->error;
}

void tp_store_set_clock(struct tp_store *store, int64_t (*now_ms)(void *data), void *data)
{
    store->now_ms = now_ms;
    store->clock_data = data;
    if (store->replica)
        tp_store_set_clock(store->replica, now_ms, data);
}

void tp_store_show_expiry(struct tp_store *store, bool show)
{
    store->show_expiry = show;
    if (store->replica)
        store->replica->show_expiry = show;
}

int64_t tp_store_now(struct tp_store *store)
{
    return (store->now_ms(store->clock_data) + 999) / 1000;
}

struct tp_table *tp_store_table(struct tp_store *store, const struct tp_entity *entity)
{
    for (size_t i = 0; i < tp_entity_count; i++)
        if (tp_entities[i] == entity)
            return &store->tables[i];
    TP_ASSERT(!"an entity of this build");
    return NULL;
}

enum tp_err tp_store_ping(struct tp_store *store)
{
    struct tp_query q = tp_query_begin(store, store->driver->sql_ping);

    return tp_query_run(&q) ? TP_ERR_UNAVAILABLE : TP_OK;
}

enum tp_err tp_store_identity(struct tp_store *store, struct tp_uuid *out)
{
    struct tp_query q = tp_query_begin(store, "SELECT value FROM meta WHERE name = 'identity'");
    bool row;
    enum tp_err err = tp_query_row(&q, &row);

    if (!err && (!row || !tp_uuid_parse(tp_query_get_text(&q, 0), out)))
        err = tp_store_fail(store, TP_ERR_DAMAGED, "the database has no identity");
    tp_query_end(&q);
    return err;
}

/* --- Transactions ----------------------------------------------------------------------------- */

static enum tp_err begin(struct tp_store *store, enum tp_tx_mode mode)
{
    enum tp_err err;

    TP_ASSERT(store->tx == TP_TX_NONE);
    err = store->driver->begin(store->db, mode);
    if (err)
        return tp_store_fail(store, err, "%s", store->driver->error(store->db));
    store->tx = mode;
    return TP_OK;
}

enum tp_err tp_store_begin(struct tp_store *store)
{
    return begin(store, TP_TX_WRITE);
}

enum tp_err tp_store_begin_read(struct tp_store *store)
{
    return begin(store, TP_TX_READ);
}

enum tp_err tp_store_begin_migrate(struct tp_store *store)
{
    return begin(store, TP_TX_MIGRATE);
}

/* The one place where a transaction's state ends. */
static void end_transaction(struct tp_store *store)
{
    store->tx = TP_TX_NONE;
    store->tx_err = TP_OK;
    store->bulk = false;
    store->reread = false;
    store->pending_count = 0;
}

void tp_store_rollback(struct tp_store *store)
{
    if (store->tx == TP_TX_NONE)
        return;
    store->driver->rollback(store->db);
    end_transaction(store);
}

enum tp_err tp_store_commit(struct tp_store *store, uint64_t *position)
{
    enum tp_err err = store->tx_err;
    uint64_t last = 0;

    TP_ASSERT(store->tx != TP_TX_NONE && !store->bulk);
    if (!err && store->tx == TP_TX_WRITE)
        err = tp_feed_write(store, &last);
    if (!err && position && !last) /* the clock is not ours to hold for one more question */
        err = tp_store_position(store, &last);
    if (!err) {
        err = store->driver->commit(store->db);
        if (err)
            tp_store_fail(store, err, "%s", store->driver->error(store->db));
    }
    if (err)
        tp_store_rollback(store);
    else
        end_transaction(store);
    if (!err && position)
        *position = last;
    return err;
}

enum tp_err tp_store_enter(struct tp_store *store, bool *own)
{
    *own = store->tx == TP_TX_NONE;
    return *own ? tp_store_begin(store) : TP_OK;
}

enum tp_err tp_store_leave(struct tp_store *store, bool own, enum tp_err err)
{
    if (!own)
        return err;
    if (!err)
        return tp_store_commit(store, NULL);
    tp_store_rollback(store);
    return err;
}

/* Setting and releasing cannot fail by themselves: they travel with what comes next. */
static enum tp_err savepoint_command(struct tp_store *store, const char *command, const char *name)
{
    char sql[64];
    struct tp_query q;

    snprintf(sql, sizeof(sql), "%s %s", command, name);
    q = tp_query_begin(store, sql);
    return strcmp(command, "ROLLBACK TO") == 0 ? tp_query_run(&q) : tp_query_defer(&q);
}

enum tp_err tp_savepoint_set(struct tp_store *store, struct tp_savepoint *sp, const char *name)
{
    sp->name = name;
    sp->pending_count = store->pending_count;
    sp->reread = store->reread;
    return savepoint_command(store, "SAVEPOINT", name);
}

enum tp_err tp_savepoint_end(struct tp_store *store, const struct tp_savepoint *sp, enum tp_err err)
{
    enum tp_err undo = TP_OK;

    if (store->tx_err)
        return store->tx_err;
    if (err) {
        undo = savepoint_command(store, "ROLLBACK TO", sp->name);
        store->pending_count = sp->pending_count;
        store->reread = sp->reread;
    }
    if (!undo)
        undo = savepoint_command(store, "RELEASE", sp->name);
    return undo ? undo : err;
}

/* --- Waiting ---------------------------------------------------------------------------------- */

static enum tp_err wait_for_caller(int wake_fd, int timeout_ms)
{
    struct pollfd fd = { .fd = wake_fd, .events = POLLIN };

    return poll(&fd, 1, timeout_ms) > 0 ? TP_OK : TP_ERR_TIMEOUT;
}

enum tp_err tp_store_wait(struct tp_store *store, int wake_fd, int timeout_ms)
{
    enum tp_err err;

    TP_ASSERT(store->tx == TP_TX_NONE && timeout_ms >= 0);
    if (!store->driver->wait)
        return wait_for_caller(wake_fd, timeout_ms);
    err = store->driver->wait(store->db, wake_fd, timeout_ms);
    if (err && err != TP_ERR_TIMEOUT)
        tp_store_fail(store, err, "%s", store->driver->error(store->db));
    return err;
}

/* --- Bulk load -------------------------------------------------------------------------------- */

enum tp_err tp_store_bulk_begin(struct tp_store *store)
{
    TP_ASSERT(store->tx == TP_TX_WRITE && !store->bulk);
    store->bulk = true;
    return store->tx_err;
}

enum tp_err tp_store_bulk_end(struct tp_store *store)
{
    TP_ASSERT(store->tx == TP_TX_WRITE && store->bulk);
    store->bulk = false;
    return store->tx_err;
}
