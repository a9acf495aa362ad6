/* The store's suite on PostgreSQL, and what only a server can do: go away, come back, ask for passwords, wait. */
#include "suite_support.h"

#include "base/clock.h"
#include "support/postgres_server.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <sys/eventfd.h>

#define SCHEMA "Test \"suite\"" /* a name that must be quoted */

static struct postgres_server server;

static void remove_server(void)
{
    postgres_server_remove(&server);
}

static void need_server(void)
{
    if (server.dir[0])
        return;
    if (!postgres_is_installed()) {
        printf("skipped: PostgreSQL is not installed (Debian's package: postgresql)\n");
        exit(77);
    }
    atexit(remove_server);
    postgres_server_make(&server, 27000, "-c fsync=off -c max_connections=40 -c log_min_messages=warning");
}

static struct tp_postgres_options options(void)
{
    return (struct tp_postgres_options){ .host = server.dir, .port = server.port, .database = "turnpike",
                                         .user = "trusted", .schema = SCHEMA };
}

/* --- By hand ---------------------------------------------------------------------------------- */

/* As the superuser, in the suite's schema; the first value of the last result goes to `out`, which may be NULL. */
static void query(const char *sql, char *out, size_t size)
{
    char text[512];
    PGconn *raw;
    PGresult *result;

    snprintf(text, sizeof(text), "host=%s port=%d dbname=turnpike user=postgres", server.dir, server.port);
    raw = PQconnectdb(text);
    PQsetNoticeReceiver(raw, NULL, NULL);
    PQclear(PQexec(raw, "SET client_min_messages = error; SET search_path = \"Test \"\"suite\"\"\""));
    result = PQexec(raw, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
        test_fail(__FILE__, __LINE__, "%s: %s", sql, PQerrorMessage(raw));
    if (out)
        snprintf(out, size, "%s", PQntuples(result) ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    PQfinish(raw);
}

static void run_sql(const char *sql)
{
    query(sql, NULL, 0);
}

static void wipe(void)
{
    need_server();
    run_sql("DROP SCHEMA IF EXISTS \"Test \"\"suite\"\"\" CASCADE");
}

static struct tp_store *open_with(struct tp_postgres_options how)
{
    struct tp_diag *diag = tp_diag_new();
    struct tp_store *store = NULL;

    if (tp_postgres_open(&store, &how, diag))
        test_fail(__FILE__, __LINE__, "%s", tp_diag_text(diag));
    tp_diag_free(diag);
    return store;
}

static struct tp_store *open_another(void)
{
    return open_with(options());
}

#include "suite_entities.h"
#include "suite_feed.h"
#include "suite_pages.h"

/* --- Opening ---------------------------------------------------------------------------------- */

/* Opening fails with `want`, and the diag contains `text`, and never the password. */
static void check_refused(struct tp_postgres_options how, enum tp_err want, const char *text)
{
    struct tp_diag *diag = tp_diag_new();
    struct tp_store *store = NULL;

    CHECK_INT(tp_postgres_open(&store, &how, diag), want);
    CHECK(!store);
    if (!strstr(tp_diag_text(diag), text) || (how.password && strstr(tp_diag_text(diag), how.password)))
        test_fail(__FILE__, __LINE__, "diag is: %s", tp_diag_text(diag));
    tp_diag_free(diag);
    tp_store_free(store);
}

TEST(passwords_are_asked_for)
{
    struct tp_postgres_options how;
    struct tp_store *s;

    wipe();
    how = options();
    how.host = "127.0.0.1";
    how.user = "scram";
    how.password = "geheim";
    s = open_with(how);
    CHECK_INT(tp_store_ping(s), TP_OK);
    tp_store_free(s);
    how.password = "verrat";
    check_refused(how, TP_ERR_UNAVAILABLE, "password authentication failed");
    how.password = NULL;
    check_refused(how, TP_ERR_UNAVAILABLE, "no password supplied");
    how.database = "nowhere";
    how.password = "geheim";
    check_refused(how, TP_ERR_UNAVAILABLE, "database \"nowhere\" does not exist");
    how.port = 27998;
    check_refused(how, TP_ERR_UNAVAILABLE, "Connection refused");
}

TEST(tls_is_used_and_verified)
{
    char cert[128], other[128];
    struct tp_postgres_options how;
    struct tp_store *s;

    wipe();
    snprintf(cert, sizeof(cert), "%s/server.crt", server.dir);
    how = options();
    how.host = "localhost";
    how.user = "scram";
    how.password = "geheim";
    how.ssl = how.ssl_verify = true;
    how.ca_file = cert;
    s = open_with(how);
    query("SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND version >= 'TLSv1.2'"
          " AND application_name = 'turnpike'", other, sizeof(other));
    CHECK_STR((const char *)other, "1");
    tp_store_free(s);
    how.host = "127.0.0.1"; /* the certificate is localhost's */
    check_refused(how, TP_ERR_UNAVAILABLE, "does not match host name");
    how.ssl_verify = false;
    s = open_with(how);
    tp_store_free(s);
    how.host = "localhost";
    how.ssl_verify = true;
    how.ca_file = NULL; /* the system's, which does not know it */
    check_refused(how, TP_ERR_UNAVAILABLE, "certificate verify failed");
    how.ca_file = "/nonexistent";
    check_refused(how, TP_ERR_UNAVAILABLE, "/nonexistent");
}

TEST(what_cannot_be_used_is_refused_with_a_reason)
{
    struct tp_postgres_options how;
    struct tp_store *s;
    struct tp_diag *diag = tp_diag_new();

    wipe();
    run_sql("DROP DATABASE IF EXISTS latin");
    run_sql("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
    how = options();
    how.database = "latin";
    check_refused(how, TP_ERR_INVALID, "must be UTF8");
    run_sql("CREATE SCHEMA \"Test \"\"suite\"\"\"; GRANT ALL ON SCHEMA \"Test \"\"suite\"\"\" TO PUBLIC;"
            "CREATE TABLE services (id uuid)"); /* as Kong has it */
    s = open_another();
    CHECK_INT(tp_store_migrate(s, diag), TP_ERR_INVALID);
    CHECK(strstr(tp_diag_text(diag), "set pg_schema"));
    tp_store_free(s);
    tp_diag_free(diag);
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
    CHECK(strstr(tp_store_error(s), "does not exist"));
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
    check_refused(options(), TP_ERR_INVALID, "was migrated by a newer version (schema 99)");
}

TEST(an_older_database_catches_up)
{
    struct tp_store *s = open_empty(), *old;
    char *pending;
    json_t *value;

    for (unsigned i = 1; i <= 1100; i++)
        put(s, "services", i, "{'name':'s%u','host':'h'}", i);
    put(s, "routes", 2000, "{'service':{'id':'%s'}}", text_n(7));
    tp_store_free(s);
    run_sql("ALTER TABLE services DROP COLUMN name; ALTER TABLE routes DROP COLUMN service;"
            "DELETE FROM migrations WHERE name IN ('services.name', 'routes.service');"
            "UPDATE services SET doc = (doc::jsonb - 'retries' - 'path')::text");
    s = open_another();
    old = open_another();
    CHECK_INT(tp_store_migrations_pending(s, &pending, NULL), TP_OK);
    CHECK(strstr(pending, "services.name\n") && strstr(pending, "routes.service\n"));
    free(pending);
    CHECK_STR(member(old, "services", 3, "host"), "'h'"); /* prepared before the migration, used after it */
    CHECK_INT(tp_store_migrate(s, NULL), TP_OK);
    CHECK_STR(member(old, "services", 3, "host"), "'h'");
    CHECK_INT(tp_store_get_by(s, kind("services"), "name", TP_STR("s1099"), &value), TP_OK);
    CHECK_STR(shown(json_object_get(value, "retries")), "5");
    CHECK_STR(shown(json_object_get(value, "path")), "null");
    json_decref(value);
    CHECK_INT(remove_n(s, "services", 7), TP_ERR_REFERENCE);
    tp_store_free(old);
    tp_store_free(s);
}

TEST(a_migration_that_fails_changes_nothing)
{
    struct tp_store *s = open_empty();
    struct tp_diag *diag = tp_diag_new();
    char *pending;

    put(s, "services", 1, "{'name':'same','host':'h'}");
    tp_store_free(s);
    run_sql("ALTER TABLE services DROP COLUMN name; ALTER TABLE consumers DROP COLUMN username;"
            "DELETE FROM migrations WHERE name IN ('services.name', 'consumers.username');"
            "INSERT INTO services (id, doc) SELECT '00000009-0000-4000-8000-000000000000', doc FROM services");
    s = open_another();
    CHECK_INT(tp_store_migrate(s, diag), TP_ERR_EXISTS);
    CHECK(strstr(tp_diag_text(diag), "services_name"));
    CHECK(!strstr(tp_diag_text(diag), "same")); /* no values */
    CHECK_INT(tp_store_migrations_pending(s, &pending, NULL), TP_OK);
    CHECK_STR((const char *)pending, "consumers.username\nservices.name\n");
    free(pending);
    tp_store_free(s);
    tp_diag_free(diag);
}

TEST(texts_that_no_column_can_hold_are_simply_not_found)
{
    struct tp_store *s = open_empty();
    struct tp_page_query page = { .size = 10 };
    struct tp_str bad = TP_STR("\xff"), nul = TP_STR("a\0b");
    json_t *value;
    bool more;

    put(s, "services", 1, "{'name':'a','host':'h','tags':['t']}");
    CHECK_INT(tp_store_begin(s), TP_OK);
    CHECK_INT(tp_store_get_by(s, kind("services"), "name", bad, &value), TP_ERR_NOT_FOUND);
    CHECK_INT(tp_store_get_by(s, kind("services"), "name", nul, &value), TP_ERR_NOT_FOUND);
    CHECK_INT(tp_store_tags(s, bad, &page, &value, &more), TP_OK);
    CHECK_INT(json_array_size(value), 0);
    json_decref(value);
    page.tags = &nul;
    page.tag_count = 1;
    CHECK_INT(tp_store_page(s, kind("services"), &page, &value, &more), TP_OK);
    CHECK_INT(json_array_size(value), 0);
    json_decref(value);
    CHECK_INT(tp_store_commit(s, NULL), TP_OK);
    tp_store_free(s);
}

TEST(a_document_that_is_no_json_is_told)
{
    struct tp_store *s = open_empty();
    struct tp_uuid id = uuid_n(1);
    json_t *value;

    put(s, "services", 1, "{'host':'h'}");
    run_sql("UPDATE services SET doc = '{\"cut\": '");
    CHECK_INT(tp_store_get(s, kind("services"), &id, &value), TP_ERR_DAMAGED);
    tp_store_free(s);
}

TEST(the_sequence_with_a_hole_is_detected)
{
    struct tp_store *s = open_empty();
    struct tp_feed_row *rows;
    size_t count;

    for (unsigned i = 1; i <= 5; i++)
        put(s, "services", i, "{'host':'h'}");
    run_sql("DELETE FROM outbox WHERE seq = 3");
    CHECK_INT(tp_store_feed(s, 0, 10, &rows, &count), TP_ERR_NOT_FOUND);
    CHECK(strstr(tp_store_error(s), "number 3"));
    CHECK_INT(tp_store_feed(s, 3, 10, &rows, &count), TP_OK);
    free(rows);
    tp_store_free(s);
}

/* --- Writers at once -------------------------------------------------------------------------- */

struct writer {
    unsigned number;
    unsigned transactions;
    struct tp_store *store;
    _Atomic int failed; /* read by the main thread meanwhile */
    pthread_t thread;
};

/* Its own consumers, and one that all of them change. */
static void *write_many(void *data)
{
    struct writer *w = data;
    struct tp_store_fault fault = { TP_OK };

    for (unsigned i = 0; i < w->transactions; i++) {
        enum tp_err err = tp_store_begin(w->store);

        if (!err)
            err = insert(w->store, &fault, "consumers", 100000 * w->number + i + 10, "{'username':'w%u-%u'}",
                         w->number, i);
        if (!err)
            err = update(w->store, &fault, "consumers", 1, "{'username':'all','custom_id':'%u-%u'}", w->number, i);
        if (!err && i % 10 == 9) { /* a clash now and then: the transaction goes on */
            if (insert(w->store, &fault, "consumers", 5, "{'username':'all'}") != TP_ERR_EXISTS)
                w->failed++;
            tp_store_fault_fini(&fault);
        }
        if (!err)
            err = tp_store_commit(w->store, NULL);
        else
            tp_store_rollback(w->store);
        w->failed += err != TP_OK;
    }
    return NULL;
}

TEST(the_order_of_commits_is_the_order_of_numbers)
{
    enum { WRITERS = 4, EACH = 500 };
    struct tp_store *s = open_empty();
    struct writer writers[WRITERS];
    struct tp_feed_row *rows = NULL;
    uint64_t seen = 1;
    size_t count;

    put(s, "consumers", 1, "{'username':'all'}");
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){ .number = i, .transactions = EACH, .store = open_another() };
        CHECK_INT(pthread_create(&writers[i].thread, NULL, write_many, &writers[i]), 0);
    }
    while (seen < 1 + 2 * WRITERS * EACH) { /* what a reader has seen never gets company behind it */
        if (tp_store_feed(s, seen, 100, &rows, &count)) {
            test_fail(__FILE__, __LINE__, "behind %llu: %s", (unsigned long long)seen, tp_store_error(s));
            break;
        }
        for (size_t i = 0; i < count; i++) {
            CHECK_INT(rows[i].seq, seen + i + 1);
            CHECK_INT(rows[i].tx_last, (seen + i + 1 - 2) / 2 * 2 + 3);
            CHECK(i % 2 == 1 || exists(s, "consumers", (unsigned)(rows[i].id.bytes[0] << 24 |
                  rows[i].id.bytes[1] << 16 | rows[i].id.bytes[2] << 8 | rows[i].id.bytes[3])));
        }
        seen += count / 2 * 2; /* whole transactions */
        free(rows);
        for (unsigned i = 0; i < WRITERS; i++)
            if (writers[i].failed)
                goto out;
    }
out:
    for (unsigned i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
        CHECK_INT(writers[i].failed, 0);
        tp_store_free(writers[i].store);
    }
    CHECK_INT(position(s), 1 + 2 * WRITERS * EACH);
    tp_store_free(s);
}

static void *delete_one(void *data)
{
    struct writer *w = data;

    w->failed = remove_n(w->store, "consumers", 1);
    return NULL;
}

/* Without a lock on the parent the child would come in between, and the delete fail for a reason that has gone. */
TEST(a_delete_and_a_new_child_do_not_meet)
{
    struct tp_store *s = open_empty();
    struct writer deleter = { .store = open_another() };
    struct tp_store_fault fault;

    put(s, "consumers", 1, "{'username':'bob'}");
    CHECK_INT(tp_store_begin(s), TP_OK);
    CHECK_INT(insert(s, &fault, "keyauth_credentials", 2, "{'key':'k','consumer':{'id':'%s'}}", text_n(1)), TP_OK);
    CHECK_INT(pthread_create(&deleter.thread, NULL, delete_one, &deleter), 0);
    usleep(200000); /* it waits for our key to be committed, or not */
    CHECK_INT(tp_store_commit(s, NULL), TP_OK);
    pthread_join(deleter.thread, NULL);
    CHECK_INT(deleter.failed, TP_OK);
    CHECK(!exists(s, "consumers", 1) && !exists(s, "keyauth_credentials", 2));
    tp_store_free(deleter.store);
    tp_store_free(s);
}

static void *change_username(void *data)
{
    struct writer *w = data;
    struct tp_store_fault fault;
    struct tp_uuid id = uuid_n(1);
    json_t *value;

    w->failed = 1;
    if (tp_store_begin(w->store) || tp_store_get(w->store, kind("consumers"), &id, &value))
        return NULL;
    json_object_set_new(value, "username", json_string("new"));
    w->failed = tp_store_update(w->store, kind("consumers"), value, &fault) || tp_store_commit(w->store, NULL);
    json_decref(value);
    return NULL;
}

TEST(of_two_who_change_other_fields_neither_is_lost)
{
    struct tp_store *s = open_empty();
    struct writer other = { .store = open_another() };
    struct tp_store_fault fault;
    struct tp_uuid id = uuid_n(1);
    json_t *value;

    put(s, "consumers", 1, "{'username':'old','custom_id':'old'}");
    CHECK_INT(tp_store_begin(s), TP_OK);
    CHECK_INT(tp_store_get(s, kind("consumers"), &id, &value), TP_OK);
    CHECK_INT(pthread_create(&other.thread, NULL, change_username, &other), 0);
    usleep(200000);
    json_object_set_new(value, "custom_id", json_string("new"));
    CHECK_INT(tp_store_update(s, kind("consumers"), value, &fault), TP_OK);
    CHECK_INT(tp_store_commit(s, NULL), TP_OK);
    json_decref(value);
    pthread_join(other.thread, NULL);
    CHECK_INT(other.failed, 0);
    CHECK_STR(member(s, "consumers", 1, "username"), "'new'");
    CHECK_STR(member(s, "consumers", 1, "custom_id"), "'new'");
    tp_store_free(other.store);
    tp_store_free(s);
}

TEST(a_row_locked_by_another_is_waited_for_and_then_told)
{
    struct tp_store *s = open_empty(), *other;
    struct tp_postgres_options how = options();
    struct tp_store_fault fault;

    how.timeout_ms = 100;
    other = open_with(how);
    put(s, "consumers", 1, "{'username':'bob'}");
    CHECK_INT(tp_store_begin(s), TP_OK);
    CHECK_INT(update(s, &fault, "consumers", 1, "{'username':'bob'}"), TP_OK);
    CHECK_INT(tp_store_begin(other), TP_OK);
    CHECK_INT(update(other, &fault, "consumers", 1, "{'username':'amy'}"), TP_ERR_TIMEOUT);
    CHECK(strstr(fault.message, "timeout"));
    CHECK_INT(insert(other, &fault, "consumers", 2, "{'username':'amy'}"), TP_ERR_TIMEOUT); /* until it ends */
    CHECK_INT(tp_store_commit(other, NULL), TP_ERR_TIMEOUT);
    CHECK_INT(tp_store_commit(s, NULL), TP_OK);
    put(other, "consumers", 2, "{'username':'amy'}");
    tp_store_free(other);
    tp_store_free(s);
}

static void *cross(void *data)
{
    struct writer *w = data;
    struct tp_store_fault fault;

    if (tp_store_begin(w->store))
        return NULL;
    w->failed = update(w->store, &fault, "consumers", 2, "{'username':'b'}");
    usleep(200000);
    if (!w->failed)
        w->failed = update(w->store, &fault, "consumers", 1, "{'username':'a'}");
    if (w->failed)
        tp_store_rollback(w->store);
    else
        w->failed = tp_store_commit(w->store, NULL);
    return NULL;
}

TEST(of_a_deadlock_one_is_told_to_try_again)
{
    struct tp_store *s = open_empty();
    struct writer other = { .store = open_another() };
    struct tp_store_fault fault;
    enum tp_err err;

    put(s, "consumers", 1, "{'username':'a'}");
    put(s, "consumers", 2, "{'username':'b'}");
    CHECK_INT(tp_store_begin(s), TP_OK);
    CHECK_INT(update(s, &fault, "consumers", 1, "{'username':'a'}"), TP_OK);
    pthread_create(&other.thread, NULL, cross, &other);
    usleep(100000);
    err = update(s, &fault, "consumers", 2, "{'username':'b'}");
    if (err)
        tp_store_rollback(s);
    else
        CHECK_INT(tp_store_commit(s, NULL), TP_OK);
    pthread_join(other.thread, NULL);
    CHECK((err == TP_ERR_AGAIN && other.failed == TP_OK) || (err == TP_OK && other.failed == TP_ERR_AGAIN));
    put(s, "consumers", 3, "{'username':'c'}");
    tp_store_free(other.store);
    tp_store_free(s);
}

/* Counters of several nodes arrive in any order. */
static void *save_counters(void *data)
{
    enum { COUNTERS = 50 };
    struct writer *w = data;
    struct tp_saved_counter counters[COUNTERS] = { { 0 } };

    for (unsigned i = 0; i < COUNTERS; i++) {
        counters[i].name[0] = (uint8_t)(w->number ? i : COUNTERS - 1 - i);
        counters[i].period = 4;
        counters[i].window_start = 4000000000;
    }
    for (unsigned i = 0; i < w->transactions; i++)
        w->failed += tp_store_counters_save(w->store, counters, COUNTERS) != TP_OK;
    return NULL;
}

TEST(counters_saved_at_once_do_not_deadlock)
{
    struct tp_store *s = open_empty();
    struct writer other = { .number = 1, .transactions = 40, .store = open_another() };
    struct writer mine = { .number = 0, .transactions = 40, .store = s };

    pthread_create(&other.thread, NULL, save_counters, &other);
    save_counters(&mine);
    pthread_join(other.thread, NULL);
    CHECK_INT(mine.failed + other.failed, 0);
    tp_store_free(other.store);
    tp_store_free(s);
}

/* --- Notifications ---------------------------------------------------------------------------- */

TEST(a_commit_wakes_who_waits)
{
    struct tp_store *s = open_empty(), *listener = open_another();
    int wake = eventfd(0, EFD_CLOEXEC);
    uint64_t one = 1;
    int64_t start;

    CHECK_INT(tp_store_wait(listener, -1, 5000), TP_OK); /* what was before is unknown */
    CHECK_INT(tp_store_wait(listener, -1, 30), TP_ERR_TIMEOUT);
    put(s, "services", 1, "{'host':'h'}");
    put(s, "services", 2, "{'host':'h'}");
    start = tp_clock_monotonic_ms();
    CHECK_INT(tp_store_wait(listener, wake, 5000), TP_OK);
    CHECK(tp_clock_monotonic_ms() - start < 1000);
    usleep(20000); /* the second one's */
    tp_store_wait(listener, wake, 0);
    CHECK_INT(tp_store_begin(s), TP_OK); /* nothing written, nobody woken */
    CHECK_INT(tp_store_commit(s, NULL), TP_OK);
    CHECK_INT(tp_store_wait(listener, wake, 30), TP_ERR_TIMEOUT);
    CHECK(write(wake, &one, sizeof(one)) == sizeof(one));
    CHECK_INT(tp_store_wait(listener, wake, 5000), TP_OK);
    CHECK(read(wake, &one, sizeof(one)) == sizeof(one));
    put(s, "services", 3, "{'host':'h'}");
    CHECK_INT(position(listener), 3); /* the news arrived with another answer */
    CHECK_INT(tp_store_wait(listener, wake, 5000), TP_OK);
    close(wake);
    tp_store_free(listener);
    tp_store_free(s);
}

/* --- The server goes -------------------------------------------------------------------------- */

TEST(a_connection_that_was_cut_is_made_again)
{
    struct tp_store *s = open_empty();
    struct tp_store_fault fault;

    put(s, "services", 1, "{'host':'h'}");
    run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'turnpike'");
    CHECK(exists(s, "services", 1)); /* a read sees nothing of it */
    run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'turnpike'");
    put(s, "services", 2, "{'host':'h'}"); /* nor does a transaction that begins */
    CHECK_INT(tp_store_begin(s), TP_OK);
    CHECK_INT(insert(s, &fault, "services", 3, "{'host':'h'}"), TP_OK);
    run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'turnpike'");
    CHECK_INT(insert(s, &fault, "services", 4, "{'host':'h'}"), TP_ERR_UNAVAILABLE);
    CHECK(fault.message[0]);
    CHECK_INT(insert(s, &fault, "services", 5, "{'host':'h'}"), TP_ERR_UNAVAILABLE);
    CHECK_INT(tp_store_commit(s, NULL), TP_ERR_UNAVAILABLE);
    CHECK(!exists(s, "services", 3) && !exists(s, "services", 5));
    CHECK_INT(tp_store_begin(s), TP_OK);
    CHECK_INT(insert(s, &fault, "services", 6, "{'host':'h'}"), TP_OK);
    run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'turnpike'");
    CHECK_INT(tp_store_commit(s, NULL), TP_ERR_UNAVAILABLE);
    put(s, "services", 7, "{'host':'h'}");
    CHECK_INT(position(s), 3);
    tp_store_free(s);
}

TEST(while_the_server_is_away_calls_fail_at_once_and_work_when_it_is_back)
{
    struct tp_store *s = open_empty(), *listener = open_another();
    struct tp_uuid id = uuid_n(1);
    uint64_t at;
    int64_t start;
    json_t *value;

    put(s, "services", 1, "{'host':'h'}");
    CHECK_INT(tp_store_wait(listener, -1, 1000), TP_OK);
    postgres_server_stop(&server, SIGINT);
    CHECK_INT(tp_store_wait(listener, -1, 5000), TP_ERR_UNAVAILABLE);
    start = tp_clock_monotonic_ms();
    for (int i = 0; i < 50; i++) {
        CHECK_INT(tp_store_begin(s), TP_ERR_UNAVAILABLE);
        CHECK_INT(tp_store_begin_read(s), TP_ERR_UNAVAILABLE);
        CHECK_INT(tp_store_get(s, kind("services"), &id, &value), TP_ERR_UNAVAILABLE);
        CHECK_INT(tp_store_position(s, &at), TP_ERR_UNAVAILABLE);
        CHECK_INT(tp_store_ping(s), TP_ERR_UNAVAILABLE);
        CHECK(strstr(tp_store_error(s), "postgres: "));
    }
    CHECK(tp_clock_monotonic_ms() - start < 500);
    start = tp_clock_monotonic_ms();
    CHECK_INT(tp_store_wait(listener, -1, 100), TP_ERR_UNAVAILABLE); /* no spinning */
    CHECK(tp_clock_monotonic_ms() - start >= 100);
    postgres_server_start(&server);
    start = tp_clock_monotonic_ms();
    while (tp_store_ping(s) && tp_clock_monotonic_ms() - start < 6000)
        usleep(10000);
    put(s, "services", 2, "{'host':'h'}");
    while (tp_store_wait(listener, -1, 10) && tp_clock_monotonic_ms() - start < 12000)
        ; /* its pause is its own */
    CHECK_INT(position(listener), 2);
    put(s, "services", 3, "{'host':'h'}");
    CHECK_INT(tp_store_wait(listener, -1, 1000), TP_OK); /* it listens again */
    tp_store_free(listener);
    tp_store_free(s);
}

TEST(what_was_committed_survives_a_kill_of_the_server)
{
    struct tp_store *s = open_empty();
    struct tp_store_fault fault;
    int64_t start;

    put(s, "services", 1, "{'host':'h'}");
    CHECK_INT(tp_store_begin(s), TP_OK);
    CHECK_INT(insert(s, &fault, "services", 2, "{'host':'h'}"), TP_OK);
    postgres_server_stop(&server, SIGKILL);
    postgres_server_start(&server);
    CHECK_INT(tp_store_commit(s, NULL), TP_ERR_UNAVAILABLE);
    start = tp_clock_monotonic_ms();
    while (tp_store_ping(s) && tp_clock_monotonic_ms() - start < 6000)
        usleep(10000);
    CHECK(exists(s, "services", 1) && !exists(s, "services", 2));
    CHECK_INT(position(s), 1);
    tp_store_free(s);
}

TEST(a_server_that_is_frozen_does_not_hold_the_caller)
{
    struct tp_postgres_options how;
    struct tp_store *s;
    struct tp_uuid id = uuid_n(1);
    char pid[16];
    int64_t start;
    json_t *value;

    tp_store_free(open_empty());
    how = options();
    how.timeout_ms = 300;
    s = open_with(how);
    query("SELECT pid FROM pg_stat_activity WHERE application_name = 'turnpike'", pid, sizeof(pid));
    kill(atoi(pid), SIGSTOP); /* one backend alone: as if the line were cut */
    start = tp_clock_monotonic_ms();
    CHECK_INT(tp_store_get(s, kind("services"), &id, &value), TP_ERR_UNAVAILABLE);
    CHECK(strstr(tp_store_error(s), "no answer within"));
    CHECK(tp_clock_monotonic_ms() - start < 4000);
    kill(atoi(pid), SIGCONT);
    CHECK_INT(tp_store_get(s, kind("services"), &id, &value), TP_ERR_NOT_FOUND);
    tp_store_free(s);
}

TEST(a_server_that_takes_no_writes_is_refused)
{
    wipe();
    run_sql("ALTER DATABASE turnpike SET default_transaction_read_only = on"); /* as on a standby */
    check_refused(options(), TP_ERR_UNAVAILABLE, "read-only");
    run_sql("SET transaction_read_only = off; ALTER DATABASE turnpike RESET default_transaction_read_only");
    tp_store_free(open_empty());
}

/* --- Replica ---------------------------------------------------------------------------------- */

TEST(reads_outside_transactions_go_to_the_replica_while_it_answers)
{
    struct tp_postgres_options how = { 0 }, replica = { 0 };
    struct tp_page_query page = { .size = 10 };
    struct tp_store *s = open_empty(), *far;
    struct walk walk = { 0 };
    json_t *rows;
    bool more;

    run_sql("DROP SCHEMA IF EXISTS far CASCADE"); /* not a real standby: other rows show who answers */
    replica = how = options();
    replica.schema = "far";
    far = open_with(replica);
    CHECK_INT(tp_store_migrate(far, NULL), TP_OK);
    put(far, "services", 1, "{'name':'far','host':'h'}");
    put(s, "services", 1, "{'name':'near','host':'h'}");
    put(s, "services", 2, "{'name':'second','host':'h'}");
    tp_store_free(s);
    how.replica = &replica;
    s = open_with(how);
    CHECK_STR(member(s, "services", 1, "name"), "'far'");
    CHECK_INT(tp_store_page(s, kind("services"), &page, &rows, &more), TP_OK);
    CHECK_INT(json_array_size(rows), 1);
    json_decref(rows);
    CHECK_INT(tp_store_each(s, kind("services"), on_row, &walk), TP_OK);
    CHECK_INT(walk.seen, 1);
    CHECK_INT(position(s), 2); /* the feed is the primary's */
    CHECK_INT(tp_store_begin_read(s), TP_OK);
    CHECK_STR(member(s, "services", 1, "name"), "'near'");
    CHECK_INT(tp_store_commit(s, NULL), TP_OK);
    tp_store_free(s);
    replica.port = 27998; /* nobody there */
    s = open_with(how);
    CHECK_STR(member(s, "services", 1, "name"), "'near'");
    walk.seen = 0;
    CHECK_INT(tp_store_each(s, kind("services"), on_row, &walk), TP_OK);
    CHECK_INT(walk.seen, 2);
    tp_store_free(s);
    tp_store_free(far);
    run_sql("DROP SCHEMA far CASCADE");
}
