/* Damaged environments: found by the walk or at open, and never a crash. */
#include "plan/inspect.h"
#include "plan/layout.h"
#include "plan/read_model.h"
#include "support/temp_dir.h"
#include "support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAP (1ull << 30)
#define PAGE 4096

static char dir[TEMP_DIR_SIZE], data_path[96];
static const struct tp_uuid database = { { 9 } };

static void build(size_t rows)
{
    struct tp_read_model_builder *b;

    temp_dir_make(dir, "damage");
    snprintf(data_path, sizeof(data_path), "%s/1/data.mdb", dir);
    CHECK_INT(tp_read_model_build_begin(&b, dir, MAP, &database, 1, NULL), TP_OK);
    for (size_t i = 0; i < rows; i++) {
        char id[TP_UUID_TEXT_LEN + 1];
        struct tp_uuid uuid = tp_uuid_random();
        json_t *value;

        tp_uuid_format(&uuid, id);
        value = json_pack("{s:s, s:s}", "id", id, "username", id);
        CHECK_INT(tp_read_model_build_add(b, "consumers", value, NULL), TP_OK);
        json_decref(value);
    }
    CHECK_INT(tp_read_model_build_end(b, NULL), TP_OK);
    CHECK_INT(tp_read_model_check(dir, NULL), TP_OK);
}

static off_t file_size(void)
{
    struct stat st;

    TP_ASSERT(stat(data_path, &st) == 0);
    return st.st_size;
}

static void overwrite(off_t at, const void *bytes, size_t len)
{
    int fd = open(data_path, O_RDWR);

    TP_ASSERT(fd >= 0 && pwrite(fd, bytes, len, at) == (ssize_t)len);
    close(fd);
}

static enum tp_err open_it(void)
{
    struct tp_diag *diag = tp_diag_new();
    struct tp_read_model *rm = NULL;
    enum tp_err err = tp_read_model_open(&rm, dir, MAP, diag);

    CHECK(!err || tp_diag_count(diag) > 0);
    tp_read_model_close(rm);
    tp_diag_free(diag);
    return err;
}

TEST(a_truncated_file_is_refused_at_open)
{
    static const off_t keep[] = { 0, 100, PAGE, PAGE + 100, 2 * PAGE, 5 * PAGE };

    build(2000);
    for (size_t i = 0; i < sizeof(keep) / sizeof(keep[0]); i++) {
        off_t size = keep[sizeof(keep) / sizeof(keep[0]) - 1 - i];

        CHECK_INT(truncate(data_path, size), 0);
        CHECK_INT(open_it(), TP_ERR_DAMAGED);
        CHECK_INT(tp_read_model_check(dir, NULL), TP_ERR_DAMAGED);
    }
    temp_dir_remove(dir);
}

TEST(one_page_too_few_is_refused_at_open)
{
    build(2000);
    CHECK_INT(truncate(data_path, file_size() - PAGE), 0);
    CHECK_INT(open_it(), TP_ERR_DAMAGED);
    temp_dir_remove(dir);
}

TEST(a_file_that_is_no_environment_is_refused)
{
    char junk[3 * PAGE];

    build(10);
    memset(junk, 'x', sizeof(junk));
    overwrite(0, junk, sizeof(junk));
    CHECK_INT(open_it(), TP_ERR_DAMAGED);
    CHECK_INT(tp_read_model_check(dir, NULL), TP_ERR_DAMAGED);
    temp_dir_remove(dir);
}

TEST(a_missing_environment_or_a_broken_pointer_is_damage)
{
    char path[96];
    FILE *f;

    build(10);
    unlink(data_path);
    CHECK_INT(open_it(), TP_ERR_DAMAGED);
    CHECK_INT(tp_read_model_check(dir, NULL), TP_ERR_DAMAGED);
    snprintf(path, sizeof(path), "%s/current", dir);
    f = fopen(path, "w");
    fputs("../../etc\n", f);
    fclose(f);
    CHECK_INT(open_it(), TP_ERR_DAMAGED);
    f = fopen(path, "w");
    fclose(f);
    CHECK_INT(open_it(), TP_ERR_DAMAGED);
    temp_dir_remove(dir);
}

TEST(another_epochs_environment_is_refused)
{
    char from[96], to[96];
    FILE *f;

    build(10);
    snprintf(from, sizeof(from), "%s/1", dir);
    snprintf(to, sizeof(to), "%s/5", dir);
    CHECK_INT(rename(from, to), 0);
    snprintf(to, sizeof(to), "%s/current", dir);
    f = fopen(to, "w");
    fputs("5\n", f);
    fclose(f);
    CHECK_INT(open_it(), TP_ERR_DAMAGED);
    temp_dir_remove(dir);
}

TEST(every_overwritten_page_is_found_by_the_walk)
{
    char page[PAGE], junk[PAGE];
    off_t size;
    int fd;

    build(3000);
    size = file_size();
    fd = open(data_path, O_RDONLY);
    for (size_t i = 0; i < sizeof(junk); i++)
        junk[i] = (char)(i * 37);
    for (off_t at = 2 * PAGE; at < size; at += PAGE) {
        static const char zero[8];
        bool used = false, is_free;

        TP_ASSERT(pread(fd, page, PAGE, at) == PAGE);
        /* Pages that only the free list names may hold anything. */
        overwrite(at, junk, PAGE);
        used = tp_read_model_check(dir, NULL) == TP_ERR_DAMAGED;
        overwrite(at, page, PAGE);
        is_free = memcmp(page, zero, 8) == 0 || !used;
        if (used)
            CHECK_INT(tp_read_model_check(dir, NULL), TP_OK);
        else
            CHECK(is_free);
    }
    close(fd);
    temp_dir_remove(dir);
}

/* Single bytes, anywhere: the walk refuses, or reading every row is safe (the sanitizer build watches). */
TEST(flipped_bits_are_found_or_harmless)
{
    unsigned seed = 1;
    size_t found = 0;
    off_t size;
    int fd;

    build(300);
    size = file_size();
    fd = open(data_path, O_RDONLY);
    for (int i = 0; i < 3000; i++) {
        off_t at = rand_r(&seed) % size;
        uint8_t byte, changed;

        TP_ASSERT(pread(fd, &byte, 1, at) == 1);
        changed = byte ^ (uint8_t)(1u << rand_r(&seed) % 8);
        overwrite(at, &changed, 1);
        if (tp_read_model_check(dir, NULL) == TP_OK)
            open_it();
        else
            found++;
        overwrite(at, &byte, 1);
    }
    CHECK(found > 500);
    CHECK_INT(tp_read_model_check(dir, NULL), TP_OK);
    close(fd);
    temp_dir_remove(dir);
}

/* --- Values ------------------------------------------------------------------------------------ */

static struct tp_buf sample(enum tp_row_kind kind)
{
    struct tp_consumer_plugin plugin = { .name = TP_STR("n"), .config = TP_STR("{}") };
    struct tp_consumer_row consumer = { .username = TP_STR("u") };
    struct tp_read_model_meta meta = { .format = 1 };
    struct tp_credential credential = { .data = TP_STR("{}") };
    uint8_t target[16] = { 0 };
    struct tp_buf buf;

    tp_buf_init(&buf, 0);
    switch (kind) {
    case TP_ROW_META: tp_layout_encode_meta(&buf, &meta); break;
    case TP_ROW_CONSUMER: tp_layout_encode_consumer(&buf, &consumer); break;
    case TP_ROW_CREDENTIAL: tp_layout_encode_credential(&buf, &credential); break;
    case TP_ROW_CONSUMER_PLUGINS:
        tp_layout_encode_plugins_start(&buf);
        tp_layout_encode_plugin(&buf, &plugin);
        break;
    case TP_ROW_SERVICE: tp_layout_encode_plan_row(&buf, TP_STR("{}")); break;
    default: tp_layout_encode_reference(&buf, target); break;
    }
    return buf;
}

TEST(every_value_is_refused_when_cut_lengthened_or_of_another_version)
{
    static const enum tp_row_kind kinds[] = { TP_ROW_META,       TP_ROW_CONSUMER,
                                              TP_ROW_CREDENTIAL, TP_ROW_CONSUMER_PLUGINS,
                                              TP_ROW_USERNAME,   TP_ROW_SERVICE };

    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        struct tp_buf buf = sample(kinds[k]);

        CHECK_INT(tp_layout_check(kinds[k], tp_buf_str(&buf)), TP_OK);
        for (size_t len = 0; len < buf.len; len++) {
            if (kinds[k] == TP_ROW_CONSUMER_PLUGINS && len == 1)
                continue; /* none is a list, too */
            CHECK_INT(tp_layout_check(kinds[k], tp_str_make(buf.data, len)), TP_ERR_DAMAGED);
        }
        tp_buf_add_char(&buf, 'x');
        CHECK_INT(tp_layout_check(kinds[k], tp_buf_str(&buf)), TP_ERR_DAMAGED);
        buf.len--;
        buf.data[0]++;
        CHECK_INT(tp_layout_check(kinds[k], tp_buf_str(&buf)), TP_ERR_DAMAGED);
        tp_buf_fini(&buf);
    }
    CHECK_INT(tp_layout_check((enum tp_row_kind)0x77, TP_STR("\x01")), TP_ERR_DAMAGED);
}
