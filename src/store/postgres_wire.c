/*
 * Sending to PostgreSQL and waiting for its answers, with a deadline.
 */
#include "store/postgres_priv.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>

#define GRACE_MS 2000              /* the server's own timeouts come first */
#define MIGRATION_MS (60 * 60 * 1000) /* an index over millions of rows takes its time */

enum tp_err tp_pg_fail(struct tp_db *db, enum tp_err err, const char *format, ...)
{
    char message[256];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    tp_pg_note(db, message);
    return err;
}

enum tp_err tp_pg_wait(struct tp_db *db, short events, int64_t until)
{
    for (;;) {
        struct pollfd fd = { .fd = PQsocket(db->raw), .events = events };
        int64_t left = until - tp_clock_monotonic_ms();
        int n;

        if (fd.fd < 0)
            return TP_ERR_UNAVAILABLE;
        n = left > 0 ? poll(&fd, 1, (int)left) : 0;
        if (n > 0)
            return TP_OK;
        if (n == 0)
            return TP_ERR_TIMEOUT;
        if (errno != EINTR)
            return TP_ERR_UNAVAILABLE;
    }
}

static int64_t deadline(const struct tp_db *db)
{
    return tp_clock_monotonic_ms() + (db->tx == TP_TX_MIGRATE ? MIGRATION_MS : db->timeout_ms + GRACE_MS);
}

/* The connection is of no use any more. Its message first: it goes with it. */
static enum tp_err lose(struct tp_db *db, enum tp_err why)
{
    db->timed_out = why == TP_ERR_TIMEOUT;
    if (db->timed_out)
        tp_pg_fail(db, TP_OK, "no answer within %d ms", db->timeout_ms + GRACE_MS);
    else
        tp_pg_note(db, PQerrorMessage(db->raw));
    tp_pg_drop(db);
    return TP_ERR_UNAVAILABLE;
}

void tp_pg_name(struct tp_stmt *stmt)
{
    snprintf(stmt->name, sizeof(stmt->name), "tp%llu", (unsigned long long)++stmt->db->names);
    stmt->generation = 0;
}

/* --- Sending ---------------------------------------------------------------------------------- */

static enum tp_err note_sent(struct tp_db *db, int sent, struct tp_stmt *stmt, bool prepares)
{
    if (!sent)
        return lose(db, TP_ERR_UNAVAILABLE);
    db->sent[db->sent_count++] = (struct tp_pg_sent){ stmt, prepares };
    return TP_OK;
}

/* There is room for two more: a statement may have to be prepared first. */
static enum tp_err make_room(struct tp_db *db)
{
    if (!db->raw)
        return TP_ERR_UNAVAILABLE;
    return db->sent_count + 2 > TP_PG_MAX_SENT ? tp_pg_finish(db, NULL) : TP_OK;
}

enum tp_err tp_pg_send_command(struct tp_db *db, const char *sql)
{
    enum tp_err err = make_room(db);

    if (err)
        return err;
    return note_sent(db, PQsendQueryParams(db->raw, sql, 0, NULL, NULL, NULL, NULL, 1), NULL, false);
}

enum tp_err tp_pg_send_stmt(struct tp_db *db, struct tp_stmt *stmt)
{
    enum tp_err err = make_room(db);

    if (!err && stmt->generation != db->generation) {
        err = note_sent(db, PQsendPrepare(db->raw, stmt->name, stmt->sql, 0, NULL), stmt, true);
        if (!err)
            stmt->generation = db->generation; /* until the answer says otherwise */
    }
    if (err)
        return err;
    return note_sent(db,
                     PQsendQueryPrepared(db->raw, stmt->name, stmt->param_count, stmt->values, stmt->lengths,
                                         stmt->formats, 1),
                     stmt, false);
}

/* --- Answers ---------------------------------------------------------------------------------- */

/* The next answer, NULL behind the last of a statement. Sends meanwhile what has not left yet. */
static enum tp_err next_result(struct tp_db *db, int64_t until, PGresult **out)
{
    while (PQisBusy(db->raw)) {
        int unsent = PQflush(db->raw);
        enum tp_err err;

        if (unsent < 0)
            return TP_ERR_UNAVAILABLE;
        err = tp_pg_wait(db, unsent ? POLLIN | POLLOUT : POLLIN, until);
        if (err)
            return err;
        if (!PQconsumeInput(db->raw))
            return TP_ERR_UNAVAILABLE;
    }
    *out = PQgetResult(db->raw);
    return TP_OK;
}

/* The server has lost the statement (another one answers behind a pooler), or its tables have changed. */
static bool is_out_of_date(const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    return state && (strcmp(state, "26000") == 0 || strcmp(state, "0A000") == 0);
}

/* *failed keeps the first failure, and db->error its message. */
static void judge(struct tp_db *db, const struct tp_pg_sent *sent, const PGresult *result, enum tp_err *failed)
{
    ExecStatusType status = PQresultStatus(result);

    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return;
    if (sent->stmt && (sent->prepares || is_out_of_date(result)))
        tp_pg_name(sent->stmt);
    if (*failed) /* what follows a failure is skipped */
        return;
    *failed = tp_pg_failed(db, result);
}

/* Answers to all that was sent. `failed` is the first that failed, and keeps its message. */
static enum tp_err read_answers(struct tp_db *db, int64_t until, enum tp_err *failed, PGresult **last)
{
    for (size_t i = 0; i < db->sent_count; i++) {
        PGresult *result = NULL, *end = NULL;
        enum tp_err err = next_result(db, until, &result);

        if (err || !result) {
            PQclear(result);
            return err ? err : TP_ERR_UNAVAILABLE;
        }
        judge(db, &db->sent[i], result, failed);
        if (last && i + 1 == db->sent_count && !*failed)
            *last = result;
        else
            PQclear(result);
        err = next_result(db, until, &end);
        PQclear(end);
        if (err)
            return err;
    }
    return TP_OK;
}

static enum tp_err read_sync(struct tp_db *db, int64_t until)
{
    PGresult *result = NULL;
    enum tp_err err = next_result(db, until, &result);

    if (!err && PQresultStatus(result) != PGRES_PIPELINE_SYNC)
        err = TP_ERR_UNAVAILABLE;
    PQclear(result);
    return err;
}

enum tp_err tp_pg_finish(struct tp_db *db, PGresult **last)
{
    int64_t until = deadline(db);
    PGresult *result = NULL;
    enum tp_err failed = TP_OK, err;

    if (!db->raw)
        return TP_ERR_UNAVAILABLE;
    if (!PQpipelineSync(db->raw))
        return lose(db, TP_ERR_UNAVAILABLE);
    err = read_answers(db, until, &failed, &result);
    if (!err && failed != TP_ERR_UNAVAILABLE)
        err = read_sync(db, until);
    if (failed == TP_ERR_UNAVAILABLE)
        tp_pg_drop(db); /* its message says why */
    else if (err)
        failed = lose(db, err);
    db->sent_count = 0;
    if (failed || !last)
        PQclear(result);
    else
        *last = result;
    return failed;
}

enum tp_err tp_pg_exec(struct tp_db *db, const char *sql)
{
    int64_t until = deadline(db);
    enum tp_err failed = db->sent_count ? tp_pg_finish(db, NULL) : TP_OK, err;
    PGresult *result = NULL;

    if (failed || !db->raw)
        return failed ? failed : TP_ERR_UNAVAILABLE;
    if (!PQexitPipelineMode(db->raw) || !PQsendQuery(db->raw, sql))
        return lose(db, TP_ERR_UNAVAILABLE);
    while (!(err = next_result(db, until, &result)) && result) {
        struct tp_pg_sent sent = { NULL, false };

        judge(db, &sent, result, &failed);
        PQclear(result);
    }
    if (failed == TP_ERR_UNAVAILABLE)
        tp_pg_drop(db);
    else if (err || !PQenterPipelineMode(db->raw))
        failed = lose(db, err);
    return failed;
}

/* --- Between statements ----------------------------------------------------------------------- */

static void take_notifications(struct tp_db *db)
{
    PGnotify *notify;

    while ((notify = PQnotifies(db->raw))) {
        db->notified = true;
        PQfreemem(notify);
    }
}

void tp_pg_look(struct tp_db *db)
{
    /* A last message, then the end of the connection: each is a read of its own. */
    for (int i = 0; db->raw && i < 8; i++) {
        struct pollfd fd = { .fd = PQsocket(db->raw), .events = POLLIN };

        if (PQstatus(db->raw) == CONNECTION_OK && fd.fd >= 0 && poll(&fd, 1, 0) <= 0)
            break;
        if (PQstatus(db->raw) != CONNECTION_OK || fd.fd < 0 || !PQconsumeInput(db->raw))
            lose(db, TP_ERR_UNAVAILABLE);
    }
    if (db->raw)
        take_notifications(db);
}
