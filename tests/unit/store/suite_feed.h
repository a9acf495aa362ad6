/* The store's suite: transactions, the feed, crashes, saved counters. See suite_support.h. */

TEST(feed_rows_are_numbered_in_order_and_tell_their_transaction)
{
    struct tp_store *s = open_empty();
    struct tp_store_fault fault;
    struct tp_uuid second = uuid_n(2);
    struct tp_feed_row *rows;
    uint64_t at = 99;
    size_t count;

    CHECK_INT(tp_store_feed(s, 0, 10, &rows, &count), TP_OK);
    CHECK_INT(count, 0);
    free(rows);
    put(s, "services", 1, "{'name':'a','host':'h'}");
    CHECK_INT(tp_store_begin(s), TP_OK);
    CHECK_INT(insert(s, &fault, "services", 2, "{'name':'b','host':'h'}"), TP_OK);
    CHECK_INT(update(s, &fault, "services", 1, "{'name':'c','host':'h'}"), TP_OK);
    CHECK_INT(tp_store_commit(s, &at), TP_OK);
    CHECK_INT(at, 3);
    CHECK_INT(remove_n(s, "services", 2), TP_OK);
    CHECK_INT(tp_store_feed(s, 0, 10, &rows, &count), TP_OK);
    CHECK_INT(count, 4);
    for (size_t i = 0; i < count; i++) {
        static const uint64_t last[] = { 1, 3, 3, 4 };

        CHECK_INT(rows[i].seq, i + 1);
        CHECK_INT(rows[i].tx_last, last[i]);
        CHECK_INT(rows[i].op, i == 3 ? TP_FEED_DELETE : TP_FEED_PUT);
        CHECK(rows[i].entity == kind("services"));
    }
    CHECK(tp_uuid_eq(&rows[1].id, &second));
    free(rows);
    CHECK_INT(tp_store_feed(s, 1, 2, &rows, &count), TP_OK);
    CHECK_INT(count, 2);
    CHECK_INT(rows[0].seq, 2);
    free(rows);
    CHECK_INT(tp_store_feed(s, 4, 10, &rows, &count), TP_OK);
    CHECK_INT(count, 0);
    free(rows);
    CHECK_INT(tp_store_feed(s, 5, 10, &rows, &count), TP_ERR_NOT_FOUND); /* ahead: another database */
    tp_store_free(s);
}

TEST(transactions_that_change_nothing_leave_the_clock_alone)
{
    struct tp_store *s = open_empty();
    struct tp_store_fault fault;
    uint64_t at = 99;

    put(s, "services", 1, "{'name':'a','host':'h'}");
    CHECK_INT(tp_store_begin(s), TP_OK);
    CHECK_INT(tp_store_commit(s, &at), TP_OK);
    CHECK_INT(at, 1);
    CHECK_INT(tp_store_begin(s), TP_OK);
    CHECK_INT(insert(s, &fault, "services", 2, "{'name':'a','host':'h'}"), TP_ERR_EXISTS);
    tp_store_fault_fini(&fault);
    CHECK_INT(tp_store_commit(s, &at), TP_OK);
    CHECK_INT(at, 1);
    CHECK_INT(tp_store_begin(s), TP_OK);
    CHECK_INT(insert(s, &fault, "services", 2, "{'name':'b','host':'h'}"), TP_OK);
    tp_store_rollback(s);
    tp_store_rollback(s);
    CHECK_INT(position(s), 1);
    CHECK(!exists(s, "services", 2));
    CHECK_INT(tp_store_begin_read(s), TP_OK);
    CHECK_INT(tp_store_commit(s, &at), TP_OK);
    CHECK_INT(at, 1);
    tp_store_free(s);
}

TEST(a_bulk_load_is_told_as_one_reread)
{
    struct tp_store *s = open_empty();
    struct tp_store_fault fault;
    struct tp_feed_row *rows;
    size_t count;

    put(s, "services", 1, "{'name':'a','host':'h'}");
    CHECK_INT(tp_store_begin(s), TP_OK);
    CHECK_INT(insert(s, &fault, "services", 2, "{'name':'b','host':'h'}"), TP_OK);
    CHECK_INT(tp_store_bulk_begin(s), TP_OK);
    for (unsigned i = 0; i < 50; i++)
        CHECK_INT(insert(s, &fault, "consumers", 10 + i, "{'username':'c%u'}", i), TP_OK);
    CHECK_INT(tp_store_bulk_end(s), TP_OK);
    CHECK_INT(tp_store_commit(s, NULL), TP_OK);
    CHECK_INT(tp_store_feed(s, 1, 10, &rows, &count), TP_OK);
    CHECK_INT(count, 1);
    CHECK_INT(rows[0].op, TP_FEED_REREAD);
    CHECK_INT(rows[0].tx_last, 2);
    CHECK(!rows[0].entity);
    free(rows);
    put(s, "services", 3, "{'name':'c','host':'h'}"); /* the next one counts singly again */
    CHECK_INT(tp_store_feed(s, 2, 10, &rows, &count), TP_OK);
    CHECK_INT(count, 1);
    CHECK_INT(rows[0].op, TP_FEED_PUT);
    free(rows);
    tp_store_free(s);
}

TEST(a_huge_transaction_is_told_as_one_reread)
{
    enum { ROWS = 1000 }; /* a transaction that changes one row again and again is slow in PostgreSQL */
    struct tp_store *s = open_empty();
    struct tp_store_fault fault;
    struct tp_feed_row *rows;
    size_t count;

    for (unsigned i = 0; i < ROWS; i++)
        put(s, "consumers", 1 + i, "{'username':'bob%u'}", i);
    CHECK_INT(tp_store_begin(s), TP_OK);
    for (unsigned i = 0; i < 100001; i++)
        if (update(s, &fault, "consumers", 1 + i % ROWS, "{'username':'b%u'}", i)) {
            test_fail(__FILE__, __LINE__, "%s", fault.message);
            break;
        }
    CHECK_INT(tp_store_commit(s, NULL), TP_OK);
    CHECK_INT(tp_store_feed(s, ROWS, 10, &rows, &count), TP_OK);
    CHECK_INT(count, 1);
    CHECK_INT(rows[0].op, TP_FEED_REREAD);
    free(rows);
    CHECK_STR(member(s, "consumers", 1, "username"), "'b100000'");
    tp_store_free(s);
}

TEST(pruning_drops_by_count_and_by_age_and_a_reader_behind_it_is_told)
{
    struct tp_store *s = open_empty();
    struct tp_feed_row *rows;
    size_t count;

    set_time(s, 1000);
    for (unsigned i = 1; i <= 6; i++)
        put(s, "services", i, "{'name':'s%u','host':'h'}", i);
    test_time_ms = 5000 * 1000;
    for (unsigned i = 7; i <= 10; i++)
        put(s, "services", i, "{'name':'s%u','host':'h'}", i);
    CHECK_INT(tp_store_prune(s, 100, 4000), TP_OK); /* nothing is old enough */
    CHECK_INT(tp_store_feed(s, 0, 100, &rows, &count), TP_OK);
    CHECK_INT(count, 10);
    free(rows);
    CHECK_INT(tp_store_prune(s, 8, 4000), TP_OK);
    CHECK_INT(tp_store_feed(s, 1, 100, &rows, &count), TP_ERR_NOT_FOUND);
    CHECK_INT(tp_store_feed(s, 2, 100, &rows, &count), TP_OK);
    CHECK_INT(count, 8);
    free(rows);
    CHECK_INT(tp_store_prune(s, 100, 3600), TP_OK);
    CHECK_INT(tp_store_feed(s, 5, 100, &rows, &count), TP_ERR_NOT_FOUND);
    CHECK_INT(tp_store_feed(s, 6, 100, &rows, &count), TP_OK);
    CHECK_INT(count, 4);
    free(rows);
    CHECK_INT(tp_store_prune(s, 0, 0), TP_OK);
    CHECK_INT(tp_store_feed(s, 9, 100, &rows, &count), TP_ERR_NOT_FOUND);
    CHECK_INT(tp_store_feed(s, 10, 100, &rows, &count), TP_OK);
    CHECK_INT(count, 0);
    free(rows);
    CHECK_INT(position(s), 10);
    put(s, "services", 11, "{'name':'s11','host':'h'}");
    CHECK_INT(position(s), 11);
    tp_store_free(s);
}

TEST(a_reader_keeps_its_snapshot_while_another_writes)
{
    struct tp_store *reader = open_empty(), *writer = open_another();
    struct tp_uuid second = uuid_n(2);
    struct tp_store_fault fault;

    put(writer, "services", 1, "{'name':'a','host':'h'}");
    CHECK_INT(tp_store_begin_read(reader), TP_OK);
    CHECK_INT(position(reader), 1);
    put(writer, "services", 2, "{'name':'b','host':'h'}");
    CHECK_INT(position(reader), 1);
    CHECK(!exists(reader, "services", 2));
    CHECK_INT(tp_store_commit(reader, NULL), TP_OK);
    CHECK_INT(position(reader), 2);
    CHECK(exists(reader, "services", 2));
    CHECK_INT(tp_store_begin(writer), TP_OK); /* not yet committed: not seen */
    CHECK_INT(tp_store_delete(writer, kind("services"), &second, &fault), TP_OK);
    CHECK(exists(reader, "services", 2));
    CHECK_INT(tp_store_commit(writer, NULL), TP_OK);
    CHECK(!exists(reader, "services", 2));
    tp_store_free(writer);
    tp_store_free(reader);
}

TEST(writers_at_once_leave_one_gapless_feed)
{
    enum { WRITERS = 3, EACH = 60 };
    struct tp_store *s;
    struct tp_feed_row *rows;
    pid_t children[WRITERS];
    size_t count = 0;

    tp_store_free(open_empty()); /* no connection may be carried over a fork */
    for (unsigned w = 0; w < WRITERS; w++) {
        children[w] = fork();
        if (children[w] == 0) {
            struct tp_store *mine = open_another();
            struct tp_store_fault fault;

            for (unsigned i = 0; i < EACH; i++)
                if (tp_store_begin(mine) ||
                    insert(mine, &fault, "consumers", 1000 * w + 2 * i + 1, "{'username':'a%u-%u'}", w, i) ||
                    insert(mine, &fault, "consumers", 1000 * w + 2 * i + 2, "{'username':'b%u-%u'}", w, i) ||
                    tp_store_commit(mine, NULL))
                    _exit(1);
            _exit(0);
        }
    }
    for (unsigned w = 0; w < WRITERS; w++) {
        int status = -1;

        waitpid(children[w], &status, 0);
        CHECK_INT(status, 0);
    }
    s = open_another();
    CHECK_INT(position(s), WRITERS * EACH * 2);
    CHECK_INT(tp_store_feed(s, 0, 10000, &rows, &count), TP_OK);
    CHECK_INT(count, WRITERS * EACH * 2);
    for (size_t i = 0; i + 1 < count; i += 2) {
        CHECK_INT(rows[i].tx_last, i + 2);
        CHECK_INT(rows[i + 1].tx_last, i + 2);
    }
    if (count)
        free(rows);
    tp_store_free(s);
}

TEST(a_writer_killed_in_the_middle_leaves_nothing)
{
    struct tp_store *s = open_empty();
    struct tp_store_fault fault;
    int status = 0;
    pid_t child;

    put(s, "services", 1, "{'name':'a','host':'h'}");
    tp_store_free(s); /* no connection may be carried over a fork */
    child = fork();
    if (child == 0) {
        struct tp_store *mine = open_another();

        if (tp_store_begin(mine))
            _exit(1);
        for (unsigned i = 0; i < 5000; i++)
            insert(mine, &fault, "consumers", 10 + i, "{'username':'c%u'}", i);
        raise(SIGKILL);
    }
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    s = open_another();
    CHECK(exists(s, "services", 1) && !exists(s, "consumers", 10));
    CHECK_INT(position(s), 1);
    put(s, "consumers", 10, "{'username':'c0'}"); /* its lock is gone, too */
    CHECK_INT(position(s), 2);
    tp_store_free(s);
}

TEST(what_was_committed_survives_a_kill)
{
    struct tp_store *s;
    int status = 0;
    pid_t child;

    tp_store_free(open_empty());
    child = fork();
    if (child == 0) {
        struct tp_store *mine = open_another();

        for (unsigned i = 0; i < 20; i++)
            put(mine, "consumers", 10 + i, "{'username':'c%u'}", i);
        raise(SIGKILL);
    }
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    s = open_another();
    CHECK_INT(position(s), 20);
    CHECK(exists(s, "consumers", 29));
    tp_store_free(s);
}

/* --- Counters --------------------------------------------------------------------------------- */

struct loaded {
    struct tp_saved_counter counters[8];
    size_t count;
};

static void on_counter(void *data, const struct tp_saved_counter *counter)
{
    struct loaded *loaded = data;

    if (loaded->count < 8)
        loaded->counters[loaded->count++] = *counter;
}

TEST(saved_counters_come_back_until_their_window_ends)
{
    struct tp_store *s = open_empty();
    struct tp_saved_counter hour = { .table = 1, .period = 2, .name = "h\0x", .window_start = 3600, .count = 7 };
    struct tp_saved_counter month = { .table = 0, .period = 4, .name = "m", .window_start = 0, .count = 10000 };
    struct loaded loaded = { .count = 0 };

    set_time(s, 4000);
    CHECK_INT(tp_store_counters_save(s, (struct tp_saved_counter[]){ hour, month }, 2), TP_OK);
    hour.count = 9;
    CHECK_INT(tp_store_counters_save(s, &hour, 1), TP_OK);
    hour.window_start = 0; /* an older window does not replace a newer one */
    CHECK_INT(tp_store_counters_save(s, &hour, 1), TP_OK);
    CHECK_INT(tp_store_counters_load(s, 4000, on_counter, &loaded), TP_OK);
    CHECK_INT(loaded.count, 2);
    for (size_t i = 0; i < loaded.count; i++) {
        const struct tp_saved_counter *c = &loaded.counters[i];

        CHECK_INT(c->count, c->period == 2 ? 9 : 10000);
        CHECK_INT(c->window_start, c->period == 2 ? 3600 : 0);
        CHECK_INT(c->table, c->period == 2);
        CHECK(memcmp(c->name, c->period == 2 ? "h\0x" : "m\0\0", 4) == 0);
    }
    loaded.count = 0;
    CHECK_INT(tp_store_counters_load(s, 7200, on_counter, &loaded), TP_OK);
    CHECK_INT(loaded.count, 1);
    test_time_ms = 7200 * 1000;
    CHECK_INT(tp_store_counters_save(s, NULL, 0), TP_OK);
    loaded.count = 0;
    CHECK_INT(tp_store_counters_load(s, 0, on_counter, &loaded), TP_OK);
    CHECK_INT(loaded.count, 1);
    CHECK_INT(position(s), 0); /* they are no part of the feed */
    tp_store_free(s);
}
