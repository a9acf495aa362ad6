/* The store's suite on SQLite, and what only a file can do: fill the disk, be damaged, be locked. */
#include "suite_support.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char directory[] = "/tmp/tp-test-store-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static void remove_files(void)
{
    static const char *const names[] = { "db", "db-wal", "db-shm", "db-journal" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unlink(path_of(names[i]));
}

static void remove_directory(void)
{
    remove_files();
    rmdir(directory);
}

static void wipe(void)
{
    static bool made;

    if (!made) {
        TP_ASSERT(mkdtemp(directory));
        atexit(remove_directory);
        made = true;
    }
    remove_files();
}

static struct tp_store *open_with(struct tp_sqlite_options options)
{
    struct tp_diag *diag = tp_diag_new();
    struct tp_store *store = NULL;

    if (tp_sqlite_open_with(&store, path_of("db"), &options, diag))
        test_fail(__FILE__, __LINE__, "%s", tp_diag_text(diag));
    tp_diag_free(diag);
    return store;
}

static struct tp_store *open_another(void)
{
    return open_with((struct tp_sqlite_options){ 0 });
}

#include "suite_entities.h"
#include "suite_feed.h"
#include "suite_pages.h"

/* --- Files ------------------------------------------------------------------------------------ */

static void run_sql(const char *sql)
{
    sqlite3 *raw;
    char *message = NULL;

    CHECK_INT(sqlite3_open(path_of("db"), &raw), SQLITE_OK);
    if (sqlite3_exec(raw, sql, NULL, NULL, &message))
        test_fail(__FILE__, __LINE__, "%s: %s", sql, message);
    sqlite3_free(message);
    sqlite3_close(raw);
}

/* Opening fails with `want` and a diag that contains `text`. */
static void check_refused(const char *path, enum tp_err want, const char *text)
{
    struct tp_diag *diag = tp_diag_new();
    struct tp_store *store = NULL;

    CHECK_INT(tp_sqlite_open(&store, path, diag), want);
    CHECK(!store);
    if (!strstr(tp_diag_text(diag), text))
        test_fail(__FILE__, __LINE__, "diag is: %s", tp_diag_text(diag));
    tp_diag_free(diag);
}

TEST(the_file_is_for_its_owner_only)
{
    static const char *const names[] = { "db", "db-wal", "db-shm" };
    struct tp_store *s = open_empty();
    struct stat st;

    put(s, "services", 1, "{'host':'h'}");
    for (size_t i = 0; i < 3; i++) {
        CHECK_INT(stat(path_of(names[i]), &st), 0);
        CHECK_INT(st.st_mode & 0777, 0600);
    }
    tp_store_free(s);
}

TEST(what_cannot_be_a_database_is_refused_with_a_reason)
{
    int fd;

    wipe();
    check_refused(path_of("missing/db"), TP_ERR_IO, "No such file or directory");
    check_refused(":memory:", TP_ERR_INVALID, "is not a file name");
    check_refused("", TP_ERR_INVALID, "is not a file name");
    fd = open(path_of("db"), O_CREAT | O_WRONLY, 0600);
    for (int i = 0; i < 1000; i++)
        CHECK(write(fd, "this is no database ", 20) == 20);
    close(fd);
    check_refused(path_of("db"), TP_ERR_DAMAGED, "is not a SQLite database, or is damaged");
}

TEST(a_read_only_file_is_refused)
{
    pid_t child;
    int status = -1;

    tp_store_free(open_empty());
    CHECK_INT(chmod(path_of("db"), 0444), 0);
    CHECK_INT(chmod(directory, 0755), 0);
    child = fork(); /* root may write everything: be somebody else */
    if (child == 0) {
        struct tp_diag *diag = tp_diag_new();
        struct tp_store *store;
        const char *path = path_of("db");

        if (getuid() == 0 && (setgid(65534) || setuid(65534)))
            _exit(2);
        if (tp_sqlite_open(&store, path, diag) != TP_ERR_IO)
            _exit(3);
        _exit(strstr(tp_diag_text(diag), "is read-only") ? 0 : 4);
    }
    waitpid(child, &status, 0);
    CHECK_INT(status, 0);
    chmod(path_of("db"), 0600);
    chmod(directory, 0700);
}

TEST(a_database_without_schema_fails_politely)
{
    struct tp_store *s;
    struct tp_uuid id = uuid_n(1);
    uint64_t seq;
    json_t *value;

    wipe();
    s = open_another();
    CHECK_INT(tp_store_get(s, kind("services"), &id, &value), TP_ERR_INVALID);
    CHECK(strstr(tp_store_error(s), "no such table"));
    CHECK_INT(tp_store_position(s, &seq), TP_ERR_INVALID);
    CHECK_INT(tp_store_identity(s, &id), TP_ERR_INVALID);
    CHECK_INT(tp_store_ping(s), TP_OK);
    tp_store_free(s);
}

TEST(a_schema_of_a_newer_version_is_refused_only_when_it_says_so)
{
    tp_store_free(open_empty());
    run_sql("UPDATE meta SET value = '99' WHERE name = 'schema'");
    tp_store_free(open_another());
    run_sql("INSERT INTO migrations VALUES ('0099_future', 1)");
    tp_store_free(open_another());
    run_sql("UPDATE meta SET value = '98' WHERE name = 'oldest_compatible'");
    check_refused(path_of("db"), TP_ERR_INVALID, "was migrated by a newer version (schema 99)");
}

/* A field that becomes unique in a later version gets its column, filled from the documents. */
TEST(an_older_database_catches_up)
{
    struct tp_store *s = open_empty();
    char *pending;
    json_t *value;

    for (unsigned i = 1; i <= 1100; i++)
        put(s, "services", i, "{'name':'s%u','host':'h'}", i);
    put(s, "routes", 2000, "{'service':{'id':'%s'}}", text_n(7));
    tp_store_free(s);
    run_sql("DROP INDEX services_name; ALTER TABLE services DROP COLUMN name;"
            "DELETE FROM migrations WHERE name IN ('services.name', 'routes.service');"
            "DROP INDEX routes_service; ALTER TABLE routes DROP COLUMN service;"
            "UPDATE services SET doc = json_remove(doc, '$.retries', '$.path')");
    s = open_another();
    CHECK_INT(tp_store_migrations_pending(s, &pending, NULL), TP_OK);
    CHECK(strstr(pending, "services.name\n") && strstr(pending, "routes.service\n"));
    free(pending);
    CHECK_INT(tp_store_migrate(s, NULL), TP_OK);
    CHECK_INT(tp_store_get_by(s, kind("services"), "name", TP_STR("s1099"), &value), TP_OK);
    CHECK_STR(shown(json_object_get(value, "retries")), "5"); /* a field that the row had not yet */
    CHECK_STR(shown(json_object_get(value, "path")), "null");
    json_decref(value);
    CHECK_INT(remove_n(s, "services", 7), TP_ERR_REFERENCE);
    tp_store_free(s);
}

TEST(a_migration_that_fails_changes_nothing)
{
    struct tp_store *s = open_empty();
    struct tp_diag *diag = tp_diag_new();
    char *pending;

    put(s, "services", 1, "{'name':'same','host':'h'}");
    tp_store_free(s);
    run_sql("DROP INDEX services_name; ALTER TABLE services DROP COLUMN name;"
            "DELETE FROM migrations WHERE name IN ('services.name', 'consumers.username');"
            "INSERT INTO services (id, doc) SELECT zeroblob(16), doc FROM services;"
            "UPDATE services SET id = x'00000009000040008000000000000000' WHERE id = zeroblob(16);"
            "DROP INDEX consumers_username; ALTER TABLE consumers DROP COLUMN username");
    s = open_another();
    CHECK_INT(tp_store_migrate(s, diag), TP_ERR_EXISTS);
    CHECK(strstr(tp_diag_text(diag), "UNIQUE"));
    CHECK_INT(tp_store_migrations_pending(s, &pending, NULL), TP_OK);
    CHECK_STR((const char *)pending, "consumers.username\nservices.name\n");
    free(pending);
    tp_store_free(s);
    tp_diag_free(diag);
}

TEST(the_sequence_with_a_hole_is_detected)
{
    struct tp_store *s = open_empty();
    struct tp_feed_row *rows;
    size_t count;

    for (unsigned i = 1; i <= 5; i++)
        put(s, "services", i, "{'host':'h'}");
    tp_store_free(s);
    run_sql("DELETE FROM outbox WHERE seq = 3");
    s = open_another();
    CHECK_INT(tp_store_feed(s, 0, 10, &rows, &count), TP_ERR_NOT_FOUND);
    CHECK(strstr(tp_store_error(s), "number 3"));
    CHECK_INT(tp_store_feed(s, 0, 2, &rows, &count), TP_OK);
    free(rows);
    CHECK_INT(tp_store_feed(s, 3, 10, &rows, &count), TP_OK);
    free(rows);
    tp_store_free(s);
    run_sql("DELETE FROM outbox WHERE seq = 5");
    s = open_another();
    CHECK_INT(tp_store_feed(s, 3, 10, &rows, &count), TP_ERR_NOT_FOUND); /* missing at the end */
    tp_store_free(s);
}

TEST(rows_of_a_kind_that_a_newer_version_knows_are_passed_without_it)
{
    struct tp_store *s = open_empty();
    struct tp_feed_row *rows;
    size_t count;

    put(s, "services", 1, "{'host':'h'}");
    tp_store_free(s);
    run_sql("UPDATE outbox SET entity = 'spaceships'");
    s = open_another();
    CHECK_INT(tp_store_feed(s, 0, 10, &rows, &count), TP_OK);
    CHECK_INT(count, 1);
    CHECK(!rows[0].entity && rows[0].op == TP_FEED_PUT);
    free(rows);
    tp_store_free(s);
}

TEST(a_locked_database_is_waited_for_and_then_told)
{
    struct tp_store *s = open_empty(), *other = open_with((struct tp_sqlite_options){ .busy_timeout_ms = 50 });

    CHECK_INT(tp_store_begin(s), TP_OK);
    CHECK_INT(tp_store_begin(other), TP_ERR_TIMEOUT);
    CHECK(strstr(tp_store_error(other), "locked"));
    CHECK_INT(position(other), 0); /* reading goes on */
    tp_store_rollback(s);
    CHECK_INT(tp_store_begin(other), TP_OK);
    tp_store_rollback(other);
    tp_store_free(other);
    tp_store_free(s);
}

/*
 * Inserts until it does not fit. Then every call says so, and after the transaction nothing of it is there.
 * True when all of that held: a child process cannot fail its parent's test otherwise.
 */
static bool fill_until_full(struct tp_store *s)
{
    bool kept;
    struct tp_store_fault fault = { TP_OK };
    enum tp_err err = TP_OK;
    uint64_t before = position(s);
    unsigned n = 0;

    CHECK_INT(tp_store_begin(s), TP_OK);
    while (!err && n < 100000) {
        n++;
        err = insert(s, &fault, "consumers", 10 + n, "{'username':'somebody with a long name %u'}", n);
    }
    kept = err == TP_ERR_FULL && n > 10 && (strstr(fault.message, "full") || strstr(fault.message, "I/O")) &&
           insert(s, &fault, "consumers", 5, "{'username':'small'}") == TP_ERR_FULL &&
           tp_store_commit(s, NULL) == TP_ERR_FULL && !exists(s, "consumers", 11) && !exists(s, "consumers", 5) &&
           position(s) == before;
    if (!kept)
        test_fail(__FILE__, __LINE__, "after %u: %s, %s", n, tp_err_text(err), fault.message);
    tp_store_fault_fini(&fault);
    return kept;
}

TEST(a_full_database_refuses_the_whole_transaction_and_goes_on)
{
    struct tp_store *s;

    tp_store_free(open_empty());
    s = open_with((struct tp_sqlite_options){ .max_pages = 120 });
    put(s, "consumers", 1, "{'username':'first'}");
    CHECK(fill_until_full(s));
    CHECK(exists(s, "consumers", 1));
    CHECK_INT(remove_n(s, "consumers", 1), TP_OK);
    put(s, "consumers", 2, "{'username':'second'}");
    tp_store_free(s);
}

TEST(a_full_disk_refuses_the_whole_transaction)
{
    int status = -1;
    pid_t child;
    struct tp_store *s;

    tp_store_free(open_empty());
    child = fork();
    if (child == 0) {
        struct rlimit limit = { 512 * 1024, 512 * 1024 };

        s = open_another();
        put(s, "consumers", 1, "{'username':'first'}");
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        _exit(fill_until_full(s) ? 0 : 1);
    }
    waitpid(child, &status, 0);
    CHECK_INT(status, 0);
    s = open_another();
    CHECK(exists(s, "consumers", 1) && !exists(s, "consumers", 11));
    put(s, "consumers", 2, "{'username':'second'}");
    tp_store_free(s);
}

/* Small transactions meet the full disk only when they are committed. */
TEST(a_disk_that_fills_at_commit_leaves_nothing_and_heals)
{
    int status = -1;
    pid_t child;
    struct tp_store *s;

    tp_store_free(open_empty());
    child = fork();
    if (child == 0) {
        struct rlimit none, limit;
        struct tp_store_fault fault;
        struct stat st;

        s = open_another();
        put(s, "consumers", 1, "{'username':'first'}");
        signal(SIGXFSZ, SIG_IGN);
        if (stat(path_of("db-wal"), &st) || getrlimit(RLIMIT_FSIZE, &none))
            _exit(2);
        limit = none;
        limit.rlim_cur = (rlim_t)st.st_size;
        setrlimit(RLIMIT_FSIZE, &limit);
        if (tp_store_begin(s) || insert(s, &fault, "consumers", 2, "{'username':'second'}"))
            _exit(3);
        if (tp_store_commit(s, NULL) != TP_ERR_FULL || exists(s, "consumers", 2) || position(s) != 1)
            _exit(4);
        setrlimit(RLIMIT_FSIZE, &none);
        put(s, "consumers", 3, "{'username':'third'}");
        _exit(exists(s, "consumers", 3) && position(s) == 2 ? 0 : 5);
    }
    waitpid(child, &status, 0);
    CHECK_INT(status, 0);
    s = open_another();
    CHECK(exists(s, "consumers", 1) && !exists(s, "consumers", 2) && exists(s, "consumers", 3));
    tp_store_free(s);
}

TEST(damage_inside_is_told)
{
    struct tp_store *s = open_empty();
    struct tp_page_query query = { .size = 1000 };
    enum tp_err err;
    json_t *rows;
    off_t size;
    bool more;
    int fd;

    for (unsigned i = 1; i <= 1000; i++)
        put(s, "consumers", i, "{'username':'c%u','tags':['some','tags','to','fill']}", i);
    tp_store_free(s); /* the last one moves the log into the file */
    fd = open(path_of("db"), O_WRONLY);
    size = lseek(fd, 0, SEEK_END);
    for (off_t at = size / 2 / 4096 * 4096; at < size; at += 4096) /* rows, not the schema */
        CHECK(pwrite(fd, "\xde\xad\xbe\xef\xde\xad\xbe\xef\xde\xad\xbe\xef", 12, at) == 12);
    close(fd);
    s = open_another();
    err = tp_store_page(s, kind("consumers"), &query, &rows, &more);
    CHECK_INT(err, TP_ERR_DAMAGED);
    if (!err)
        json_decref(rows);
    tp_store_free(s);
}

TEST(a_document_that_is_no_json_is_told)
{
    struct tp_store *s = open_empty();
    struct tp_uuid id = uuid_n(1);
    json_t *value;

    put(s, "services", 1, "{'host':'h'}");
    tp_store_free(s);
    run_sql("UPDATE services SET doc = '{\"cut\": '");
    s = open_another();
    CHECK_INT(tp_store_get(s, kind("services"), &id, &value), TP_ERR_DAMAGED);
    CHECK(strstr(tp_store_error(s), "services"));
    tp_store_free(s);
}

TEST(nobody_tells_of_commits_but_the_caller_can_be_woken)
{
    struct tp_store *s = open_empty();
    int ends[2];

    CHECK_INT(pipe(ends), 0);
    CHECK_INT(tp_store_wait(s, -1, 10), TP_ERR_TIMEOUT);
    CHECK_INT(tp_store_wait(s, ends[0], 10), TP_ERR_TIMEOUT);
    CHECK(write(ends[1], "x", 1) == 1);
    CHECK_INT(tp_store_wait(s, ends[0], 10000), TP_OK);
    close(ends[0]);
    close(ends[1]);
    tp_store_free(s);
}
