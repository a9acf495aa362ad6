/*
 * The source of truth: entities in SQL, one schema for SQLite and PostgreSQL, written by control only.
 *
 * Every write happens between begin and commit and leaves a row in the outbox, numbered by feed_clock
 * in the same transaction; so the feed's order is the order of commits, without gaps. Calls block:
 * never from a worker. One thread at a time per store.
 */
#ifndef TP_STORE_STORE_H
#define TP_STORE_STORE_H

#include "base/diag.h"
#include "model/entity.h"

struct tp_store;

/* --- Life ------------------------------------------------------------------------------------- */

/*
 * Open the SQLite database at `path`, making it when absent. Does not migrate.
 * On success *out owns the store: tp_store_free. On failure `diag` says what the operator must fix.
 */
enum tp_err tp_sqlite_open(struct tp_store **out, const char *path, struct tp_diag *diag);

struct tp_sqlite_options {
    int busy_timeout_ms; /* how long to wait for another writer; 0: 10 s */
    uint32_t max_pages;  /* refuse to grow beyond (4 KiB each); 0: no limit */
};
enum tp_err tp_sqlite_open_with(struct tp_store **out, const char *path, const struct tp_sqlite_options *options,
                                struct tp_diag *diag);

struct tp_postgres_options {
    const char *host; /* name, address or folder of a unix socket; NULL: 127.0.0.1. Several, by commas: the primary */
    int port;         /* 0: 5432 */
    const char *database;
    const char *user;
    const char *password; /* NULL: none */
    const char *schema;   /* NULL: the first of the server's search path. Made by migrate when absent */
    bool ssl;             /* never without */
    bool ssl_verify;      /* certificate and host name */
    const char *ca_file;  /* NULL: the system's */
    const char *cert_file, *key_file; /* ours; NULL: none */
    int timeout_ms;       /* to connect, of a statement, for a lock; 0: 5 s */
    /* A standby for get, get_by, page, tags and each outside transactions, while it answers; it may lag behind. */
    const struct tp_postgres_options *replica;
};
/*
 * Connect to a PostgreSQL database (11 or newer, UTF-8). Does not migrate. A connection that is lost fails the call,
 * or the transaction, with TP_ERR_UNAVAILABLE; the next one looks for the server again, after a pause that grows to
 * 5 s. A commit that ends with it may have been made. TP_ERR_AGAIN: a deadlock was resolved at our cost; the whole
 * transaction may be tried again. On failure `diag` says what the operator must fix.
 */
enum tp_err tp_postgres_open(struct tp_store **out, const struct tp_postgres_options *options, struct tp_diag *diag);

void tp_store_free(struct tp_store *store);

/* What the last failed call ran into, for the log; "" before any. Valid until the next call. */
const char *tp_store_error(const struct tp_store *store);

/* Take the time (epoch, milliseconds) from `now_ms` instead of the system: for tests. */
void tp_store_set_clock(struct tp_store *store, int64_t (*now_ms)(void *data), void *data);

/*
 * From here on results of entities with a ttl also hold `expires_at`, epoch seconds or null: for the read
 * model, which wants the moment and not the rest.
 */
void tp_store_show_expiry(struct tp_store *store, bool show);

/*
 * Pending migrations by name, one a line; empty text: none. Owned by the caller. migrate applies them in
 * one transaction; of two processes one does the work and the other finds it done.
 */
enum tp_err tp_store_migrations_pending(struct tp_store *store, char **out, struct tp_diag *diag);
enum tp_err tp_store_migrate(struct tp_store *store, struct tp_diag *diag);

/* Ask the database something trivial: TP_OK or TP_ERR_UNAVAILABLE. */
enum tp_err tp_store_ping(struct tp_store *store);

/* Drawn when the database was made: tells a read model of another database. */
enum tp_err tp_store_identity(struct tp_store *store, struct tp_uuid *out);

/* --- Transactions ----------------------------------------------------------------------------- */

enum tp_err tp_store_begin(struct tp_store *store);      /* for writing */
enum tp_err tp_store_begin_read(struct tp_store *store); /* one snapshot for several reads */
/*
 * *position (may be NULL): the feed position of this transaction, or the newest when it wrote nothing.
 * On failure nothing of it remains and no transaction is open. After an error other than a fault (disk full,
 * I/O) every call says the same until commit or rollback. More than 100,000 changes are told as one REREAD.
 */
enum tp_err tp_store_commit(struct tp_store *store, uint64_t *position);
void tp_store_rollback(struct tp_store *store); /* harmless without a transaction */

/* --- Entities --------------------------------------------------------------------------------- */
/*
 * Values are complete entity objects. Ownership of json_t results passes to the caller. Rows whose
 * ttl has passed are never found. Results of entities with a ttl always hold `ttl`: the remaining seconds,
 * or null. In values written it is seconds from now; null and 0: never; absent in an update: as before.
 */

/* What went wrong with a write, for the Admin API's answer. */
struct tp_store_fault {
    enum tp_err err;    /* TP_ERR_EXISTS, TP_ERR_REFERENCE, … */
    bool primary_key;   /* EXISTS: the id itself */
    json_t *fields;     /* the violated key as an object; owned: tp_store_fault_fini */
    const char *entity; /* REFERENCE: the missing parent's or the referring child's table */
    bool referenced_by; /* REFERENCE: a delete was refused */
    char message[256];  /* anything else: for the log */
};
void tp_store_fault_fini(struct tp_store_fault *fault);

enum tp_err tp_store_get(struct tp_store *store, const struct tp_entity *entity, const struct tp_uuid *id,
                         json_t **out);
/* By a unique field; TP_ERR_NOT_FOUND, too, for one that is not unique. */
enum tp_err tp_store_get_by(struct tp_store *store, const struct tp_entity *entity, const char *field,
                            struct tp_str value, json_t **out);

enum tp_err tp_store_insert(struct tp_store *store, const struct tp_entity *entity, const json_t *value,
                            struct tp_store_fault *fault);

struct tp_store_item {
    const struct tp_entity *entity;
    const json_t *value;
};
/*
 * Insert all, in one go where the database gains by it; a hundred at a time do. On a fault *failed is the index of
 * the item, and those before it are inserted.
 */
enum tp_err tp_store_insert_many(struct tp_store *store, const struct tp_store_item *items, size_t count,
                                 size_t *failed, struct tp_store_fault *fault);
/* Replace the row with the value's id; TP_ERR_NOT_FOUND when there is none. */
enum tp_err tp_store_update(struct tp_store *store, const struct tp_entity *entity, const json_t *value,
                            struct tp_store_fault *fault);
/* Deletes what cascades too, each with its outbox row; TP_ERR_NOT_FOUND when there is none. */
enum tp_err tp_store_delete(struct tp_store *store, const struct tp_entity *entity, const struct tp_uuid *id,
                            struct tp_store_fault *fault);

struct tp_page_query {
    const char *foreign_field;     /* only rows whose foreign key `foreign_field` … */
    const struct tp_uuid *foreign; /* … is this; NULL: all */
    const struct tp_str *tags;     /* at most 5 */
    size_t tag_count;
    bool tags_any;               /* OR instead of AND */
    const struct tp_uuid *after; /* continue behind this id; NULL: from the start */
    size_t size;                 /* rows, at least 1 */
    /* tp_store_tags only: with `after`, the rest of the last row seen; data NULL: behind all of that id. */
    struct tp_str after_entity;
    struct tp_str after_tag;
};

/* Rows by ascending id as a JSON array; *more tells that further rows follow. */
enum tp_err tp_store_page(struct tp_store *store, const struct tp_entity *entity, const struct tp_page_query *query,
                          json_t **rows, bool *more);

/* GET /tags[/:tag]: objects {tag, entity_name, entity_id} by entity_id; `tag` data NULL: all. */
enum tp_err tp_store_tags(struct tp_store *store, struct tp_str tag, const struct tp_page_query *query, json_t **rows,
                          bool *more);

/* Names of plugins with at least one row: JSON array of text. */
enum tp_err tp_store_plugin_names(struct tp_store *store, json_t **out);

/*
 * All rows of an entity in id order, of one snapshot, without building a list. The callback borrows the
 * value and may read from the store; its error ends the walk and is returned.
 */
typedef enum tp_err (*tp_store_row_fn)(void *data, const json_t *value);
enum tp_err tp_store_each(struct tp_store *store, const struct tp_entity *entity, tp_store_row_fn fn, void *data);

/* --- Bulk load -------------------------------------------------------------------------------- */
/*
 * Between these, inserts leave no outbox rows of their own; end writes one "re-read everything" row.
 * Inside a transaction.
 */
enum tp_err tp_store_bulk_begin(struct tp_store *store);
enum tp_err tp_store_bulk_end(struct tp_store *store);

/* --- The feed --------------------------------------------------------------------------------- */

enum tp_feed_op { TP_FEED_PUT, TP_FEED_DELETE, TP_FEED_REREAD };

struct tp_feed_row {
    uint64_t seq;     /* 1, 2, 3 … without gaps */
    uint64_t tx_last; /* seq of the last row of the same transaction: rows up to it belong together */
    enum tp_feed_op op;
    const struct tp_entity *entity; /* NULL: REREAD, or a kind that this version does not know */
    struct tp_uuid id;
};

/*
 * Up to `max` rows with seq > after, in order. TP_ERR_NOT_FOUND when rows behind `after` were
 * pruned or a number is missing: rebuild then. *rows is owned: free().
 */
enum tp_err tp_store_feed(struct tp_store *store, uint64_t after, size_t max, struct tp_feed_row **rows, size_t *count);
enum tp_err tp_store_position(struct tp_store *store, uint64_t *out); /* the newest seq; 0: none */
/*
 * Drop the oldest rows: those older than `older_than_s` seconds, and those before the newest `keep_rows`.
 * In short transactions of its own when none is open.
 */
enum tp_err tp_store_prune(struct tp_store *store, uint64_t keep_rows, int64_t older_than_s);
/*
 * Wait until the feed may have moved (TP_OK), or `wake_fd` (-1: none) can be read (TP_OK; it is left to the caller),
 * or `timeout_ms` have passed (TP_ERR_TIMEOUT). The first call returns at once; so does the first after a lost
 * connection, which ends a wait with TP_ERR_UNAVAILABLE. While the database is away it waits all the same before it
 * says so. SQLite tells of nothing: poll behind it. Not in a transaction.
 */
enum tp_err tp_store_wait(struct tp_store *store, int wake_fd, int timeout_ms);
/* Delete rows whose ttl has passed, with outbox rows; at most `max` (and what cascades from them). */
enum tp_err tp_store_sweep(struct tp_store *store, size_t max, size_t *swept);

/* --- Saved counters (quota windows of an hour and longer) -------------------------------------- */

struct tp_saved_counter {
    uint8_t table;        /* enum tp_quota_table */
    uint8_t period;       /* enum tp_period */
    uint8_t name[32];     /* instance uuid + identity digest: the counter's name */
    int64_t window_start; /* epoch seconds */
    uint64_t count;
};
enum tp_err tp_store_counters_save(struct tp_store *store, const struct tp_saved_counter *counters, size_t n);
typedef void (*tp_store_counter_fn)(void *data, const struct tp_saved_counter *counter);
/* Only windows that still run at `now_s`; older ones are deleted by save. */
enum tp_err tp_store_counters_load(struct tp_store *store, int64_t now_s, tp_store_counter_fn fn, void *data);

#endif
