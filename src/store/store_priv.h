/*
 * Inside the store: the connection's state, queries, and how entities lie in tables.
 */
#ifndef TP_STORE_STORE_PRIV_H
#define TP_STORE_STORE_PRIV_H

#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"
#include "store/driver.h"
#include "store/store.h"

/* --- Tables ----------------------------------------------------------------------------------- */
/*
 * The table of an entity: id, doc (the whole value as JSON text, without ttl), expires_at, and a column for
 * each field that the database must find or judge. All of these derive from doc.
 */

enum tp_column_kind {
    TP_COLUMN_TEXT, /* a field that is unique, or part of a composite key */
    TP_COLUMN_FOREIGN,
    TP_COLUMN_COMPOSITE, /* cache_key: all fields of the composite key in one text, nulls included */
};

struct tp_column {
    const char *name;
    enum tp_column_kind kind;
    bool unique;
    const struct tp_field *field;   /* NULL: COMPOSITE */
    const struct tp_entity *parent; /* FOREIGN */
};

struct tp_table {
    const struct tp_entity *entity;
    struct tp_column *columns;
    size_t column_count;
    json_t *defaults; /* for fields that rows of an older version lack */
    bool has_tags;
    char *insert_sql;
    char *load_sql; /* an insert that fails when there is such a row */
    char *update_sql;
    char *delete_sql;
    char *get_sql;
};

struct tp_table *tp_tables_new(void);
void tp_tables_free(struct tp_table *tables);

/* The uuid in {"id": …}: false when `value` is null, absent or malformed. */
bool tp_column_foreign_id(const json_t *value, struct tp_uuid *out);

/* What a column holds for `value`: owned text, or NULL for null. Not for FOREIGN. */
char *tp_column_text(const struct tp_table *table, const struct tp_column *column, const json_t *value);

/* The text under which a unique text is stored: itself, or a digest when it is too long for an index. Owned. */
char *tp_column_key(struct tp_str text);

/* --- The store -------------------------------------------------------------------------------- */

struct tp_pending_change {
    const struct tp_entity *entity;
    enum tp_feed_op op;
    struct tp_uuid id;
};

struct tp_store {
    const struct tp_driver *driver;
    struct tp_db *db;
    struct tp_map *statements; /* by SQL text; the number of texts is bounded by how they are built */
    struct tp_table *tables;   /* parallel to tp_entities */

    enum tp_tx_mode tx;
    enum tp_err tx_err; /* the transaction is lost; every query says so until it ends */
    bool bulk;
    bool reread; /* the transaction ends in one REREAD row, whatever is pending */
    struct tp_pending_change *pending;
    size_t pending_count, pending_cap;

    int64_t (*now_ms)(void *data);
    void *clock_data;
    bool show_expiry;
    struct tp_store *replica; /* for reads outside transactions; NULL: none */
    char error[256];
};

struct tp_table *tp_store_table(struct tp_store *store, const struct tp_entity *entity);

/* Epoch seconds, rounded up: a ttl of 1 lasts one second at least. */
int64_t tp_store_now(struct tp_store *store);

/* Note why a call fails, unless the driver did. Returns err. */
enum tp_err tp_store_fail(struct tp_store *store, enum tp_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Alone among all that migrate. */
enum tp_err tp_store_begin_migrate(struct tp_store *store);

/* A transaction of our own, unless the caller has one. leave() commits or rolls back what enter() began. */
enum tp_err tp_store_enter(struct tp_store *store, bool *own);
enum tp_err tp_store_leave(struct tp_store *store, bool own, enum tp_err err);

/* Part of the transaction that can be undone alone. */
struct tp_savepoint {
    const char *name;
    size_t pending_count;
    bool reread;
};
enum tp_err tp_savepoint_set(struct tp_store *store, struct tp_savepoint *sp, const char *name);
/* Keeps (err == TP_OK) or undoes what came after. Returns err, or what went wrong here. */
enum tp_err tp_savepoint_end(struct tp_store *store, const struct tp_savepoint *sp, enum tp_err err);

/* --- Queries ---------------------------------------------------------------------------------- */
/*
 * A prepared statement in use. Binding never fails: the first error shows in tp_query_row. Every query is ended,
 * before the same text is begun again.
 */
struct tp_query {
    struct tp_store *store;
    struct tp_cached_stmt *cached; /* NULL: err is set */
    int next_param;
    enum tp_err err;
};

struct tp_query tp_query_begin(struct tp_store *store, const char *sql);
/* Parameters in their order. */
void tp_query_int(struct tp_query *q, int64_t value);
void tp_query_text(struct tp_query *q, struct tp_str value);
void tp_query_bytes(struct tp_query *q, struct tp_str value);
void tp_query_uuid(struct tp_query *q, const struct tp_uuid *value); /* NULL: null */
/* The next row. *row false: there is none, or an error. */
enum tp_err tp_query_row(struct tp_query *q, bool *row);
void tp_query_end(struct tp_query *q);
/* For statements whose rows do not matter: row and end in one. */
enum tp_err tp_query_run(struct tp_query *q);
/* The same; a failure may show only in a later statement, or in the commit. */
enum tp_err tp_query_defer(struct tp_query *q);

bool tp_query_is_null(struct tp_query *q, int column);
int64_t tp_query_get_int(struct tp_query *q, int column);
struct tp_str tp_query_get_text(struct tp_query *q, int column);
struct tp_str tp_query_get_bytes(struct tp_query *q, int column);
bool tp_query_get_uuid(struct tp_query *q, int column, struct tp_uuid *out);

/* Finalize what is cached; no query is in use. */
void tp_store_forget_statements(struct tp_store *store);

/* The value in a row that starts with id, doc, expires_at. *out is owned. */
enum tp_err tp_query_value(struct tp_query *q, const struct tp_table *table, json_t **out);

/* --- Writing ---------------------------------------------------------------------------------- */

/* A row as it is written. */
struct tp_row_write {
    struct tp_table *table;
    const json_t *value;
    struct tp_uuid id;
    char *doc;
    bool expires;
    int64_t expires_at;
    char **texts;            /* by column, NULL: null */
    struct tp_uuid *foreign; /* by column, nil: null */
    bool *has_foreign;
    bool orphan; /* refers to an entity that this build lacks */
};

/* The row that has a key which another one wants. */
struct tp_clash {
    bool found;
    const struct tp_column *column; /* NULL: the id */
    struct tp_uuid id;              /* who has the key */
    bool expired;
};

/* The id first (when inserting), then the columns in their order. */
enum tp_err tp_fault_find_clash(struct tp_store *store, const struct tp_row_write *w, bool is_insert,
                                struct tp_clash *clash);
void tp_fault_tell_clash(const struct tp_row_write *w, const struct tp_clash *clash, struct tp_store_fault *fault);
/* Puts the first reference that points nowhere into the fault. TP_ERR_REFERENCE, or what went wrong here. */
enum tp_err tp_fault_tell_missing_parent(struct tp_store *store, const struct tp_row_write *w,
                                         struct tp_store_fault *fault);
/* The end of a call that has a fault: keeps what went wrong when nothing more exact is known. Returns err. */
enum tp_err tp_fault_finish(struct tp_store *store, struct tp_store_fault *fault, enum tp_err err);

/* Without regard to ttl. Part of a savepoint of the caller's, or of a transaction that ends with a failure. */
enum tp_err tp_delete_row(struct tp_store *store, struct tp_table *table, const struct tp_uuid *id,
                          struct tp_store_fault *fault);
enum tp_err tp_delete_tags(struct tp_store *store, const struct tp_table *table, const struct tp_uuid *id);

/* --- Between the files ------------------------------------------------------------------------ */

/* Note a change for the feed; outbox rows are written at commit. */
void tp_feed_note(struct tp_store *store, enum tp_feed_op op, const struct tp_entity *entity,
                  const struct tp_uuid *id);
/*
 * Write the outbox rows and move the clock: the last statements of a transaction. *last is the clock's new time,
 * untouched when there is nothing to write.
 */
enum tp_err tp_feed_write(struct tp_store *store, uint64_t *last);

/* Refuse a schema that only a newer version can handle. A database without schema is fine. */
enum tp_err tp_migrate_check(struct tp_store *store, struct tp_diag *diag);

#endif
