/*
 * Inside the PostgreSQL driver: the connection, what was sent on it, and how its answers are waited for.
 *
 * libpq runs in pipeline mode and non-blocking: statements whose answer nobody needs at once travel with the next
 * one, and every wait has a deadline of ours, so that a server that is frozen or cut off cannot hold a thread.
 */
#ifndef TP_STORE_POSTGRES_PRIV_H
#define TP_STORE_POSTGRES_PRIV_H

#include "store/driver.h"
#include "store/store.h"

#include <libpq-fe.h>

#define TP_PG_MAX_SENT 256 /* their answers fit into the socket's buffers: neither side waits for the other */
#define TP_PG_PARAMS 24

struct tp_pg_sent {
    struct tp_stmt *stmt; /* NULL: a command without parameters */
    bool prepares;        /* the statement is made, not run */
};

struct tp_db {
    PGconn *raw;         /* NULL: not connected */
    uint64_t generation; /* of the connection: statements are prepared in one */
    bool replica;        /* read from, never written to */
    bool lost_in_tx;     /* nothing works before the transaction's end */
    enum tp_tx_mode tx;

    /* For connecting again. */
    const char *keywords[TP_PG_PARAMS];
    char *values[TP_PG_PARAMS];
    size_t param_count;
    char *hosts;         /* separated by commas */
    char *schema;        /* NULL: as the server has it */
    int timeout_ms;
    int retry_ms;        /* the pause after the last attempt that failed; 0: it did not */
    int64_t retry_at_ms;

    struct tp_pg_sent sent[TP_PG_MAX_SENT]; /* since the last answer */
    size_t sent_count;
    uint64_t names;      /* of prepared statements */
    bool listening;
    bool notified;
    bool timed_out;      /* the connection was given up: it was alive, and silent */
    char error[256];
};

struct tp_stmt {
    struct tp_db *db;
    char *sql;
    char name[24];
    uint64_t generation; /* of the connection that has it prepared; 0: none */
    int param_count;
    const char **values;
    int *lengths;
    int *formats;
    struct tp_uuid *fixed; /* numbers and ids, by parameter */
    PGresult *result;      /* NULL: not yet run */
    int row;
};

/* --- postgres_connect.c ----------------------------------------------------------------------- */

struct tp_db *tp_pg_new(const struct tp_postgres_options *options, bool replica);
void tp_pg_free(struct tp_db *db);
/*
 * Be connected. After an attempt that failed the next ones are refused for a while, which grows: who asks in between
 * gets the answer at once.
 */
enum tp_err tp_pg_connect(struct tp_db *db);
/* Close the connection; what was prepared in it is forgotten. */
void tp_pg_drop(struct tp_db *db);

/* --- postgres_wire.c -------------------------------------------------------------------------- */

/* Put into db->error what the driver itself has to say. Returns err. */
enum tp_err tp_pg_fail(struct tp_db *db, enum tp_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Wait for the socket. TP_ERR_TIMEOUT at `until` (monotonic). */
enum tp_err tp_pg_wait(struct tp_db *db, short events, int64_t until);

/* A new name for the server to know the statement by: it is prepared when it runs next. */
void tp_pg_name(struct tp_stmt *stmt);

/* Into the pipeline; the answer comes with tp_pg_finish. */
enum tp_err tp_pg_send_command(struct tp_db *db, const char *sql);
enum tp_err tp_pg_send_stmt(struct tp_db *db, struct tp_stmt *stmt);
/*
 * Wait for everything that was sent. *last (may be NULL) is the answer to the last, owned by the caller. The first
 * failure counts. A connection that is lost, or silent for too long, is dropped: TP_ERR_UNAVAILABLE.
 */
enum tp_err tp_pg_finish(struct tp_db *db, PGresult **last);
/* Several statements in one text, outside the pipeline. */
enum tp_err tp_pg_exec(struct tp_db *db, const char *sql);

/* Notice a connection that has ended while nobody used it, and take what came in. */
void tp_pg_look(struct tp_db *db);

/* --- postgres_error.c ------------------------------------------------------------------------- */

enum tp_err tp_pg_classify(const char *sqlstate);
/* Into db->error without newlines; never details, which hold values. */
void tp_pg_note(struct tp_db *db, const char *message);
enum tp_err tp_pg_failed(struct tp_db *db, const PGresult *result);

#endif
