/* Saving of quota windows: nothing is lost when the shared file is, or when the store is away for a while. */
#include "control/counters_save.h"
#include "support/temp_dir.h"
#include "support/test.h"

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static char folder[TEMP_DIR_SIZE];

struct node {
    struct tp_shm *shm;
    struct tp_counters *counters;
    struct tp_counter_saver *saver;
};

static struct tp_store *open_store(void)
{
    char path[128];
    struct tp_store *store = NULL;

    snprintf(path, sizeof(path), "%s/db", folder);
    CHECK_INT(tp_sqlite_open(&store, path, NULL), TP_OK);
    CHECK_INT(tp_store_migrate(store, NULL), TP_OK);
    return store;
}

static void run_sql(const char *sql)
{
    sqlite3 *db = NULL;
    char path[128];

    snprintf(path, sizeof(path), "%s/db", folder);
    CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
    CHECK_INT(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void begin(void)
{
    temp_dir_make(folder, "saver");
}

static void end(void)
{
    temp_dir_remove(folder);
}

static void node_init(struct node *node, const char *file)
{
    const struct tp_shm_section sections[] = { { TP_COUNTERS_SECTION_IDENTITIES, 1 << 20 },
                                               { TP_COUNTERS_SECTION_ADDRESSES, 1 << 18 } };
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder, file);
    CHECK_INT(tp_shm_open(&node->shm, path, sections, 2, NULL), TP_OK);
    node->counters = tp_counters_new(node->shm);
    node->saver = tp_counter_saver_new(node->counters);
}

static void node_fini(struct node *node)
{
    tp_counter_saver_free(node->saver);
    tp_counters_free(node->counters);
    tp_shm_close(node->shm);
}

static uint64_t take(struct node *node, const char *identity, int64_t now_s, bool peek)
{
    struct tp_quota_key key = { .table = TP_QUOTA_IDENTITIES, .identity = tp_str_from_cstr(identity) };
    struct tp_quota_state state = { .refused = false };

    for (int p = 0; p < TP_PERIODS; p++)
        state.limit[p] = p == TP_MONTH ? 1e6 : NAN;
    if (peek)
        tp_counters_peek(node->counters, &key, false, now_s, &state);
    else
        tp_counters_take(node->counters, &key, false, now_s, &state);
    return state.used[TP_MONTH];
}

#define MANY 3000 /* more than one transaction */

TEST(saved_windows_come_back_in_a_new_file)
{
    int64_t now = time(NULL);
    struct tp_store *store;
    struct node node;
    size_t n = 0;
    char name[32];

    begin();
    store = open_store();
    node_init(&node, "one");
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "c%d", i);
        take(&node, name, now, false);
    }
    take(&node, "c7", now, false);
    CHECK_INT(tp_counter_saver_run(node.saver, store, &n), TP_OK);
    CHECK_INT(n, MANY);
    CHECK_INT(tp_counter_saver_run(node.saver, store, &n), TP_OK);
    CHECK_INT(n, 0); /* nothing changed since */
    node_fini(&node);

    node_init(&node, "two");
    CHECK_INT(tp_counter_saver_restore(node.saver, store, now, &n), TP_OK);
    CHECK_INT(n, MANY);
    CHECK_INT(take(&node, "c7", now, true), 2);
    CHECK_INT(take(&node, "c8", now, true), 1);
    node_fini(&node);
    tp_store_free(store);
    end();
}

TEST(what_could_not_be_written_is_tried_again)
{
    int64_t now = time(NULL);
    struct tp_store *store;
    struct node node;
    size_t n = 0;

    begin();
    store = open_store();
    node_init(&node, "one");
    take(&node, "ann", now, false);
    run_sql("ALTER TABLE saved_counters RENAME TO away");
    CHECK(tp_counter_saver_run(node.saver, store, &n) != TP_OK);
    CHECK_INT(n, 0);
    run_sql("ALTER TABLE away RENAME TO saved_counters");
    CHECK_INT(tp_counter_saver_run(node.saver, store, &n), TP_OK);
    CHECK_INT(n, 1);
    node_fini(&node);
    node_init(&node, "two");
    CHECK_INT(tp_counter_saver_restore(node.saver, store, now, &n), TP_OK);
    CHECK_INT(take(&node, "ann", now, true), 1);
    node_fini(&node);
    tp_store_free(store);
    end();
}
