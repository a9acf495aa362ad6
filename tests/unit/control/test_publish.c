/* The publisher, over a real SQLite store and a real read model. */
#include "base/clock.h"
#include "control/publish.h"
#include "plan/read_model.h"
#include "support/temp_dir.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAP (1ull << 30)
#define SECOND 1000
#define ALICE "aaaaaaaa-0000-4000-8000-000000000001"
#define KEY1 "cccccccc-0000-4000-8000-000000000001"

static char dir[TEMP_DIR_SIZE], db_path[96], model_path[96], link_path[96];
static bool database_is_down;
static struct tp_link *link_;

/* Of the stores that the publisher opens; NULL: the system's. */
static int64_t (*store_clock)(void *data);

static int64_t one_hour(void *data)
{
    (void)data;
    return 3600 * SECOND;
}

static enum tp_err open_store(void *data, struct tp_store **out, struct tp_diag *diag)
{
    enum tp_err err;

    (void)data;
    if (database_is_down) {
        tp_diag_add(diag, NULL, "the database is down");
        return TP_ERR_UNAVAILABLE;
    }
    err = tp_sqlite_open(out, db_path, diag);
    if (!err && store_clock)
        tp_store_set_clock(*out, store_clock, NULL);
    return err;
}

static struct tp_store *open_database(void)
{
    struct tp_diag *diag = tp_diag_new();
    struct tp_store *store = NULL;

    if (tp_sqlite_open(&store, db_path, diag) || tp_store_migrate(store, diag))
        test_fail(__FILE__, __LINE__, "%s", tp_diag_text(diag));
    tp_diag_free(diag);
    return store;
}

static struct tp_store *set_up(void)
{
    temp_dir_make(dir, "publish");
    snprintf(db_path, sizeof(db_path), "%s/turnpike.db", dir);
    snprintf(model_path, sizeof(model_path), "%s/read", dir);
    snprintf(link_path, sizeof(link_path), "%s/link.sock", dir);
    database_is_down = false;
    CHECK_INT(tp_link_start(&link_, link_path, NULL), TP_OK);
    return open_database();
}

static void tear_down(struct tp_store *store)
{
    tp_store_free(store);
    tp_link_stop(link_);
    temp_dir_remove(dir);
}

static enum tp_err start_with_map(struct tp_publisher **out, uint64_t map_bytes)
{
    struct tp_publisher_options options = {
        .open_store = open_store, .read_model_dir = model_path, .map_bytes = map_bytes, .link = link_, .poll_ms = 100
    };

    return tp_publisher_start(out, &options, NULL);
}

static struct tp_publisher *start(void)
{
    struct tp_publisher *p = NULL;

    CHECK_INT(start_with_map(&p, MAP), TP_OK);
    return p;
}

static const struct tp_entity *entity(const char *name)
{
    return tp_entity_by_name(tp_str_from_cstr(name));
}

/* Write one entity in a transaction of its own; returns its position. */
static uint64_t insert(struct tp_store *store, const char *table, json_t *input)
{
    static const struct tp_registry none = { NULL, 0 };
    struct tp_store_fault fault = { 0 };
    struct tp_draft draft = { entity(table), &none, TP_INSERT, input, NULL, 1700000000 };
    json_t *value = NULL, *errors = NULL;
    uint64_t position = 0;

    CHECK_INT(tp_entity_prepare(&draft, &value, &errors), TP_OK);
    CHECK_INT(tp_store_begin(store), TP_OK);
    CHECK_INT(tp_store_insert(store, entity(table), value, &fault), TP_OK);
    CHECK_INT(tp_store_commit(store, &position), TP_OK);
    tp_store_fault_fini(&fault);
    json_decref(input);
    json_decref(value);
    json_decref(errors);
    return position;
}

static uint64_t insert_consumer(struct tp_store *store, const char *id, const char *name)
{
    return insert(store, "consumers", json_pack("{s:s*, s:s}", "id", id, "username", name));
}

static uint64_t insert_key(struct tp_store *store, const char *consumer, const char *key, int ttl)
{
    json_t *input = json_pack("{s:{s:s}, s:s}", "consumer", "id", consumer, "key", key);

    if (ttl)
        json_object_set_new(input, "ttl", json_integer(ttl));
    return insert(store, "keyauth_credentials", input);
}

static uint64_t delete_entity(struct tp_store *store, const char *table, const char *id)
{
    struct tp_store_fault fault = { 0 };
    struct tp_uuid uuid;
    uint64_t position = 0;

    TP_ASSERT(tp_uuid_parse(tp_str_from_cstr(id), &uuid));
    CHECK_INT(tp_store_begin(store), TP_OK);
    CHECK_INT(tp_store_delete(store, entity(table), &uuid, &fault), TP_OK);
    CHECK_INT(tp_store_commit(store, &position), TP_OK);
    tp_store_fault_fini(&fault);
    return position;
}

static enum tp_err wait_for(struct tp_publisher *p, uint64_t position)
{
    char fault[256];

    return tp_publisher_wait(p, position, 10 * SECOND, fault, sizeof(fault));
}

/* A reader's look: opened anew, as a worker of another process would. */
/* When the key ends (0: never) into *expires_at. False: it is not there. */
static bool find_key(const char *key, int64_t *expires_at)
{
    struct tp_arena *arena = tp_arena_new();
    struct tp_read_model *rm = NULL;
    struct tp_credential found;
    struct tp_view *view;
    bool has = false;

    CHECK_INT(tp_read_model_open(&rm, model_path, MAP, NULL), TP_OK);
    if (rm && tp_view_begin(rm, &view) == TP_OK) {
        has = tp_view_credential(view, TP_STR("keyauth_credentials"), tp_str_from_cstr(key), arena, &found) == TP_OK;
        *expires_at = has ? found.expires_at : 0;
        tp_view_end(view);
    }
    tp_read_model_close(rm);
    tp_arena_free(arena);
    return has;
}

static bool has_key(const char *key)
{
    int64_t unused;

    return find_key(key, &unused);
}

static struct tp_publisher_status status_of(struct tp_publisher *p)
{
    struct tp_publisher_status status;

    tp_publisher_get_status(p, &status);
    return status;
}

TEST(the_first_start_builds_and_then_follows)
{
    struct tp_store *store = set_up();
    struct tp_publisher *p;
    uint64_t position;

    insert_consumer(store, ALICE, "alice");
    insert_key(store, ALICE, "before", 0);
    p = start();
    CHECK(has_key("before"));
    CHECK_INT(status_of(p).epoch, 1);
    CHECK(status_of(p).database_reachable);
    position = insert_key(store, ALICE, "after", 0);
    CHECK(!has_key("nobody's"));
    CHECK_INT(wait_for(p, position), TP_OK);
    CHECK(has_key("after"));
    CHECK_INT(status_of(p).position, position);
    CHECK_STR((const char *)status_of(p).fault, "");
    CHECK_INT(status_of(p).epoch, 1); /* applied, not rebuilt */
    tp_publisher_stop(p);
    tear_down(store);
}

TEST(a_delete_takes_what_hangs_on_it)
{
    struct tp_store *store = set_up();
    struct tp_publisher *p = start();

    insert_consumer(store, ALICE, "alice");
    CHECK_INT(wait_for(p, insert_key(store, ALICE, "k", 0)), TP_OK);
    CHECK(has_key("k"));
    CHECK_INT(wait_for(p, delete_entity(store, "consumers", ALICE)), TP_OK);
    CHECK(!has_key("k"));
    tp_publisher_stop(p);
    tear_down(store);
}

TEST(a_restart_goes_on_where_it_was_and_works_without_database)
{
    struct tp_store *store = set_up();
    struct tp_publisher *p = start();
    uint64_t position;

    insert_consumer(store, ALICE, "alice");
    CHECK_INT(wait_for(p, insert_key(store, ALICE, "one", 0)), TP_OK);
    tp_publisher_stop(p);
    position = insert_key(store, ALICE, "two", 0);
    database_is_down = true;
    p = start();
    CHECK(has_key("one"));
    CHECK(!status_of(p).database_reachable);
    CHECK(strstr(status_of(p).fault, "down") != NULL);
    database_is_down = false;
    CHECK_INT(wait_for(p, position), TP_OK);
    CHECK(has_key("two"));
    CHECK_INT(status_of(p).epoch, 1);
    CHECK_STR((const char *)status_of(p).fault, "");
    tp_publisher_stop(p);
    tear_down(store);
}

TEST(without_read_model_and_database_there_is_no_start)
{
    struct tp_store *store = set_up();
    struct tp_publisher *p = NULL;

    database_is_down = true;
    CHECK_INT(start_with_map(&p, MAP), TP_ERR_UNAVAILABLE);
    CHECK(p == NULL);
    tear_down(store);
}

TEST(a_damaged_read_model_is_rebuilt_at_start)
{
    struct tp_store *store = set_up();
    struct tp_publisher *p = start();
    char data[128];

    insert_consumer(store, ALICE, "alice");
    CHECK_INT(wait_for(p, insert_key(store, ALICE, "k", 0)), TP_OK);
    tp_publisher_stop(p);
    snprintf(data, sizeof(data), "%s/1/data.mdb", model_path);
    CHECK_INT(truncate(data, 3 * 4096), 0);
    p = start();
    CHECK_INT(status_of(p).epoch, 2);
    CHECK(has_key("k"));
    tp_publisher_stop(p);
    tear_down(store);
}

TEST(keys_end_when_the_store_says_however_long_copying_takes)
{
    struct tp_store *store = set_up();
    struct tp_publisher *p;
    int64_t expires_at = 0;

    store_clock = one_hour;
    tp_store_set_clock(store, one_hour, NULL);
    insert_consumer(store, ALICE, "alice");
    insert_key(store, ALICE, "first", 60);
    p = start();
    CHECK(find_key("first", &expires_at));
    CHECK_INT(expires_at, 3660);
    CHECK_INT(wait_for(p, insert_key(store, ALICE, "second", 90)), TP_OK);
    CHECK(find_key("second", &expires_at));
    CHECK_INT(expires_at, 3690);
    tp_publisher_stop(p);
    store_clock = NULL;
    tear_down(store);
}

TEST(another_database_is_noticed)
{
    struct tp_store *store = set_up();
    struct tp_publisher *p = start();

    insert_consumer(store, ALICE, "alice");
    CHECK_INT(wait_for(p, insert_key(store, ALICE, "old", 0)), TP_OK);
    tp_publisher_stop(p);
    tp_store_free(store);
    CHECK_INT(unlink(db_path), 0); /* closed: its journal is gone */
    store = open_database();
    insert_consumer(store, ALICE, "alice");
    insert_key(store, ALICE, "new", 0);
    insert_key(store, ALICE, "newer", 0);
    p = start();
    CHECK_INT(status_of(p).epoch, 2);
    CHECK(has_key("new"));
    CHECK(!has_key("old"));
    tp_publisher_stop(p);
    tear_down(store);
}

TEST(a_bulk_load_is_read_again_whole)
{
    struct tp_store *store = set_up();
    struct tp_publisher *p = start();
    static const struct tp_registry none = { NULL, 0 };
    uint64_t position = 0;

    CHECK_INT(tp_store_begin(store), TP_OK);
    CHECK_INT(tp_store_bulk_begin(store), TP_OK);
    for (int i = 0; i < 300; i++) {
        json_t *input = json_pack("{s:o}", "username", json_sprintf("user-%d", i)), *value, *errors = NULL;
        struct tp_draft draft = { entity("consumers"), &none, TP_INSERT, input, NULL, 1 };
        struct tp_store_fault fault = { 0 };

        CHECK_INT(tp_entity_prepare(&draft, &value, &errors), TP_OK);
        CHECK_INT(tp_store_insert(store, entity("consumers"), value, &fault), TP_OK);
        tp_store_fault_fini(&fault);
        json_decref(value);
        json_decref(input);
    }
    CHECK_INT(tp_store_bulk_end(store), TP_OK);
    CHECK_INT(tp_store_commit(store, &position), TP_OK);
    CHECK_INT(wait_for(p, position), TP_OK);
    CHECK_INT(status_of(p).epoch, 2);
    tp_publisher_stop(p);
    tear_down(store);
}

TEST(one_large_transaction_is_applied_whole)
{
    struct tp_store *store = set_up();
    struct tp_publisher *p = start();
    static const struct tp_registry none = { NULL, 0 };
    uint64_t position = 0;

    CHECK_INT(tp_store_begin(store), TP_OK);
    for (int i = 0; i < 2500; i++) {
        json_t *input = json_pack("{s:o}", "username", json_sprintf("user-%d", i)), *value, *errors = NULL;
        struct tp_draft draft = { entity("consumers"), &none, TP_INSERT, input, NULL, 1 };
        struct tp_store_fault fault = { 0 };

        CHECK_INT(tp_entity_prepare(&draft, &value, &errors), TP_OK);
        CHECK_INT(tp_store_insert(store, entity("consumers"), value, &fault), TP_OK);
        tp_store_fault_fini(&fault);
        json_decref(value);
        json_decref(input);
    }
    CHECK_INT(tp_store_commit(store, &position), TP_OK);
    CHECK_INT(wait_for(p, position), TP_OK);
    CHECK_INT(status_of(p).position, position);
    CHECK_INT(status_of(p).epoch, 1);
    tp_publisher_stop(p);
    tear_down(store);
}

TEST(a_full_map_is_a_fault_that_names_itself_and_ends)
{
    struct tp_store *store = set_up();
    struct tp_publisher *p = NULL;
    char fault[256] = "", name[4000];
    uint64_t position = 0, last;
    enum tp_err err = TP_OK;

    CHECK_INT(start_with_map(&p, 256 * 1024), TP_OK);
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    for (int i = 0; i < 200 && !err; i++) {
        snprintf(name, 10, "%09d", i);
        name[9] = '-';
        position = insert_consumer(store, NULL, name);
        err = tp_publisher_wait(p, position, 10 * SECOND, fault, sizeof(fault));
    }
    CHECK_INT(err, TP_ERR_FULL);
    CHECK(strstr(fault, "map is full") != NULL);
    CHECK(strstr(status_of(p).fault, "map is full") != NULL);
    last = position;
    tp_publisher_stop(p); /* the operator gives it a larger one */
    CHECK_INT(start_with_map(&p, MAP), TP_OK);
    CHECK_INT(wait_for(p, last), TP_OK);
    CHECK_STR((const char *)status_of(p).fault, "");
    tp_publisher_stop(p);
    tear_down(store);
}

TEST(expired_keys_are_swept)
{
    struct tp_store *store = set_up();
    struct tp_publisher *p = start();
    bool gone = false;

    insert_consumer(store, ALICE, "alice");
    CHECK_INT(wait_for(p, insert_key(store, ALICE, "short", 1)), TP_OK);
    CHECK(has_key("short"));
    for (int i = 0; i < 100 && !gone; i++) {
        usleep(50000);
        gone = !has_key("short");
    }
    CHECK(gone);
    tp_publisher_stop(p);
    tear_down(store);
}

TEST(a_write_is_served_within_milliseconds)
{
    struct tp_store *store = set_up();
    struct tp_publisher *p = start();
    int64_t worst = 0;

    insert_consumer(store, ALICE, "alice");
    for (int i = 0; i < 50; i++) {
        char key[16];
        int64_t began;

        snprintf(key, sizeof(key), "key-%d", i);
        began = tp_clock_monotonic_ms();
        CHECK_INT(wait_for(p, insert_key(store, ALICE, key, 0)), TP_OK);
        began = tp_clock_monotonic_ms() - began;
        worst = began > worst ? began : worst;
    }
    CHECK(worst < 500); /* a busy machine; some 2 ms on a quiet one */
    tp_publisher_stop(p);
    tear_down(store);
}
