/*
 * The SQLite driver: WAL, foreign keys on, every commit synced. The file holds secrets and is made
 * readable by its owner only.
 */
#include "base/mem.h"
#include "store/driver.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#define BUSY_TIMEOUT_MS 10000
#define WAL_ATTEMPTS 50

struct tp_db {
    sqlite3 *raw;
    char error[256];
};

struct tp_stmt {
    struct tp_db *db;
    sqlite3_stmt *raw;
    int bind_result; /* the first failure, shown by step */
};

/* --- Errors ----------------------------------------------------------------------------------- */

/*
 * SQLite calls it "full" only for ENOSPC; a quota or a limit is an I/O error to it. A failed COMMIT does not
 * note the system's error: errno is still that of the failed write.
 */
static bool is_out_of_space(sqlite3 *raw, int code)
{
    int number = sqlite3_system_errno(raw) ? sqlite3_system_errno(raw) : errno;
    bool writing = code == SQLITE_IOERR_WRITE || code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_TRUNCATE ||
                   code == SQLITE_IOERR_SHMSIZE || code == SQLITE_IOERR_SHMOPEN;

    return writing && (number == EFBIG || number == EDQUOT || number == ENOSPC);
}

static enum tp_err classify(sqlite3 *raw, int code)
{
    switch (code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID: return TP_ERR_EXISTS;
    case SQLITE_CONSTRAINT_FOREIGNKEY: return TP_ERR_REFERENCE;
    default: break;
    }
    switch (code & 0xff) {
    case SQLITE_FULL: return TP_ERR_FULL;
    case SQLITE_IOERR: return is_out_of_space(raw, code) ? TP_ERR_FULL : TP_ERR_IO;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN: return TP_ERR_IO;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return TP_ERR_DAMAGED;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: return TP_ERR_TIMEOUT;
    case SQLITE_TOOBIG: return TP_ERR_TOO_LARGE;
    default: return TP_ERR_INVALID;
    }
}

static enum tp_err fail(struct tp_db *db, int code)
{
    enum tp_err err = classify(db->raw, code);

    snprintf(db->error, sizeof(db->error), "sqlite: %s", sqlite3_errmsg(db->raw));
    return err;
}

static const char *db_error(const struct tp_db *db)
{
    return db->error;
}

/* --- Statements ------------------------------------------------------------------------------- */

static enum tp_err db_exec(struct tp_db *db, const char *sql)
{
    int code = sqlite3_exec(db->raw, sql, NULL, NULL, NULL);

    return code ? fail(db, code) : TP_OK;
}

static enum tp_err db_prepare(struct tp_db *db, const char *sql, struct tp_stmt **out)
{
    sqlite3_stmt *raw;
    struct tp_stmt *stmt;
    int code = sqlite3_prepare_v3(db->raw, sql, -1, SQLITE_PREPARE_PERSISTENT, &raw, NULL);

    if (code)
        return fail(db, code);
    /* SQLite takes $1 for a name and numbers parameters as they appear. */
    for (int i = 1; i <= sqlite3_bind_parameter_count(raw); i++)
        TP_ASSERT(strtol(sqlite3_bind_parameter_name(raw, i) + 1, NULL, 10) == i);
    stmt = tp_new(struct tp_stmt);
    stmt->db = db;
    stmt->raw = raw;
    *out = stmt;
    return TP_OK;
}

static void stmt_finalize(struct tp_stmt *stmt)
{
    sqlite3_finalize(stmt->raw);
    free(stmt);
}

static void note_bind(struct tp_stmt *stmt, int code)
{
    if (code && !stmt->bind_result)
        stmt->bind_result = code;
}

static void bind_null(struct tp_stmt *stmt, int index)
{
    note_bind(stmt, sqlite3_bind_null(stmt->raw, index));
}

static void bind_int(struct tp_stmt *stmt, int index, int64_t value)
{
    note_bind(stmt, sqlite3_bind_int64(stmt->raw, index, value));
}

static void bind_text(struct tp_stmt *stmt, int index, struct tp_str value)
{
    note_bind(stmt, sqlite3_bind_text64(stmt->raw, index, value.data, value.len, SQLITE_STATIC, SQLITE_UTF8));
}

static void bind_bytes(struct tp_stmt *stmt, int index, struct tp_str value)
{
    note_bind(stmt, sqlite3_bind_blob64(stmt->raw, index, value.data, value.len, SQLITE_STATIC));
}

static void bind_uuid(struct tp_stmt *stmt, int index, const struct tp_uuid *value)
{
    note_bind(stmt, sqlite3_bind_blob(stmt->raw, index, value->bytes, sizeof(value->bytes), SQLITE_TRANSIENT));
}

static enum tp_err stmt_step(struct tp_stmt *stmt, bool *row)
{
    int code = stmt->bind_result ? stmt->bind_result : sqlite3_step(stmt->raw);

    *row = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE ? TP_OK : fail(stmt->db, code);
}

static void stmt_reset(struct tp_stmt *stmt)
{
    sqlite3_reset(stmt->raw);
    sqlite3_clear_bindings(stmt->raw);
    stmt->bind_result = 0;
}

static bool is_null(struct tp_stmt *stmt, int column)
{
    return sqlite3_column_type(stmt->raw, column) == SQLITE_NULL;
}

static int64_t get_int(struct tp_stmt *stmt, int column)
{
    return sqlite3_column_int64(stmt->raw, column);
}

static struct tp_str get_text(struct tp_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt->raw, column);

    return tp_str_make(text, text ? (size_t)sqlite3_column_bytes(stmt->raw, column) : 0);
}

static struct tp_str get_bytes(struct tp_stmt *stmt, int column)
{
    const char *bytes = sqlite3_column_blob(stmt->raw, column);

    return tp_str_make(bytes, bytes ? (size_t)sqlite3_column_bytes(stmt->raw, column) : 0);
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

static enum tp_err db_begin(struct tp_db *db, enum tp_tx_mode mode)
{
    enum tp_err err;

    if (mode != TP_TX_READ)
        return db_exec(db, "BEGIN IMMEDIATE");
    err = db_exec(db, "BEGIN");
    if (err)
        return err;
    /* The snapshot is taken by the first read, not by BEGIN. */
    err = db_exec(db, "SELECT 1 FROM sqlite_schema LIMIT 1");
    if (err)
        sqlite3_exec(db->raw, "ROLLBACK", NULL, NULL, NULL);
    return err;
}

static enum tp_err db_commit(struct tp_db *db)
{
    return db_exec(db, "COMMIT");
}

static void db_rollback(struct tp_db *db)
{
    if (!sqlite3_get_autocommit(db->raw))
        sqlite3_exec(db->raw, "ROLLBACK", NULL, NULL, NULL);
}

/* --- Opening ---------------------------------------------------------------------------------- */

static void db_close(struct tp_db *db)
{
    sqlite3_close(db->raw);
    free(db);
}

/*
 * Make an empty file that only its owner can read, unless there is one. It gets its name only when it is
 * complete and closed: closing a descriptor of the database would drop the locks that another connection of
 * this process holds on it.
 */
static enum tp_err make_file(const char *path, struct tp_diag *diag)
{
    struct tp_str name = tp_str_from_cstr(path);
    char *temporary;
    int fd, number = 0;

    if (access(path, F_OK) == 0)
        return TP_OK;
    temporary = tp_calloc(1, name.len + sizeof(".XXXXXX"));
    memcpy(temporary, path, name.len);
    memcpy(temporary + name.len, ".XXXXXX", sizeof(".XXXXXX"));
    fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (fd < 0) {
        number = errno;
    } else {
        close(fd);
        if (link(temporary, path) < 0 && errno != EEXIST)
            number = errno;
        unlink(temporary);
    }
    free(temporary);
    if (!number)
        return TP_OK;
    tp_diag_add(diag, path, "cannot make the database: %s", strerror(number));
    return number == ENOSPC || number == EDQUOT ? TP_ERR_FULL : TP_ERR_IO;
}

/* Changing to WAL needs the file alone for a moment, and does not wait for it by the busy timeout. */
static enum tp_err use_wal(struct tp_db *db)
{
    enum tp_err err = TP_OK;

    for (int i = 0; i < WAL_ATTEMPTS; i++) {
        err = db_exec(db, "PRAGMA journal_mode = WAL");
        if (err != TP_ERR_TIMEOUT)
            break;
        sqlite3_sleep(20);
    }
    return err;
}

static enum tp_err configure(struct tp_db *db, const struct tp_sqlite_options *options)
{
    char limit[64];
    enum tp_err err;

    sqlite3_extended_result_codes(db->raw, 1);
    sqlite3_busy_timeout(db->raw, options->busy_timeout_ms > 0 ? options->busy_timeout_ms : BUSY_TIMEOUT_MS);
    sqlite3_db_config(db->raw, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db->raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db->raw, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(db->raw, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    err = use_wal(db);
    if (!err)
        err = db_exec(db, "PRAGMA synchronous = FULL;"
                          "PRAGMA foreign_keys = ON;"
                          "PRAGMA cell_size_check = ON;"
                          "PRAGMA temp_store = MEMORY;"
                          "PRAGMA cache_size = -16384;"
                          "PRAGMA journal_size_limit = 67108864");
    if (!err && options->max_pages) {
        snprintf(limit, sizeof(limit), "PRAGMA max_page_count = %u", options->max_pages);
        err = db_exec(db, limit);
    }
    return err;
}

static enum tp_err explain(struct tp_db *db, enum tp_err err, const char *path, struct tp_diag *diag)
{
    switch (err) {
    case TP_ERR_DAMAGED:
        tp_diag_add(diag, path, "is not a SQLite database, or is damaged: restore it from a backup");
        break;
    case TP_ERR_TIMEOUT: tp_diag_add(diag, path, "is locked by another process"); break;
    default: tp_diag_add(diag, path, "%s", db->error);
    }
    return err;
}

static enum tp_err open_file(struct tp_db *db, const char *path, const struct tp_sqlite_options *options,
                             struct tp_diag *diag)
{
    enum tp_err err;
    int code = sqlite3_open_v2(path, &db->raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

    if (code)
        return explain(db, fail(db, code), path, diag);
    if (sqlite3_db_readonly(db->raw, "main") == 1) {
        tp_diag_add(diag, path, "is read-only for this user");
        return TP_ERR_IO;
    }
    err = configure(db, options);
    return err ? explain(db, err, path, diag) : TP_OK;
}

static const struct tp_driver driver = {
    .type_int = "INTEGER",
    .type_bytes = "BLOB",
    .type_uuid = "BLOB",
    .type_text = "TEXT",
    .sql_ping = "PRAGMA schema_version",
    .sql_table_exists = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = $1",
    .close = db_close,
    .error = db_error,
    .exec = db_exec,
    .begin = db_begin,
    .commit = db_commit,
    .rollback = db_rollback,
    .prepare = db_prepare,
    .finalize = stmt_finalize,
    .bind_null = bind_null,
    .bind_int = bind_int,
    .bind_text = bind_text,
    .bind_bytes = bind_bytes,
    .bind_uuid = bind_uuid,
    .step = stmt_step,
    .reset = stmt_reset,
    .is_null = is_null,
    .get_int = get_int,
    .get_text = get_text,
    .get_bytes = get_bytes,
    .get_uuid = get_uuid,
};

enum tp_err tp_sqlite_open_with(struct tp_store **out, const char *path, const struct tp_sqlite_options *options,
                                struct tp_diag *diag)
{
    struct tp_db *db;
    enum tp_err err;

    if (!path[0] || path[0] == ':') { /* SQLite's names for databases that vanish */
        tp_diag_add(diag, path, "is not a file name");
        return TP_ERR_INVALID;
    }
    err = make_file(path, diag);
    if (err)
        return err;
    db = tp_new(struct tp_db);
    err = open_file(db, path, options, diag);
    if (err) {
        db_close(db);
        return err;
    }
    return tp_store_over(out, &driver, db, diag);
}

enum tp_err tp_sqlite_open(struct tp_store **out, const char *path, struct tp_diag *diag)
{
    static const struct tp_sqlite_options defaults;

    return tp_sqlite_open_with(out, path, &defaults, diag);
}
