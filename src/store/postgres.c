/*
 * The PostgreSQL driver: statements and transactions over libpq. Parameters and results travel in binary form.
 *
 * Writing is READ COMMITTED: what must not change under a writer is locked by the store (feed_clock, rows that are
 * read in order to be written). Reading is REPEATABLE READ, one snapshot.
 */
#include "store/postgres_priv.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <endian.h>
#include <poll.h>
#include <stdio.h>

#define MIGRATE_LOCK "8391737722467609959" /* "turnpike" in ASCII, the sign bit off */

static const char *db_error(const struct tp_db *db)
{
    return db->error;
}

/* --- Statements ------------------------------------------------------------------------------- */

static enum tp_err db_exec(struct tp_db *db, const char *sql)
{
    enum tp_err err = tp_pg_connect(db);

    return err ? err : tp_pg_exec(db, sql);
}

static int highest_param(const char *sql)
{
    int highest = 0;

    for (const char *c = strchr(sql, '$'); c; c = strchr(c + 1, '$')) {
        int n = atoi(c + 1);

        highest = n > highest ? n : highest;
    }
    return highest;
}

/* The server sees the statement when it is run first, and again in every new connection. */
static enum tp_err db_prepare(struct tp_db *db, const char *sql, struct tp_stmt **out)
{
    struct tp_stmt *stmt = tp_new(struct tp_stmt);
    int n = highest_param(sql);

    stmt->db = db;
    stmt->sql = tp_strdup(sql);
    stmt->row = -1;
    tp_pg_name(stmt);
    stmt->param_count = n;
    stmt->values = tp_calloc((size_t)n + 1, sizeof(*stmt->values));
    stmt->lengths = tp_calloc((size_t)n + 1, sizeof(*stmt->lengths));
    stmt->formats = tp_calloc((size_t)n + 1, sizeof(*stmt->formats));
    stmt->fixed = tp_calloc((size_t)n + 1, sizeof(*stmt->fixed));
    *out = stmt;
    return TP_OK;
}

/* The store finalizes before it closes: the server forgets them with the connection. */
static void stmt_finalize(struct tp_stmt *stmt)
{
    PQclear(stmt->result);
    free(stmt->sql);
    free(stmt->values);
    free(stmt->lengths);
    free(stmt->formats);
    free(stmt->fixed);
    free(stmt);
}

static void bind(struct tp_stmt *stmt, int index, const char *value, size_t len)
{
    TP_ASSERT(index >= 1 && index <= stmt->param_count && len <= INT32_MAX);
    stmt->values[index - 1] = value;
    stmt->lengths[index - 1] = (int)len;
    stmt->formats[index - 1] = 1;
}

static void bind_null(struct tp_stmt *stmt, int index)
{
    bind(stmt, index, NULL, 0);
}

static void bind_int(struct tp_stmt *stmt, int index, int64_t value)
{
    uint64_t wire = htobe64((uint64_t)value);

    memcpy(stmt->fixed[index - 1].bytes, &wire, sizeof(wire));
    bind(stmt, index, (const char *)stmt->fixed[index - 1].bytes, sizeof(wire));
}

/*
 * A text that no column can hold (not UTF-8, or with a NUL in it) equals none: as null it finds nothing, as in
 * SQLite, where the server would end the transaction. A write of it meets NOT NULL.
 */
static void bind_text(struct tp_stmt *stmt, int index, struct tp_str value)
{
    bool possible = tp_utf8_valid_prefix(value) == value.len && !memchr(value.data, '\0', value.len);

    bind(stmt, index, possible ? value.data : NULL, possible ? value.len : 0);
}

static void bind_bytes(struct tp_stmt *stmt, int index, struct tp_str value)
{
    bind(stmt, index, value.data, value.len);
}

static void bind_uuid(struct tp_stmt *stmt, int index, const struct tp_uuid *value)
{
    stmt->fixed[index - 1] = *value;
    bind(stmt, index, (const char *)stmt->fixed[index - 1].bytes, sizeof(value->bytes));
}

static enum tp_err run_once(struct tp_db *db, struct tp_stmt *stmt)
{
    enum tp_err err = tp_pg_connect(db);

    if (!err)
        err = tp_pg_send_stmt(db, stmt);
    return err ? err : tp_pg_finish(db, &stmt->result);
}

/*
 * Outside a transaction the store only reads: on a connection that turns out to be dead, as after a restart of the
 * server, it can be done again.
 */
static enum tp_err run(struct tp_stmt *stmt)
{
    struct tp_db *db = stmt->db;
    enum tp_err err;
    bool had_connection;

    if (db->tx == TP_TX_NONE)
        tp_pg_look(db);
    had_connection = db->raw != NULL;
    err = run_once(db, stmt);
    if (err == TP_ERR_UNAVAILABLE && had_connection && db->tx == TP_TX_NONE && !db->timed_out)
        err = run_once(db, stmt);
    return err;
}

static enum tp_err stmt_step(struct tp_stmt *stmt, bool *row)
{
    enum tp_err err = stmt->result ? TP_OK : run(stmt);

    *row = false;
    if (err)
        return err;
    *row = stmt->row + 1 < PQntuples(stmt->result);
    stmt->row += *row;
    return TP_OK;
}

static enum tp_err stmt_defer(struct tp_stmt *stmt)
{
    TP_ASSERT(stmt->db->tx != TP_TX_NONE);
    return tp_pg_send_stmt(stmt->db, stmt);
}

static void stmt_reset(struct tp_stmt *stmt)
{
    PQclear(stmt->result);
    stmt->result = NULL;
    stmt->row = -1;
    for (int i = 0; i < stmt->param_count; i++)
        stmt->values[i] = NULL;
}

/* --- Columns ---------------------------------------------------------------------------------- */

static bool is_null(struct tp_stmt *stmt, int column)
{
    return PQgetisnull(stmt->result, stmt->row, column);
}

static struct tp_str get_bytes(struct tp_stmt *stmt, int column)
{
    if (is_null(stmt, column))
        return TP_STR_NULL;
    return tp_str_make(PQgetvalue(stmt->result, stmt->row, column),
                       (size_t)PQgetlength(stmt->result, stmt->row, column));
}

static int64_t get_int(struct tp_stmt *stmt, int column)
{
    struct tp_str bytes = get_bytes(stmt, column);
    int64_t value;

    if (bytes.len == 4)
        return (int32_t)((uint32_t)(uint8_t)bytes.data[0] << 24 | (uint32_t)(uint8_t)bytes.data[1] << 16 |
                         (uint32_t)(uint8_t)bytes.data[2] << 8 | (uint8_t)bytes.data[3]);
    if (bytes.len != sizeof(value))
        return 0;
    memcpy(&value, bytes.data, sizeof(value));
    return (int64_t)be64toh((uint64_t)value);
}

static bool get_uuid(struct tp_stmt *stmt, int column, struct tp_uuid *out)
{
    struct tp_str bytes = get_bytes(stmt, column);

    if (bytes.len != sizeof(out->bytes))
        return false;
    memcpy(out->bytes, bytes.data, bytes.len);
    return true;
}

/* --- Transactions ----------------------------------------------------------------------------- */

/* A schema that does not exist yet is made, when its owner may: asking first, since IF NOT EXISTS needs the right. */
static enum tp_err make_schema(struct tp_db *db)
{
    char sql[512], *name, *text;
    enum tp_err err;

    if (!db->schema)
        return TP_OK;
    name = PQescapeIdentifier(db->raw, db->schema, strlen(db->schema));
    text = PQescapeLiteral(db->raw, db->schema, strlen(db->schema));
    if (!name || !text ||
        snprintf(sql, sizeof(sql),
                 "DO $do$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = %s) THEN"
                 " CREATE SCHEMA %s; END IF; END $do$", text, name) >= (int)sizeof(sql))
        err = tp_pg_fail(db, TP_ERR_INVALID, "'%s' is no name for a schema", db->schema);
    else
        err = tp_pg_exec(db, sql);
    PQfreemem(name);
    PQfreemem(text);
    return err;
}

/* Whoever migrates waits for whoever does already, for longer than a statement may otherwise. */
static enum tp_err begin_migrating(struct tp_db *db)
{
    enum tp_err err = tp_pg_exec(db, "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '10min';"
                                     "SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on;"
                                     "SELECT pg_advisory_xact_lock(" MIGRATE_LOCK ")");

    return err ? err : make_schema(db);
}

static enum tp_err begin_once(struct tp_db *db, enum tp_tx_mode mode)
{
    enum tp_err err = tp_pg_connect(db);

    if (err)
        return err;
    db->tx = mode;
    if (mode == TP_TX_MIGRATE)
        return begin_migrating(db);
    err = tp_pg_send_command(db, mode == TP_TX_READ ? "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" : "BEGIN");
    if (!err && mode == TP_TX_READ) /* the snapshot is taken by the first statement, not by BEGIN */
        err = tp_pg_send_command(db, "SELECT 1");
    return err ? err : tp_pg_finish(db, NULL);
}

static void db_rollback(struct tp_db *db)
{
    if (db->raw && db->sent_count)
        tp_pg_finish(db, NULL); /* a failure among them would skip the ROLLBACK */
    if (db->raw && PQtransactionStatus(db->raw) != PQTRANS_IDLE) {
        char error[sizeof(db->error)];
        enum tp_err err;

        memcpy(error, db->error, sizeof(error)); /* why it is rolled back is what counts */
        err = tp_pg_send_command(db, "ROLLBACK");
        if (!err)
            err = tp_pg_finish(db, NULL);
        if (err)
            tp_pg_drop(db);
        memcpy(db->error, error, sizeof(error));
    }
    db->tx = TP_TX_NONE;
    db->lost_in_tx = false;
}

static enum tp_err db_begin(struct tp_db *db, enum tp_tx_mode mode)
{
    enum tp_err err;
    bool had_connection;

    tp_pg_look(db);
    had_connection = db->raw != NULL;
    for (int attempt = 0;; attempt++) {
        err = begin_once(db, mode);
        if (!err)
            break;
        db_rollback(db);
        if (err != TP_ERR_UNAVAILABLE || !had_connection || attempt > 0 || db->timed_out)
            break;
    }
    return err;
}

/* COMMIT of a transaction that failed before answers ROLLBACK. */
static enum tp_err db_commit(struct tp_db *db)
{
    bool sendable = db->raw != NULL;
    PGresult *result = NULL;
    enum tp_err err = tp_pg_send_command(db, "COMMIT");

    if (!err)
        err = tp_pg_finish(db, &result);
    if (!err && strcmp(PQcmdStatus(result), "COMMIT") != 0)
        err = tp_pg_fail(db, TP_ERR_INVALID, "the transaction had failed and was rolled back");
    PQclear(result);
    if (err == TP_ERR_UNAVAILABLE && sendable && db->tx == TP_TX_WRITE)
        tp_pg_fail(db, err, "the connection was lost during a commit, which may have been made");
    if (!err)
        db->tx = TP_TX_NONE;
    return err;
}

/* --- Notifications ---------------------------------------------------------------------------- */

static enum tp_err start_listening(struct tp_db *db)
{
    enum tp_err err;
    bool connected = db->raw != NULL;

    if (db->listening)
        return tp_pg_connect(db);
    db->listening = true; /* a new connection listens from its start */
    err = tp_pg_connect(db);
    if (!err && connected)
        err = tp_pg_exec(db, "LISTEN turnpike_feed");
    if (err)
        return err;
    db->notified = true; /* what was committed before is unknown */
    return TP_OK;
}

/* TP_OK: one of the two became readable. */
static enum tp_err wait_for_either(struct tp_db *db, int wake_fd, int64_t until)
{
    struct pollfd fds[2] = { { .fd = wake_fd, .events = POLLIN }, { .fd = -1, .events = POLLIN } };
    int64_t left = until - tp_clock_monotonic_ms();

    if (db->raw)
        fds[1].fd = PQsocket(db->raw);
    return poll(fds, 2, left > 0 ? (int)left : 0) > 0 ? TP_OK : TP_ERR_TIMEOUT;
}

static enum tp_err db_wait(struct tp_db *db, int wake_fd, int timeout_ms)
{
    int64_t until = tp_clock_monotonic_ms() + timeout_ms;
    enum tp_err err;

    TP_ASSERT(db->tx == TP_TX_NONE);
    tp_pg_look(db);
    err = start_listening(db);
    if (err) { /* a caller that comes back at once must not spin */
        wait_for_either(db, wake_fd, until);
        return err;
    }
    for (;;) {
        struct pollfd wake = { .fd = wake_fd, .events = POLLIN };

        tp_pg_look(db);
        if (!db->raw)
            return TP_ERR_UNAVAILABLE;
        if (db->notified || poll(&wake, 1, 0) > 0)
            break;
        if (tp_clock_monotonic_ms() >= until)
            return TP_ERR_TIMEOUT;
        wait_for_either(db, wake_fd, until);
    }
    db->notified = false;
    return TP_OK;
}

/* --- Opening ---------------------------------------------------------------------------------- */

static const struct tp_driver driver = {
    .type_int = "bigint",
    .type_bytes = "bytea",
    .type_uuid = "uuid",
    .type_text = "text COLLATE \"C\"",
    .failure_ends_tx = true,
    .sql_ping = "SELECT 1",
    .sql_table_exists = "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                        " WHERE n.nspname = current_schema() AND c.relname = $1 AND c.relkind IN ('r', 'p')",
    .sql_notify = "NOTIFY turnpike_feed",
    .sql_lock_to_write = " FOR NO KEY UPDATE",
    .sql_lock_to_delete = " FOR UPDATE",
    .close = tp_pg_free,
    .error = db_error,
    .exec = db_exec,
    .begin = db_begin,
    .commit = db_commit,
    .rollback = db_rollback,
    .wait = db_wait,
    .prepare = db_prepare,
    .finalize = stmt_finalize,
    .bind_null = bind_null,
    .bind_int = bind_int,
    .bind_text = bind_text,
    .bind_bytes = bind_bytes,
    .bind_uuid = bind_uuid,
    .step = stmt_step,
    .defer = stmt_defer,
    .reset = stmt_reset,
    .is_null = is_null,
    .get_int = get_int,
    .get_text = get_bytes,
    .get_bytes = get_bytes,
    .get_uuid = get_uuid,
};

enum tp_err tp_postgres_open(struct tp_store **out, const struct tp_postgres_options *options, struct tp_diag *diag)
{
    struct tp_db *db = tp_pg_new(options, false);
    enum tp_err err = tp_pg_connect(db);

    if (err) {
        tp_diag_add(diag, "database", "%s", db->error);
        tp_pg_free(db);
        return err;
    }
    err = tp_store_over(out, &driver, db, diag);
    if (!err && options->replica)
        tp_store_read_from(*out, &driver, tp_pg_new(options->replica, true));
    return err;
}
