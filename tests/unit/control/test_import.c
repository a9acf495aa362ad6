/* Bulk load: all or nothing, and what is said about a wrong line. */
#include "control/import.h"
#include "plugins/registry.h"
#include "support/temp_dir.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[TEMP_DIR_SIZE], path[96];

static struct tp_store *open_store(void)
{
    struct tp_store *store = NULL;

    temp_dir_make(dir, "import");
    snprintf(path, sizeof(path), "%s/t.db", dir);
    CHECK_INT(tp_sqlite_open(&store, path, NULL), TP_OK);
    CHECK_INT(tp_store_migrate(store, NULL), TP_OK);
    return store;
}

static void close_store(struct tp_store *store)
{
    tp_store_free(store);
    temp_dir_remove(dir);
}

static enum tp_err load(struct tp_store *store, const char *text, struct tp_import_result *result, struct tp_diag *diag)
{
    struct tp_import import = { .store = store,
                                .registry = &tp_bundled_plugins,
                                .input = fmemopen((void *)text, strlen(text), "r") };
    enum tp_err err = tp_import_run(&import, result, diag);

    fclose(import.input);
    return err;
}

static bool has_consumer(struct tp_store *store, const char *username)
{
    json_t *row = NULL;
    bool has = tp_store_get_by(store, tp_entity_by_name(TP_STR("consumers")), "username", tp_str_from_cstr(username),
                               &row) == TP_OK;

    json_decref(row);
    return has;
}

TEST(children_find_their_parents_by_name)
{
    struct tp_store *store = open_store();
    struct tp_import_result result;
    struct tp_feed_row *rows = NULL;
    size_t count = 0;

    CHECK_INT(load(store,
                   "{\"consumers\": {\"username\": \"ann\"}}\n\n"
                   "{\"keyauth_credentials\": {\"consumer\": {\"username\": \"ann\"}, \"key\": \"k1\"}}\r\n"
                   "{\"key-auths\": {\"consumer\": {\"username\": \"ann\"}, \"key\": \"k2\"}}",
                   &result, NULL),
              TP_OK);
    CHECK_INT(result.loaded, 3);
    CHECK(has_consumer(store, "ann"));
    CHECK_INT(tp_store_feed(store, 0, 10, &rows, &count), TP_OK);
    CHECK_INT(count, 1); /* not a row each */
    CHECK_INT(rows[0].op, TP_FEED_REREAD);
    CHECK_INT(rows[0].seq, result.position);
    free(rows);
    close_store(store);
}

static void check_refused(const char *text, enum tp_err want, const char *where, const char *part)
{
    struct tp_store *store = open_store();
    struct tp_diag *diag = tp_diag_new();
    struct tp_import_result result;
    uint64_t position = 99;

    CHECK_INT(load(store, text, &result, diag), want);
    CHECK_INT(tp_diag_count(diag), 1);
    if (tp_diag_count(diag) == 1) {
        CHECK_STR(tp_diag_path(diag, 0), where);
        if (!strstr(tp_diag_message(diag, 0), part))
            test_fail(__FILE__, __LINE__, "'%s' lacks '%s'", tp_diag_message(diag, 0), part);
    }
    CHECK(!has_consumer(store, "ann")); /* the lines before it are gone too */
    CHECK_INT(tp_store_position(store, &position), TP_OK);
    CHECK_INT(position, 0);
    tp_diag_free(diag);
    close_store(store);
}

#define ANN "{\"consumers\": {\"username\": \"ann\"}}\n"

TEST(wrong_line_is_named_and_nothing_is_loaded)
{
    check_refused(ANN "{\"consumers\": {\"usrname\": \"x\"}}", TP_ERR_INVALID, "line 2", "usrname: unknown field");
    check_refused(ANN "not json", TP_ERR_INVALID, "line 2", "");
    check_refused(ANN "{\"nothing\": {}}", TP_ERR_INVALID, "line 2", "no collection of this name");
    check_refused(ANN "{\"consumers\": []}", TP_ERR_INVALID, "line 2", "not an object");
    check_refused(ANN "{\"consumers\": {}, \"services\": {}}", TP_ERR_INVALID, "line 2", "one member");
    check_refused(ANN ANN, TP_ERR_EXISTS, "line 2", "\"username\":\"ann\"");
    check_refused(ANN "{\"keyauth_credentials\": {\"consumer\": {\"username\": \"bob\"}}}", TP_ERR_REFERENCE, "line 2",
                  "there is no consumers with this username");
    check_refused(ANN "{\"keyauth_credentials\": {\"consumer\": {\"id\": \"8a1a0d2c-0001-4000-8000-000000000001\"}}}",
                  TP_ERR_REFERENCE, "line 2", "is not there");
}

/* A stream without line ends: only as much of it is read as shows that it is too long. */
TEST(endless_line_is_refused_without_reading_it_whole)
{
    struct tp_store *store = open_store();
    struct tp_diag *diag = tp_diag_new();
    struct tp_import_result result;
    struct tp_import import = { .store = store, .registry = &tp_bundled_plugins, .input = fopen("/dev/zero", "r") };

    CHECK_INT(tp_import_run(&import, &result, diag), TP_ERR_TOO_LARGE);
    CHECK_STR(tp_diag_message(diag, 0), "longer than 1 MiB");
    fclose(import.input);
    tp_diag_free(diag);
    close_store(store);
}

TEST(known_id_replaces_the_stored_row)
{
    struct tp_store *store = open_store();
    struct tp_import_result result;

    CHECK_INT(load(store,
                   "{\"consumers\": {\"id\": \"8a1a0d2c-0001-4000-8000-000000000001\", \"username\": \"ann\"}}\n",
                   &result, NULL),
              TP_OK);
    CHECK_INT(load(store,
                   "{\"consumers\": {\"id\": \"8a1a0d2c-0001-4000-8000-000000000001\", \"username\": \"bob\"}}\n",
                   &result, NULL),
              TP_OK);
    CHECK(!has_consumer(store, "ann"));
    CHECK(has_consumer(store, "bob"));
    close_store(store);
}
