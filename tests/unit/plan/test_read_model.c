/* The read model: building, reading, applying, following, running full. */
#include "plan/read_model.h"
#include "support/temp_dir.h"
#include "support/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAP (1ull << 30)
#define SERVICE "11111111-0000-4000-8000-000000000001"
#define ROUTE "22222222-0000-4000-8000-000000000001"
#define ALICE "aaaaaaaa-0000-4000-8000-000000000001"
#define BOB "bbbbbbbb-0000-4000-8000-000000000001"
#define KEY1 "cccccccc-0000-4000-8000-000000000001"
#define PLUGIN1 "dddddddd-0000-4000-8000-000000000001"
#define PLUGIN2 "dddddddd-0000-4000-8000-000000000002"

static char dir[TEMP_DIR_SIZE];
static const struct tp_uuid database = { { 1, 2, 3 } };

static struct tp_uuid uuid(const char *text)
{
    struct tp_uuid id;

    TP_ASSERT(tp_uuid_parse(tp_str_from_cstr(text), &id));
    return id;
}

static struct tp_read_model_builder *begin(uint64_t position)
{
    struct tp_read_model_builder *b = NULL;

    CHECK_INT(tp_read_model_build_begin(&b, dir, MAP, &database, position, NULL), TP_OK);
    return b;
}

static void add(struct tp_read_model_builder *b, const char *entity, const char *json)
{
    json_t *value = json_loads(json, 0, NULL);

    TP_ASSERT(value != NULL);
    CHECK_INT(tp_read_model_build_add(b, entity, value, NULL), TP_OK);
    json_decref(value);
}

static struct tp_read_model *open_model(void)
{
    struct tp_read_model *rm = NULL;
    struct tp_diag *diag = tp_diag_new();

    if (tp_read_model_open(&rm, dir, MAP, diag))
        test_fail(__FILE__, __LINE__, "open: %s", tp_diag_text(diag));
    tp_diag_free(diag);
    return rm;
}

/* An empty model at position 1. */
static struct tp_read_model *empty_model(void)
{
    temp_dir_make(dir, "read-model");
    CHECK_INT(tp_read_model_build_end(begin(1), NULL), TP_OK);
    return open_model();
}

static void check_sound(void)
{
    struct tp_diag *diag = tp_diag_new();

    if (tp_read_model_check(dir, diag))
        test_fail(__FILE__, __LINE__, "check: %s", tp_diag_text(diag));
    tp_diag_free(diag);
}

static void end_model(struct tp_read_model *rm)
{
    tp_read_model_close(rm);
    check_sound();
    temp_dir_remove(dir);
}

/* Apply one change at `position`; json NULL deletes. Returns whether the plan depends on it. */
static bool apply(struct tp_read_model *rm, uint64_t position, const char *entity, const char *id, const char *json)
{
    json_t *value = json ? json_loads(json, 0, NULL) : NULL;
    struct tp_change change = { entity, uuid(id), value };
    bool plan_changed = false;

    TP_ASSERT(!json || value);
    CHECK_INT(tp_read_model_apply(rm, &change, 1, position, &plan_changed, NULL), TP_OK);
    json_decref(value);
    return plan_changed;
}

#define CONSUMER(id, name) "{\"id\":\"" id "\",\"username\":\"" name "\",\"custom_id\":null,\"tags\":null}"
#define KEY(id, consumer, key)                                                                                         \
    "{\"id\":\"" id "\",\"consumer\":{\"id\":\"" consumer "\"},\"key\":\"" key                                         \
    "\",\"tags\":null,\"created_at\":1,\"ttl\":null}"
#define PLUGIN(id, consumer, enabled, config)                                                                          \
    "{\"id\":\"" id "\",\"name\":\"rate-limiting\",\"consumer\":" consumer ",\"route\":null,\"service\":null,"         \
    "\"enabled\":" enabled ",\"config\":" config "}"
#define OF(consumer) "{\"id\":\"" consumer "\"}"

/* Text of what a look-up finds: "-" for nothing. */
static const char *consumer_of_key(struct tp_read_model *rm, const char *key)
{
    static char text[TP_UUID_TEXT_LEN + 1];
    struct tp_arena *arena = tp_arena_new();
    struct tp_credential found;
    struct tp_view *view;
    enum tp_err err;

    CHECK_INT(tp_view_begin(rm, &view), TP_OK);
    err = tp_view_credential(view, TP_STR("keyauth_credentials"), tp_str_from_cstr(key), arena, &found);
    snprintf(text, sizeof(text), "-");
    if (!err)
        tp_uuid_format(&found.consumer_id, text);
    else
        CHECK_INT(err, TP_ERR_NOT_FOUND);
    tp_view_end(view);
    tp_arena_free(arena);
    return text;
}

static const char *id_of_username(struct tp_read_model *rm, const char *name)
{
    static char text[TP_UUID_TEXT_LEN + 1];
    struct tp_arena *arena = tp_arena_new();
    struct tp_consumer found;
    struct tp_view *view;

    CHECK_INT(tp_view_begin(rm, &view), TP_OK);
    snprintf(text, sizeof(text), "-");
    if (tp_view_consumer_by_username(view, tp_str_from_cstr(name), arena, &found, NULL) == TP_OK) {
        CHECK_STR(found.username, name);
        tp_uuid_format(&found.id, text);
    }
    tp_view_end(view);
    tp_arena_free(arena);
    return text;
}

static size_t plugins_of(struct tp_read_model *rm, const char *consumer, bool look_first, char *config, size_t size)
{
    struct tp_arena *arena = tp_arena_new();
    struct tp_uuid id = uuid(consumer);
    struct tp_consumer_plugin *rows;
    struct tp_consumer unused;
    struct tp_view *view;
    bool has_plugins = false;
    size_t count = 99;

    CHECK_INT(tp_view_begin(rm, &view), TP_OK);
    if (look_first)
        CHECK_INT(tp_view_consumer(view, &id, arena, &unused, &has_plugins), TP_OK);
    CHECK_INT(tp_view_consumer_plugins(view, &id, arena, &rows, &count), TP_OK);
    if (look_first)
        CHECK_INT(has_plugins, count > 0);
    if (config && count)
        snprintf(config, size, "%.*s", TP_STR_ARG(rows[0].config));
    tp_view_end(view);
    tp_arena_free(arena);
    return count;
}

static struct tp_read_model_meta meta_of(struct tp_read_model *rm)
{
    struct tp_read_model_meta meta = { 0 };
    struct tp_view *view;

    CHECK_INT(tp_view_begin(rm, &view), TP_OK);
    CHECK_INT(tp_view_meta(view, &meta), TP_OK);
    tp_view_end(view);
    return meta;
}

TEST(nothing_is_there_before_the_first_build)
{
    struct tp_read_model *rm;

    temp_dir_make(dir, "read-model");
    CHECK_INT(tp_read_model_open(&rm, dir, MAP, NULL), TP_ERR_NOT_FOUND);
    CHECK_INT(tp_read_model_check(dir, NULL), TP_ERR_NOT_FOUND);
    temp_dir_remove(dir);
}

TEST(what_was_built_is_found)
{
    struct tp_read_model_builder *b;
    struct tp_read_model *rm;
    char config[64] = "";

    temp_dir_make(dir, "read-model");
    b = begin(7);
    add(b, "keyauth_credentials", KEY(KEY1, ALICE, "secret"));
    add(b, "plugins", PLUGIN(PLUGIN2, OF(ALICE), "true", "{\"minute\":2}"));
    add(b, "plugins", PLUGIN(PLUGIN1, OF(ALICE), "true", "{\"minute\":1}"));
    add(b, "consumers", CONSUMER(BOB, "bob"));
    add(b, "consumers", CONSUMER(ALICE, "alice"));
    add(b, "services", "{\"id\":\"" SERVICE "\"}");
    add(b, "certificates", "{\"id\":\"" SERVICE "\"}"); /* not kept */
    CHECK_INT(tp_read_model_build_end(b, NULL), TP_OK);
    rm = open_model();
    CHECK_INT(meta_of(rm).position, 7);
    CHECK_INT(meta_of(rm).epoch, 1);
    struct tp_read_model_meta meta = meta_of(rm);
    CHECK(tp_uuid_eq(&meta.database, &database));
    CHECK_STR(consumer_of_key(rm, "secret"), ALICE);
    CHECK_STR(consumer_of_key(rm, "Secret"), "-");
    CHECK_STR(id_of_username(rm, "bob"), BOB);
    CHECK_INT(plugins_of(rm, ALICE, true, config, sizeof(config)), 2);
    CHECK_INT(plugins_of(rm, BOB, true, NULL, 0), 0);
    CHECK_INT(plugins_of(rm, BOB, false, NULL, 0), 0);
    end_model(rm);
}

TEST(the_secret_is_in_no_file)
{
    struct tp_read_model *rm = empty_model();

    apply(rm, 2, "keyauth_credentials", KEY1, KEY(KEY1, ALICE, "very-secret-key-text"));
    CHECK_STR(consumer_of_key(rm, "very-secret-key-text"), ALICE);
    apply(rm, 3, "consumers", BOB, CONSUMER(BOB, "no-secret-at-all"));
    CHECK(!temp_dir_holds(dir, "very-secret"));
    CHECK(temp_dir_holds(dir, "no-secret-at-all")); /* the search finds what is there */
    end_model(rm);
}

TEST(a_changed_key_replaces_the_old_one)
{
    struct tp_read_model *rm = empty_model();

    apply(rm, 2, "keyauth_credentials", KEY1, KEY(KEY1, ALICE, "one"));
    apply(rm, 3, "keyauth_credentials", KEY1, KEY(KEY1, BOB, "two"));
    CHECK_STR(consumer_of_key(rm, "one"), "-");
    CHECK_STR(consumer_of_key(rm, "two"), BOB);
    apply(rm, 4, "keyauth_credentials", KEY1, NULL);
    CHECK_STR(consumer_of_key(rm, "two"), "-");
    apply(rm, 5, "keyauth_credentials", KEY1, NULL); /* told twice */
    CHECK_INT(meta_of(rm).position, 5);
    end_model(rm);
}

TEST(a_key_that_moves_to_another_credential_stays_found)
{
    static const char second[] = "cccccccc-0000-4000-8000-000000000002";
    struct tp_read_model *rm = empty_model();

    apply(rm, 2, "keyauth_credentials", KEY1, KEY(KEY1, ALICE, "one"));
    /* State-based feeds may tell the new owner first. */
    apply(rm, 3, "keyauth_credentials", second, KEY("cccccccc-0000-4000-8000-000000000002", BOB, "one"));
    apply(rm, 4, "keyauth_credentials", KEY1, NULL);
    CHECK_STR(consumer_of_key(rm, "one"), BOB);
    end_model(rm);
}

TEST(expiry_and_further_fields_of_a_credential)
{
    struct tp_read_model *rm = empty_model();
    struct tp_arena *arena = tp_arena_new();
    struct tp_credential found;
    struct tp_view *view;

    apply(rm, 2, "keyauth_credentials", KEY1,
          "{\"id\":\"" KEY1 "\",\"consumer\":{\"id\":\"" ALICE "\"},\"key\":\"k\",\"tags\":[\"gold\"],\"ttl\":100}");
    CHECK_INT(tp_view_begin(rm, &view), TP_OK);
    CHECK_INT(tp_view_credential(view, TP_STR("keyauth_credentials"), TP_STR("k"), arena, &found), TP_OK);
    CHECK(found.expires_at > 1000000000);
    CHECK_STR(found.data, "{\"tags\":[\"gold\"]}");
    CHECK_INT(tp_view_credential(view, TP_STR("jwt_secrets"), TP_STR("k"), arena, &found), TP_ERR_NOT_FOUND);
    tp_view_end(view);
    apply(rm, 3, "keyauth_credentials", KEY1,
          "{\"id\":\"" KEY1 "\",\"consumer\":{\"id\":\"" ALICE "\"},\"key\":\"k\",\"ttl\":100,\"expires_at\":1234}");
    CHECK_INT(tp_view_begin(rm, &view), TP_OK);
    CHECK_INT(tp_view_credential(view, TP_STR("keyauth_credentials"), TP_STR("k"), arena, &found), TP_OK);
    CHECK_INT(found.expires_at, 1234); /* the moment counts, not when it was told */
    CHECK(found.data.len == 0);
    tp_view_end(view);
    tp_arena_free(arena);
    end_model(rm);
}

TEST(usernames_may_be_swapped)
{
    struct tp_read_model *rm = empty_model();

    apply(rm, 2, "consumers", ALICE, CONSUMER(ALICE, "alice"));
    apply(rm, 3, "consumers", BOB, CONSUMER(BOB, "bob"));
    apply(rm, 4, "consumers", ALICE, CONSUMER(ALICE, "bob"));
    apply(rm, 5, "consumers", BOB, CONSUMER(BOB, "alice"));
    CHECK_STR(id_of_username(rm, "alice"), BOB);
    CHECK_STR(id_of_username(rm, "bob"), ALICE);
    apply(rm, 6, "consumers", ALICE, NULL);
    CHECK_STR(id_of_username(rm, "bob"), "-");
    CHECK_STR(id_of_username(rm, "alice"), BOB);
    end_model(rm);
}

TEST(a_consumer_write_keeps_its_plugins)
{
    struct tp_read_model *rm = empty_model();
    char config[64] = "";

    apply(rm, 2, "consumers", ALICE, CONSUMER(ALICE, "alice"));
    CHECK_INT(plugins_of(rm, ALICE, true, NULL, 0), 0);
    CHECK(!apply(rm, 3, "plugins", PLUGIN1, PLUGIN(PLUGIN1, OF(ALICE), "true", "{\"minute\":5}")));
    apply(rm, 4, "consumers", ALICE, CONSUMER(ALICE, "alice2"));
    CHECK_INT(plugins_of(rm, ALICE, true, config, sizeof(config)), 1);
    CHECK_STR(config, "{\"minute\":5}");
    apply(rm, 5, "plugins", PLUGIN2, PLUGIN(PLUGIN2, OF(ALICE), "true", "{}"));
    CHECK_INT(plugins_of(rm, ALICE, true, NULL, 0), 2);
    apply(rm, 6, "plugins", PLUGIN1, PLUGIN(PLUGIN1, OF(ALICE), "false", "{}"));
    CHECK_INT(plugins_of(rm, ALICE, true, NULL, 0), 1);
    apply(rm, 7, "plugins", PLUGIN2, NULL);
    CHECK_INT(plugins_of(rm, ALICE, true, NULL, 0), 0);
    CHECK_INT(plugins_of(rm, ALICE, false, NULL, 0), 0);
    end_model(rm);
}

TEST(a_plugin_row_moves_between_consumers_and_the_plan)
{
    struct tp_read_model *rm = empty_model();

    apply(rm, 2, "consumers", ALICE, CONSUMER(ALICE, "alice"));
    apply(rm, 3, "consumers", BOB, CONSUMER(BOB, "bob"));
    CHECK(!apply(rm, 4, "plugins", PLUGIN1, PLUGIN(PLUGIN1, OF(ALICE), "true", "{}")));
    CHECK(!apply(rm, 5, "plugins", PLUGIN1, PLUGIN(PLUGIN1, OF(BOB), "true", "{}")));
    CHECK_INT(plugins_of(rm, ALICE, true, NULL, 0), 0);
    CHECK_INT(plugins_of(rm, BOB, true, NULL, 0), 1);
    CHECK(apply(rm, 6, "plugins", PLUGIN1, PLUGIN(PLUGIN1, "null", "true", "{}")));
    CHECK_INT(plugins_of(rm, BOB, true, NULL, 0), 0);
    CHECK(apply(rm, 7, "plugins", PLUGIN1, PLUGIN(PLUGIN1, OF(BOB), "true", "{}")));
    CHECK_INT(plugins_of(rm, BOB, true, NULL, 0), 1);
    CHECK(!apply(rm, 8, "plugins", PLUGIN1, NULL));
    CHECK_INT(plugins_of(rm, BOB, true, NULL, 0), 0);
    end_model(rm);
}

TEST(only_what_the_plan_depends_on_moves_it)
{
    struct tp_read_model *rm = empty_model();

    CHECK(apply(rm, 5, "services", SERVICE, "{\"id\":\"" SERVICE "\",\"host\":\"a\"}"));
    CHECK_INT(meta_of(rm).plan, 5);
    apply(rm, 6, "consumers", ALICE, CONSUMER(ALICE, "alice"));
    apply(rm, 7, "keyauth_credentials", KEY1, KEY(KEY1, ALICE, "k"));
    CHECK_INT(meta_of(rm).plan, 5);
    CHECK_INT(meta_of(rm).position, 7);
    CHECK(!apply(rm, 8, "services", SERVICE, "{\"id\":\"" SERVICE "\",\"host\":\"a\"}")); /* the same again */
    CHECK(apply(rm, 9, "services", SERVICE, NULL));
    CHECK(!apply(rm, 10, "services", SERVICE, NULL));
    CHECK_INT(meta_of(rm).plan, 9);
    end_model(rm);
}

struct seen {
    size_t count;
    uint64_t revision;
    char host[32];
};

static enum tp_err see(void *data, uint64_t revision, const json_t *value)
{
    struct seen *seen = data;

    seen->count++;
    seen->revision = revision;
    snprintf(seen->host, sizeof(seen->host), "%s", json_string_value(json_object_get(value, "host")));
    return TP_OK;
}

static struct seen see_services(struct tp_read_model *rm)
{
    struct seen seen = { 0 };
    struct tp_view *view;

    CHECK_INT(tp_view_begin(rm, &view), TP_OK);
    CHECK_INT(tp_view_each(view, TP_STR("services"), see, &seen), TP_OK);
    CHECK_INT(tp_view_each(view, TP_STR("consumers"), see, &seen), TP_ERR_NOT_FOUND);
    tp_view_end(view);
    return seen;
}

TEST(revisions_follow_the_content)
{
    struct tp_read_model *rm = empty_model();
    struct seen first, second;

    CHECK_INT(see_services(rm).count, 0);
    apply(rm, 2, "services", SERVICE, "{\"id\":\"" SERVICE "\",\"host\":\"a\"}");
    first = see_services(rm);
    CHECK_INT(first.count, 1);
    CHECK_STR((const char *)first.host, "a");
    apply(rm, 3, "services", SERVICE, "{\"id\":\"" SERVICE "\",\"host\":\"b\"}");
    second = see_services(rm);
    CHECK(first.revision != second.revision);
    apply(rm, 4, "services", SERVICE, "{\"id\":\"" SERVICE "\",\"host\":\"a\"}");
    CHECK(see_services(rm).revision == first.revision);
    end_model(rm);
}

TEST(a_large_row_is_kept_whole)
{
    struct tp_read_model *rm = empty_model();
    char *text = malloc(200000);

    snprintf(text, 200000, "{\"id\":\"" SERVICE "\",\"host\":\"big\",\"x\":\"%0150000d\"}", 1);
    CHECK(apply(rm, 2, "services", SERVICE, text));
    CHECK_STR((const char *)see_services(rm).host, "big");
    free(text);
    end_model(rm);
}

TEST(a_value_that_cannot_be_kept_does_not_stop_the_others)
{
    struct tp_read_model *rm = empty_model();
    json_t *good = json_loads(CONSUMER(ALICE, "alice"), 0, NULL);
    json_t *bad = json_loads("{\"id\":\"x\",\"consumer\":{\"id\":7},\"key\":\"k\"}", 0, NULL);
    struct tp_change changes[] = { { "keyauth_credentials", uuid(KEY1), bad }, { "consumers", uuid(ALICE), good } };
    struct tp_diag *diag = tp_diag_new();

    CHECK_INT(tp_read_model_apply(rm, changes, 2, 3, NULL, diag), TP_OK);
    CHECK_INT(tp_diag_count(diag), 1);
    CHECK_STR(id_of_username(rm, "alice"), ALICE);
    CHECK_STR(consumer_of_key(rm, "k"), "-");
    tp_diag_free(diag);
    json_decref(good);
    json_decref(bad);
    end_model(rm);
}

TEST(a_view_sees_one_moment)
{
    struct tp_read_model *rm = empty_model();
    struct tp_view *before, *after;
    struct tp_read_model_meta meta;

    CHECK_INT(tp_view_begin(rm, &before), TP_OK);
    apply(rm, 2, "consumers", ALICE, CONSUMER(ALICE, "alice"));
    CHECK_INT(tp_view_begin(rm, &after), TP_OK);
    CHECK_INT(tp_view_meta(before, &meta), TP_OK);
    CHECK_INT(meta.position, 1);
    CHECK_INT(tp_view_meta(after, &meta), TP_OK);
    CHECK_INT(meta.position, 2);
    tp_view_end(before);
    tp_view_end(after);
    end_model(rm);
}

TEST(a_refresh_follows_current_and_open_views_keep_theirs)
{
    struct tp_read_model *rm = empty_model();
    struct tp_read_model_meta meta;
    struct tp_view *view;
    char path[128];
    struct stat st;

    CHECK_INT(tp_view_begin(rm, &view), TP_OK);
    CHECK_INT(tp_read_model_build_end(begin(20), NULL), TP_OK);
    CHECK_INT(meta_of(rm).position, 1); /* until it refreshes */
    CHECK_INT(tp_read_model_refresh(rm, NULL), TP_OK);
    CHECK_INT(meta_of(rm).position, 20);
    CHECK_INT(meta_of(rm).epoch, 2);
    tp_read_model_drop_old(dir);
    snprintf(path, sizeof(path), "%s/1", dir);
    CHECK(stat(path, &st) != 0);
    CHECK_INT(tp_view_meta(view, &meta), TP_OK);
    CHECK_INT(meta.position, 1);
    tp_view_end(view);
    CHECK_INT(tp_read_model_refresh(rm, NULL), TP_OK); /* nothing new */
    end_model(rm);
}

TEST(two_opens_share_one_environment)
{
    struct tp_read_model *rm = empty_model(), *second = open_model();

    apply(rm, 2, "consumers", ALICE, CONSUMER(ALICE, "alice"));
    CHECK_STR(id_of_username(second, "alice"), ALICE);
    tp_read_model_close(rm);
    CHECK_STR(id_of_username(second, "alice"), ALICE);
    end_model(second);
}

TEST(an_aborted_build_and_a_crashed_one_leave_nothing)
{
    struct tp_read_model_builder *b;
    struct tp_read_model *rm;
    char path[128];

    temp_dir_make(dir, "read-model");
    snprintf(path, sizeof(path), "%s/4.tmp", dir); /* what a crash leaves */
    CHECK_INT(mkdir(path, 0750), 0);
    snprintf(path, sizeof(path), "%s/4.tmp/data.mdb", dir);
    fclose(fopen(path, "w"));
    b = begin(2);
    add(b, "consumers", CONSUMER(ALICE, "alice"));
    tp_read_model_build_abort(b);
    CHECK_INT(tp_read_model_open(&rm, dir, MAP, NULL), TP_ERR_NOT_FOUND);
    CHECK_INT(rmdir(dir), 0);
}

/* Fill a model of a small map until it refuses; what was there stays. */
TEST(a_full_map_applies_nothing_and_says_so)
{
    struct tp_read_model_builder *b = NULL;
    struct tp_read_model *rm = NULL;
    struct tp_diag *diag = tp_diag_new();
    enum tp_err err = TP_OK;
    uint64_t position = 1;

    temp_dir_make(dir, "read-model");
    CHECK_INT(tp_read_model_build_begin(&b, dir, 1 << 20, &database, position, NULL), TP_OK);
    CHECK_INT(tp_read_model_build_end(b, NULL), TP_OK);
    CHECK_INT(tp_read_model_open(&rm, dir, 1 << 20, NULL), TP_OK);
    while (!err && position < 1000) {
        json_t *value = json_pack("{s:s, s:o}", "id", SERVICE, "x", json_sprintf("%020000d", (int)position));
        struct tp_change change = { "services", tp_uuid_random(), value };

        err = tp_read_model_apply(rm, &change, 1, position + 1, NULL, diag);
        position += !err;
        json_decref(value);
    }
    CHECK_INT(err, TP_ERR_FULL);
    CHECK(strstr(tp_diag_text(diag), "map") != NULL);
    CHECK(position > 5);
    CHECK_INT(meta_of(rm).position, position);
    CHECK_INT(see_services(rm).count, position - 1);
    tp_diag_free(diag);
    end_model(rm);
}

TEST(a_full_disk_applies_nothing_and_says_so)
{
    struct tp_read_model *rm = empty_model();
    struct rlimit old, small = { 256 * 1024, 0 };
    struct tp_diag *diag = tp_diag_new();
    enum tp_err err = TP_OK;
    uint64_t position = 1;

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    setrlimit(RLIMIT_FSIZE, &small);
    while (!err && position < 1000) {
        json_t *value = json_pack("{s:s, s:o}", "id", SERVICE, "x", json_sprintf("%020000d", (int)position));
        struct tp_change change = { "services", tp_uuid_random(), value };

        err = tp_read_model_apply(rm, &change, 1, position + 1, NULL, diag);
        position += !err;
        json_decref(value);
    }
    setrlimit(RLIMIT_FSIZE, &old);
    CHECK_INT(err, TP_ERR_FULL);
    CHECK(strstr(tp_diag_text(diag), "disk") != NULL);
    CHECK_INT(meta_of(rm).position, position);
    apply(rm, position + 1, "consumers", ALICE, CONSUMER(ALICE, "alice")); /* room again: goes on */
    CHECK_STR(id_of_username(rm, "alice"), ALICE);
    tp_diag_free(diag);
    end_model(rm);
}

TEST(a_consumer_tells_whether_it_has_plugins)
{
    struct tp_read_model *rm = empty_model();

    apply(rm, 2, "consumers", ALICE, CONSUMER(ALICE, "alice"));
    CHECK_INT(plugins_of(rm, ALICE, true, NULL, 0), 0);
    apply(rm, 3, "plugins", PLUGIN1, PLUGIN(PLUGIN1, OF(ALICE), "true", "{}"));
    CHECK_INT(plugins_of(rm, ALICE, true, NULL, 0), 1);
    end_model(rm);
}

/* Many random writes and deletes, then the walk: pages taken and given back, file grown to its last page. */
TEST(the_file_stays_sound_under_random_changes)
{
    struct tp_read_model *rm = empty_model();
    struct tp_uuid ids[300];
    unsigned seed = 7;

    for (size_t i = 0; i < 300; i++)
        ids[i] = tp_uuid_random();
    for (uint64_t position = 2; position < 600; position++) {
        json_t *values[8];
        struct tp_change changes[8];

        for (size_t i = 0; i < 8; i++) {
            const struct tp_uuid *id = &ids[rand_r(&seed) % 300];
            char text[TP_UUID_TEXT_LEN + 1];

            tp_uuid_format(id, text);
            values[i] = rand_r(&seed) % 3 == 0
                            ? NULL
                            : json_pack("{s:s, s:o, s:o}", "id", text, "username", json_sprintf("u%s", text), "tags",
                                        json_sprintf("%0*d", rand_r(&seed) % 6000, 1));
            changes[i] = (struct tp_change){ "consumers", *id, values[i] };
        }
        CHECK_INT(tp_read_model_apply(rm, changes, 8, position, NULL, NULL), TP_OK);
        for (size_t i = 0; i < 8; i++)
            json_decref(values[i]);
        if (position % 50 == 0)
            check_sound();
    }
    end_model(rm);
}
