/*
 * The store on a PostgreSQL of its own, with everything synced: bulk load, commits of one and of eight writers, pages
 * at depth. Arguments: how many consumers (100000), how many commits in all (4000).
 */
#include "base/clock.h"
#include "base/mem.h"
#include "model/fields.h"
#include "store/store.h"
#include "support/postgres_server.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct postgres_server server;

static struct tp_store *open_store(void)
{
    struct tp_postgres_options options = { .host = server.dir, .port = server.port, .database = "turnpike",
                                           .user = "trusted", .schema = "bench", .timeout_ms = 60000 };
    struct tp_diag *diag = tp_diag_new();
    struct tp_store *store = NULL;

    if (tp_postgres_open(&store, &options, diag) || tp_store_migrate(store, diag)) {
        fprintf(stderr, "%s\n", tp_diag_text(diag));
        exit(1);
    }
    tp_diag_free(diag);
    return store;
}

static const struct tp_entity *kind(const char *name)
{
    return tp_entity_by_name(tp_str_from_cstr(name));
}

/* With a random id; members are added by the caller. */
static json_t *value_of(const struct tp_entity *entity, char id[TP_UUID_TEXT_LEN + 1])
{
    json_t *value = tp_fields_defaults(entity->fields);
    struct tp_uuid uuid = tp_uuid_random();

    tp_uuid_format(&uuid, id);
    json_object_set_new(value, "id", json_string(id));
    json_object_set_new(value, "created_at", json_integer(1700000000));
    return value;
}

static void check(enum tp_err err, struct tp_store *store)
{
    if (!err)
        return;
    fprintf(stderr, "%s: %s\n", tp_err_text(err), tp_store_error(store));
    exit(1);
}

struct batch {
    struct tp_store *store;
    struct tp_store_item items[200];
    size_t count;
};

static void flush(struct batch *batch)
{
    struct tp_store_fault fault;
    size_t failed;

    check(tp_store_insert_many(batch->store, batch->items, batch->count, &failed, &fault), batch->store);
    while (batch->count > 0)
        json_decref((json_t *)batch->items[--batch->count].value);
}

static void insert(struct batch *batch, const struct tp_entity *entity, json_t *value)
{
    batch->items[batch->count++] = (struct tp_store_item){ entity, value };
    if (batch->count == sizeof(batch->items) / sizeof(batch->items[0]))
        flush(batch);
}

static void add_consumer(struct batch *batch, const char *prefix, unsigned n, bool with_key)
{
    char id[TP_UUID_TEXT_LEN + 1], key_id[TP_UUID_TEXT_LEN + 1], text[64];
    json_t *value = value_of(kind("consumers"), id);

    snprintf(text, sizeof(text), "%s-%u", prefix, n);
    json_object_set_new(value, "username", json_string(text));
    json_object_set_new(value, "tags", json_pack("[s]", n % 1000 ? "most" : "few"));
    insert(batch, kind("consumers"), value);
    if (!with_key)
        return;
    value = value_of(kind("keyauth_credentials"), key_id);
    json_object_set_new(value, "key", json_sprintf("key-of-%s-0123456789abcdef", text));
    json_object_set_new(value, "consumer", json_pack("{s:s}", "id", id));
    insert(batch, kind("keyauth_credentials"), value);
}

static double seconds_since(int64_t start)
{
    return (double)(tp_clock_monotonic_ms() - start) / 1000;
}

static void bench_bulk(struct tp_store *store, unsigned consumers)
{
    struct batch batch = { .store = store };
    int64_t start = tp_clock_monotonic_ms();
    double s;

    check(tp_store_begin(store), store);
    check(tp_store_bulk_begin(store), store);
    for (unsigned i = 0; i < consumers; i++)
        add_consumer(&batch, "bulk", i, true);
    flush(&batch);
    check(tp_store_bulk_end(store), store);
    check(tp_store_commit(store, NULL), store);
    s = seconds_since(start);
    printf("bulk load: %u consumers with a tag and a key in %.1f s, %.1f us each\n", consumers, s,
           s * 1e6 / consumers);
}

/* --- Commits ---------------------------------------------------------------------------------- */

struct writer {
    struct tp_store *store;
    unsigned number, commits;
    pthread_t thread;
};

static void *write_commits(void *data)
{
    struct writer *w = data;
    struct batch batch = { .store = w->store };
    char prefix[32];

    snprintf(prefix, sizeof(prefix), "w%u-%u", w->number, w->commits);
    for (unsigned i = 0; i < w->commits; i++) {
        check(tp_store_begin(w->store), w->store);
        add_consumer(&batch, prefix, i, false);
        flush(&batch);
        check(tp_store_commit(w->store, NULL), w->store);
    }
    return NULL;
}

static void bench_commits(unsigned writers, unsigned commits)
{
    struct writer *list = tp_calloc(writers, sizeof(*list));
    int64_t start;
    double s;

    for (unsigned i = 0; i < writers; i++)
        list[i] = (struct writer){ .store = open_store(), .number = i, .commits = commits / writers };
    start = tp_clock_monotonic_ms();
    for (unsigned i = 0; i < writers; i++)
        pthread_create(&list[i].thread, NULL, write_commits, &list[i]);
    for (unsigned i = 0; i < writers; i++)
        pthread_join(list[i].thread, NULL);
    s = seconds_since(start);
    printf("%u writer%s: %.0f commits/s\n", writers, writers > 1 ? "s" : "", commits / writers * writers / s);
    for (unsigned i = 0; i < writers; i++)
        tp_store_free(list[i].store);
    free(list);
}

/* --- Pages ------------------------------------------------------------------------------------ */

static void bench_page(struct tp_store *store, const char *entity, const char *tag, double depth, const char *name)
{
    struct tp_str text = tp_str_from_cstr(tag);
    struct tp_uuid after = { .bytes = { (uint8_t)(depth * 255) } };
    struct tp_page_query query = { .size = 100, .after = &after, .tags = &text, .tag_count = tag != NULL };
    enum { ROUNDS = 50 };
    int64_t start = tp_clock_monotonic_ms();
    size_t rows_seen = 0;

    for (int i = 0; i < ROUNDS; i++) {
        json_t *rows;
        bool more;

        check(tp_store_page(store, kind(entity), &query, &rows, &more), store);
        rows_seen = json_array_size(rows);
        json_decref(rows);
    }
    printf("page of %zu %s%s at %2.0f %%: %.2f ms\n", rows_seen, entity, name, 100 * depth,
           seconds_since(start) * 1000 / ROUNDS);
}

static void bench_pages(struct tp_store *store)
{
    for (int i = 0; i < 3; i++) {
        double depth = (double[]){ 0, 0.5, 0.95 }[i];

        bench_page(store, "consumers", NULL, depth, "");
        bench_page(store, "consumers", "most", depth, " by a tag of many");
        bench_page(store, "consumers", "few", depth, " by a tag of few");
        bench_page(store, "keyauth_credentials", NULL, depth, "");
    }
}

static void bench_lookups(struct tp_store *store, unsigned consumers)
{
    enum { ROUNDS = 5000 };
    int64_t start = tp_clock_monotonic_ms();

    for (unsigned i = 0; i < ROUNDS; i++) {
        char name[64];
        json_t *value;

        snprintf(name, sizeof(name), "bulk-%u", i * 7919 % consumers);
        check(tp_store_get_by(store, kind("consumers"), "username", tp_str_from_cstr(name), &value), store);
        json_decref(value);
    }
    printf("one by its name: %.3f ms\n", seconds_since(start) * 1000 / ROUNDS);
}

int main(int argc, char **argv)
{
    unsigned consumers = argc > 1 ? (unsigned)atoi(argv[1]) : 100000;
    unsigned commits = argc > 2 ? (unsigned)atoi(argv[2]) : 4000;
    struct tp_store *store;

    if (!postgres_is_installed()) {
        printf("skipped: PostgreSQL is not installed\n");
        return 77;
    }
    postgres_server_make(&server, 27050, "-c max_wal_size=4GB -c shared_buffers=512MB");
    store = open_store();
    bench_bulk(store, consumers);
    bench_pages(store);
    bench_lookups(store, consumers);
    bench_commits(1, commits);
    bench_commits(8, commits);
    bench_pages(store);
    tp_store_free(store);
    postgres_server_remove(&server);
    return 0;
}
