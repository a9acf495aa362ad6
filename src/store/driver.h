/*
 * What the store needs from a database: prepared statements over one connection, and transactions.
 *
 * The store's own code is written once, in the SQL that SQLite (from 3.35) and PostgreSQL share: parameters
 * are $1, $2 … and stand in a statement in the order of their numbers; identifiers are double-quoted;
 * upserts are ON CONFLICT, results of writes RETURNING. What differs is here.
 */
#ifndef TP_STORE_DRIVER_H
#define TP_STORE_DRIVER_H

#include "base/diag.h"
#include "turnpike/uuid.h"

struct tp_db;   /* a connection; each driver's own */
struct tp_stmt; /* a prepared statement; each driver's own */
struct tp_store;

enum tp_tx_mode {
    TP_TX_NONE,
    TP_TX_READ, /* one snapshot, nothing is written */
    TP_TX_WRITE,
    TP_TX_MIGRATE, /* for writing, alone among all that migrate */
};

/*
 * Errors: TP_ERR_EXISTS and TP_ERR_REFERENCE for violated constraints; TP_ERR_FULL, TP_ERR_IO,
 * TP_ERR_DAMAGED, TP_ERR_TIMEOUT (locked too long), TP_ERR_UNAVAILABLE, TP_ERR_TOO_LARGE; TP_ERR_AGAIN when the whole
 * transaction may succeed next time (a deadlock); TP_ERR_INVALID for the rest. Where the database is away, the next
 * begin, or the next statement outside a transaction, looks for it again.
 */
struct tp_driver {
    const char *type_int; /* 64 bits */
    const char *type_bytes;
    const char *type_uuid; /* compares as its 16 bytes do */
    const char *type_text; /* compares as its bytes do */

    /* A failed statement loses the whole transaction: guard those that may fail with a savepoint. */
    bool failure_ends_tx;

    const char *sql_ping;
    const char *sql_table_exists; /* $1: name; a row when there is such a table */
    const char *sql_notify;       /* part of every transaction that writes feed rows; NULL: none */
    /* Behind a SELECT: the rows stay as they are until the transaction ends. NULL: a writer is alone anyway. */
    const char *sql_lock_to_write;
    const char *sql_lock_to_delete; /* nothing can refer to them, either */

    void (*close)(struct tp_db *db);
    const char *(*error)(const struct tp_db *db); /* of the last failure; never NULL */

    enum tp_err (*exec)(struct tp_db *db, const char *sql); /* statements without parameters and results */
    enum tp_err (*begin)(struct tp_db *db, enum tp_tx_mode mode);
    enum tp_err (*commit)(struct tp_db *db);
    void (*rollback)(struct tp_db *db); /* harmless without a transaction */
    /* As tp_store_wait; NULL: nobody tells. */
    enum tp_err (*wait)(struct tp_db *db, int wake_fd, int timeout_ms);

    enum tp_err (*prepare)(struct tp_db *db, const char *sql, struct tp_stmt **out);
    void (*finalize)(struct tp_stmt *stmt);

    /* Text and bytes are borrowed until reset. A failed bind shows in step. Absent text is null. */
    void (*bind_null)(struct tp_stmt *stmt, int index);
    void (*bind_int)(struct tp_stmt *stmt, int index, int64_t value);
    void (*bind_text)(struct tp_stmt *stmt, int index, struct tp_str value);
    void (*bind_bytes)(struct tp_stmt *stmt, int index, struct tp_str value);
    void (*bind_uuid)(struct tp_stmt *stmt, int index, const struct tp_uuid *value);

    /* The next row, or its absence, which also means: done. */
    enum tp_err (*step)(struct tp_stmt *stmt, bool *row);
    /*
     * In a transaction, for a statement whose rows nobody reads: run it with the next one that is stepped, or with
     * the commit. Its failure shows there. Parameters are copied. NULL: step does as well.
     */
    enum tp_err (*defer)(struct tp_stmt *stmt);
    void (*reset)(struct tp_stmt *stmt); /* ready to be bound afresh, parameters null */

    /* Columns count from 0; text and bytes are valid until the next step or reset. */
    bool (*is_null)(struct tp_stmt *stmt, int column);
    int64_t (*get_int)(struct tp_stmt *stmt, int column);
    struct tp_str (*get_text)(struct tp_stmt *stmt, int column);
    struct tp_str (*get_bytes)(struct tp_stmt *stmt, int column);
    bool (*get_uuid)(struct tp_stmt *stmt, int column, struct tp_uuid *out); /* false: not one */
};

/*
 * A store over an open connection, which it takes (closed on failure too). Refuses, with a diag, a schema
 * that only a newer version can handle.
 */
enum tp_err tp_store_over(struct tp_store **out, const struct tp_driver *driver, struct tp_db *db,
                          struct tp_diag *diag);

/*
 * Reads outside transactions go to another database that follows this one, as long as it answers. Takes `db`, which
 * need not be connected.
 */
void tp_store_read_from(struct tp_store *store, const struct tp_driver *driver, struct tp_db *db);

#endif
