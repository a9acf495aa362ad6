#include "base/shm.h"
#include "quota/counters.h"
#include "quota/windows.h"
#include "support/test.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOW INT64_C(1795434464) /* 2026-11-23, a Monday */

/* A shared file in a directory of its own, removed at the end. */
struct file {
    char path[64];
    struct tp_shm *shm;
    struct tp_counters *counters;
};

static void map(struct file *f, size_t identities, size_t addresses)
{
    const struct tp_shm_section sections[] = {
        { TP_COUNTERS_SECTION_IDENTITIES, identities },
        { TP_COUNTERS_SECTION_ADDRESSES, addresses },
    };

    CHECK_INT(tp_shm_open(&f->shm, f->path, sections, 2, NULL), TP_OK);
    f->counters = tp_counters_new(f->shm);
}

static struct file make_file(size_t identities, size_t addresses)
{
    struct file f;
    char dir[] = "/tmp/tp-counters-XXXXXX";

    snprintf(f.path, sizeof(f.path), "%s/state", mkdtemp(dir));
    map(&f, identities, addresses);
    return f;
}

static void unmap(struct file *f)
{
    tp_counters_free(f->counters);
    tp_shm_close(f->shm);
}

static void drop(struct file *f)
{
    unmap(f);
    unlink(f->path);
    *strrchr(f->path, '/') = '\0';
    rmdir(f->path);
}

static struct tp_quota_key key_of(const char *identity)
{
    return (struct tp_quota_key){ TP_QUOTA_IDENTITIES, { { 1 } }, tp_str_from_cstr(identity) };
}

static struct tp_quota_state no_limits(void)
{
    struct tp_quota_state state = { .refused = false };

    for (int p = 0; p < TP_PERIODS; p++)
        state.limit[p] = NAN;
    return state;
}

/* True when the call was taken. */
static bool take(struct tp_counters *counters, const char *identity, enum tp_period period, double limit, int64_t now)
{
    struct tp_quota_state state = no_limits();
    struct tp_quota_key key = key_of(identity);

    state.limit[period] = limit;
    tp_counters_take(counters, &key, false, now, &state);
    return !state.refused;
}

static uint64_t used(struct tp_counters *counters, const char *identity, enum tp_period period, int64_t now)
{
    struct tp_quota_state state = no_limits();
    struct tp_quota_key key = key_of(identity);

    state.limit[period] = 1e9;
    tp_counters_peek(counters, &key, false, now, &state);
    return state.used[period];
}

TEST(exactly_the_limit_passes_and_refusals_are_not_counted)
{
    struct file f = make_file(65536, 65536);
    int passed = 0;

    for (int i = 0; i < 20; i++)
        passed += take(f.counters, "bob", TP_MONTH, 7, NOW);
    CHECK_INT(passed, 7);
    CHECK_INT(used(f.counters, "bob", TP_MONTH, NOW), 7);
    CHECK_INT(used(f.counters, "amy", TP_MONTH, NOW), 0);
    drop(&f);
}

TEST(a_fraction_of_a_call_admits_it)
{
    struct file f = make_file(65536, 65536);

    CHECK(take(f.counters, "bob", TP_DAY, 1.5, NOW));
    CHECK(take(f.counters, "bob", TP_DAY, 1.5, NOW));
    CHECK(!take(f.counters, "bob", TP_DAY, 1.5, NOW));
    CHECK(take(f.counters, "huge", TP_DAY, 1e300, NOW));
    drop(&f);
}

TEST(a_new_window_starts_from_nothing)
{
    struct file f = make_file(65536, 65536);
    struct tp_window w = tp_window_at(TP_MONTH, NOW, false);

    CHECK(take(f.counters, "bob", TP_MONTH, 1, NOW));
    CHECK(!take(f.counters, "bob", TP_MONTH, 1, w.start + w.length - 1));
    CHECK(take(f.counters, "bob", TP_MONTH, 1, w.start + w.length));
    CHECK(!take(f.counters, "bob", TP_MONTH, 1, w.start + w.length));
    drop(&f);
}

TEST(a_worker_whose_clock_is_late_does_not_reopen_a_window)
{
    struct file f = make_file(65536, 65536);

    CHECK(take(f.counters, "bob", TP_SECOND, 2, NOW));
    CHECK(take(f.counters, "bob", TP_SECOND, 2, NOW + 1));
    CHECK(take(f.counters, "bob", TP_SECOND, 2, NOW)); /* late: counts for the window that is open */
    CHECK(!take(f.counters, "bob", TP_SECOND, 2, NOW + 1));
    CHECK(!take(f.counters, "bob", TP_SECOND, 2, NOW));
    drop(&f);
}

TEST(a_clock_that_was_far_ahead_does_not_block_forever)
{
    struct file f = make_file(65536, 65536);

    CHECK(take(f.counters, "bob", TP_MONTH, 1, NOW + 400 * 86400));
    CHECK(take(f.counters, "bob", TP_MONTH, 1, NOW));
    CHECK(!take(f.counters, "bob", TP_MONTH, 1, NOW));
    drop(&f);
}

TEST(several_windows_are_one_decision)
{
    struct file f = make_file(65536, 65536);
    struct tp_quota_key key = key_of("bob");
    struct tp_quota_state state = no_limits();

    state.limit[TP_SECOND] = 2;
    state.limit[TP_HOUR] = 3;
    for (int i = 0; i < 5; i++)
        tp_counters_take(f.counters, &key, false, NOW, &state);
    CHECK(state.refused);
    CHECK_INT(state.refused_by, TP_SECOND);
    CHECK_INT(state.used[TP_SECOND], 2);
    CHECK_INT(state.used[TP_HOUR], 2); /* refusals took nothing from the hour */
    tp_counters_take(f.counters, &key, false, NOW + 1, &state);
    CHECK(!state.refused);
    CHECK_INT(state.used[TP_HOUR], 3);
    CHECK_INT(state.used[TP_SECOND], 1);
    tp_counters_take(f.counters, &key, false, NOW + 1, &state);
    CHECK_INT(state.refused_by, TP_HOUR);
    CHECK_INT(state.window[TP_HOUR].length, 3600);
    drop(&f);
}

TEST(the_longest_full_window_is_named)
{
    struct file f = make_file(65536, 65536);
    struct tp_quota_key key = key_of("bob");
    struct tp_quota_state state = no_limits();

    state.limit[TP_MINUTE] = 1;
    state.limit[TP_YEAR] = 1;
    tp_counters_take(f.counters, &key, false, NOW, &state);
    tp_counters_take(f.counters, &key, false, NOW, &state);
    CHECK(state.refused);
    CHECK_INT(state.refused_by, TP_YEAR);
    drop(&f);
}

TEST(counters_are_told_apart_by_instance_identity_period_and_table)
{
    struct file f = make_file(65536, 65536);
    struct tp_quota_key key = key_of("bob");
    struct tp_quota_state state = no_limits();

    CHECK(take(f.counters, "bob", TP_DAY, 1, NOW));
    CHECK(take(f.counters, "bo", TP_DAY, 1, NOW));
    CHECK(take(f.counters, "bob", TP_HOUR, 1, NOW));
    state.limit[TP_DAY] = 1;
    key.instance.bytes[0] = 2;
    tp_counters_take(f.counters, &key, false, NOW, &state);
    CHECK(!state.refused);
    key = key_of("bob");
    key.table = TP_QUOTA_ADDRESSES;
    tp_counters_take(f.counters, &key, false, NOW, &state);
    CHECK(!state.refused);
    drop(&f);
}

TEST(entities_are_counted_by_their_id)
{
    struct file f = make_file(65536, 65536);
    struct tp_quota_key key = { .table = TP_QUOTA_IDENTITIES, .id = { { 7 } } };
    struct tp_quota_state state = no_limits();

    state.limit[TP_DAY] = 1;
    tp_counters_take(f.counters, &key, false, NOW, &state);
    CHECK(!state.refused);
    tp_counters_take(f.counters, &key, false, NOW, &state);
    CHECK(state.refused);
    key.id.bytes[15] = 1;
    tp_counters_take(f.counters, &key, false, NOW, &state);
    CHECK(!state.refused);
    drop(&f);
}

TEST(counts_survive_closing_the_file)
{
    struct file f = make_file(65536, 65536);

    for (int i = 0; i < 5; i++)
        take(f.counters, "bob", TP_MONTH, 100, NOW);
    unmap(&f);
    map(&f, 65536, 65536);
    CHECK_INT(used(f.counters, "bob", TP_MONTH, NOW), 5);
    drop(&f);
}

TEST(keyless_traffic_does_not_push_out_customers)
{
    struct file f = make_file(65536, 4096);
    struct tp_quota_key key = { TP_QUOTA_ADDRESSES, { { 1 } }, TP_STR_NULL };
    struct tp_quota_state state = no_limits();
    char address[32];

    for (int i = 0; i < 3; i++)
        take(f.counters, "customer", TP_MONTH, 10, NOW);
    state.limit[TP_MONTH] = 10;
    for (int i = 0; i < 20000; i++) {
        snprintf(address, sizeof(address), "10.0.%d.%d", i / 256, i % 256);
        key.identity = tp_str_from_cstr(address);
        tp_counters_take(f.counters, &key, false, NOW, &state);
        CHECK(!state.refused);
    }
    CHECK_INT(used(f.counters, "customer", TP_MONTH, NOW), 3);
    CHECK(tp_counters_evicted(f.counters) > 19000);
    drop(&f);
}

TEST(expired_cells_are_taken_first_and_the_busiest_stay)
{
    struct file f = make_file(4096, 4096); /* 56 cells */
    uint64_t before;
    char name[16];

    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof(name), "old%d", i);
        take(f.counters, name, TP_MINUTE, 10, NOW - 3600);
    }
    before = tp_counters_evicted(f.counters); /* 50 in 56 cells may already crowd a bucket */
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "new%d", i);
        take(f.counters, name, TP_MONTH, 10, NOW);
    }
    CHECK_INT(tp_counters_evicted(f.counters), before);
    for (int i = 0; i < 1000; i++)
        take(f.counters, "busy", TP_MONTH, 1e6, NOW);
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof(name), "once%d", i);
        take(f.counters, name, TP_MONTH, 10, NOW);
    }
    CHECK_INT(used(f.counters, "busy", TP_MONTH, NOW), 1000);
    CHECK(tp_counters_evicted(f.counters) > before);
    drop(&f);
}

TEST(a_table_can_be_filled_well_before_it_evicts)
{
    size_t cells = 64 * 1024;
    struct file f = make_file(cells * 64, 4096);
    char name[16];

    for (size_t i = 0; i < cells * 2 / 3; i++) {
        if (i == cells / 2)
            CHECK_INT(tp_counters_evicted(f.counters), 0);
        snprintf(name, sizeof(name), "k%zu", i);
        take(f.counters, name, TP_MONTH, 10, NOW);
    }
    CHECK(tp_counters_evicted(f.counters) <= 4); /* of 43,690: the file's random key may crowd two buckets */
    drop(&f);
}

TEST(long_windows_are_saved_and_put_back_into_a_new_file)
{
    struct file f = make_file(65536, 65536);
    struct file g = make_file(65536, 65536);
    struct tp_counter_image images[10];
    uint64_t cursor = 0;
    size_t n;

    for (int i = 0; i < 5; i++)
        take(f.counters, "bob", TP_MONTH, 100, NOW);
    take(f.counters, "bob", TP_SECOND, 100, NOW);
    take(f.counters, "amy", TP_HOUR, 100, NOW);
    n = tp_counters_unsaved(f.counters, &cursor, images, 10);
    CHECK_INT(n, 2); /* seconds are not worth it */
    CHECK(cursor == UINT64_MAX);
    for (size_t i = 0; i < n; i++)
        tp_counters_restore(g.counters, &images[i]);
    CHECK_INT(used(g.counters, "bob", TP_MONTH, NOW), 5);
    CHECK_INT(used(g.counters, "amy", TP_HOUR, NOW), 1);
    cursor = 0;
    CHECK_INT(tp_counters_unsaved(f.counters, &cursor, images, 10), 0);
    cursor = 0;
    CHECK_INT(tp_counters_unsaved(g.counters, &cursor, images, 10), 0);
    take(f.counters, "amy", TP_HOUR, 100, NOW);
    cursor = 0;
    CHECK_INT(tp_counters_unsaved(f.counters, &cursor, images, 10), 1);
    CHECK_INT(images[0].count, 2);
    drop(&f);
    drop(&g);
}

TEST(restoring_never_lowers_a_count)
{
    struct file f = make_file(65536, 65536);
    struct tp_counter_image image[1];
    uint64_t cursor = 0;

    take(f.counters, "bob", TP_DAY, 100, NOW);
    CHECK_INT(tp_counters_unsaved(f.counters, &cursor, image, 1), 1);
    take(f.counters, "bob", TP_DAY, 100, NOW);
    tp_counters_restore(f.counters, image);
    CHECK_INT(used(f.counters, "bob", TP_DAY, NOW), 2);
    image->count = 50;
    tp_counters_restore(f.counters, image);
    CHECK_INT(used(f.counters, "bob", TP_DAY, NOW), 50);
    take(f.counters, "bob", TP_DAY, 100, NOW + 86400);
    tp_counters_restore(f.counters, image); /* of yesterday by now */
    CHECK_INT(used(f.counters, "bob", TP_DAY, NOW + 86400), 1);
    drop(&f);
}

TEST(saving_in_small_pieces_sees_every_cell_once)
{
    struct file f = make_file(65536, 65536);
    struct tp_counter_image images[3];
    uint64_t cursor = 0;
    size_t sum = 0;
    char name[16];

    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        take(f.counters, name, TP_YEAR, 10, NOW);
    }
    for (int rounds = 0; cursor != UINT64_MAX && rounds < 1000; rounds++)
        sum += tp_counters_unsaved(f.counters, &cursor, images, 3);
    CHECK_INT(sum, 100);
    drop(&f);
}

/* --- Concurrency ------------------------------------------------------------------------------- */

#define THREADS 8
#define LIMIT 20000
#define KEYS 64

struct hammer {
    struct tp_counters *counters;
    atomic_uint_fast64_t passed;
    atomic_uint_fast64_t passed_by_key[KEYS];
};

static void *hammer_one(void *data)
{
    struct hammer *h = data;

    for (int i = 0; i < LIMIT / 4; i++)
        if (take(h->counters, "shared", TP_MONTH, LIMIT, NOW))
            atomic_fetch_add(&h->passed, 1);
    return NULL;
}

static void run_threads(struct hammer *h, void *(*fn)(void *))
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, fn, h), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

TEST(threads_on_one_limit_pass_exactly_it)
{
    struct file f = make_file(65536, 65536);
    struct hammer h = { .counters = f.counters };

    run_threads(&h, hammer_one);
    CHECK_INT(h.passed, LIMIT);
    drop(&f);
}

static void *hammer_new_keys(void *data)
{
    struct hammer *h = data;
    char name[16];

    for (int round = 0; round < 8; round++)
        for (int k = 0; k < KEYS; k++) {
            snprintf(name, sizeof(name), "key%d", k);
            if (take(h->counters, name, TP_DAY, 10, NOW))
                atomic_fetch_add(&h->passed_by_key[k], 1);
        }
    return NULL;
}

TEST(threads_that_make_the_same_new_counters_make_each_once)
{
    for (int round = 0; round < 50; round++) {
        struct file f = make_file(64 * 1024, 65536);
        struct hammer h = { .counters = f.counters };

        run_threads(&h, hammer_new_keys);
        for (int k = 0; k < KEYS; k++)
            CHECK_INT(h.passed_by_key[k], 10);
        drop(&f);
    }
}

static void *hammer_two_windows(void *data)
{
    struct hammer *h = data;
    struct tp_quota_key key = key_of("two");

    for (int i = 0; i < 4000; i++) {
        struct tp_quota_state state = no_limits();

        state.limit[TP_SECOND] = 1000;
        state.limit[TP_MONTH] = 2500;
        tp_counters_take(h->counters, &key, false, NOW + i / 1000, &state);
        if (!state.refused)
            atomic_fetch_add(&h->passed, 1);
    }
    return NULL;
}

TEST(threads_on_two_windows_never_pass_more_and_give_back_what_they_took)
{
    struct file f = make_file(65536, 65536);
    struct hammer h = { .counters = f.counters };

    run_threads(&h, hammer_two_windows);
    CHECK(h.passed <= 2500);
    CHECK_INT(used(f.counters, "two", TP_MONTH, NOW), h.passed);
    drop(&f);
}

TEST(processes_on_one_limit_pass_exactly_it)
{
    struct file f = make_file(65536, 65536);
    struct hammer *h = mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t children[4];

    for (int i = 0; i < 4; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            struct file mine = f;

            map(&mine, 65536, 65536); /* each with a mapping of its own, as workers have */
            h->counters = NULL;
            for (int n = 0; n < LIMIT / 2; n++)
                if (take(mine.counters, "forked", TP_MONTH, LIMIT, NOW))
                    atomic_fetch_add(&h->passed, 1);
            _exit(0);
        }
    }
    for (int i = 0; i < 4; i++)
        waitpid(children[i], NULL, 0);
    CHECK_INT(h->passed, LIMIT);
    munmap(h, sizeof(*h));
    drop(&f);
}

TEST(a_killed_process_leaves_nothing_locked)
{
    struct file f = make_file(8192, 8192); /* small: cells are made and evicted all the time */

    for (int round = 0; round < 30; round++) {
        pid_t child = fork();
        char name[32];

        if (child == 0) {
            for (unsigned i = 0;; i++) {
                snprintf(name, sizeof(name), "child%d-%u", round, i);
                take(f.counters, name, TP_MONTH, 10, NOW);
            }
        }
        usleep(2000);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        for (int i = 0; i < 300; i++) {
            snprintf(name, sizeof(name), "after%d-%d", round, i);
            CHECK(take(f.counters, name, TP_MONTH, 1, NOW));
        }
    }
    drop(&f);
}
