/* Behaviour of src/base: text, arenas, buffers, maps, uuids, the shared file. */
#include "base/arena_spares.h"
#include "base/buf.h"
#include "base/diag.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/shm.h"
#include "base/url.h"
#include "base/utf8.h"
#include "support/temp_dir.h"
#include "support/test.h"
#include "turnpike/arena.h"
#include "turnpike/uuid.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

TEST(splitting_sees_every_item_also_empty_ones)
{
    struct tp_str rest = TP_STR("a,,b,"), item;
    const char *want[] = { "a", "", "b", "" };
    size_t n = 0;

    while (tp_str_next(&rest, ',', &item))
        CHECK_STR(item, want[n++]);
    CHECK_INT(n, 4);
}

TEST(numbers_outside_int64_are_refused)
{
    int64_t n = 7;

    CHECK(tp_str_to_i64(TP_STR("-9223372036854775808"), &n) && n == INT64_MIN);
    CHECK(tp_str_to_i64(TP_STR("9223372036854775807"), &n) && n == INT64_MAX);
    CHECK(!tp_str_to_i64(TP_STR("9223372036854775808"), &n));
    CHECK(!tp_str_to_i64(TP_STR(""), &n));
    CHECK(!tp_str_to_i64(TP_STR("-"), &n));
    CHECK(!tp_str_to_i64(TP_STR("1 "), &n));
    CHECK_INT(n, INT64_MAX);
}

TEST(decimals_are_read_but_not_hex_nor_infinity)
{
    double d = 0;

    CHECK(tp_str_to_double(TP_STR("2.5e3"), &d) && d == 2500);
    CHECK(!tp_str_to_double(TP_STR("0x10"), &d));
    CHECK(!tp_str_to_double(TP_STR("inf"), &d));
    CHECK(!tp_str_to_double(TP_STR("1e999"), &d));
    CHECK(!tp_str_to_double(tp_str_make("1\0002", 3), &d));
}

TEST(case_is_ignored_for_letters_only)
{
    CHECK(tp_str_eq_nocase(TP_STR("ApiKey"), TP_STR("aPIkEY")));
    CHECK(!tp_str_eq_nocase(TP_STR("a_b"), TP_STR("a\x7f"
                                                  "b")));
    CHECK(!tp_str_eq_nocase(TP_STR("[x"), TP_STR("{x")));
}

static int order[3], order_count;

static void note(void *data)
{
    order[order_count++] = *(int *)data;
}

TEST(arena_runs_destructors_newest_first)
{
    struct tp_arena *arena = tp_arena_new();
    int one = 1, two = 2;

    order_count = 0;
    tp_arena_defer(arena, note, &one);
    tp_arena_defer(arena, note, &two);
    tp_arena_free(arena);
    CHECK_INT(order_count, 2);
    CHECK_INT(order[0], 2);
    CHECK_INT(order[1], 1);
}

TEST(spare_arenas_serve_again_and_are_bounded)
{
    struct tp_arena_spares *spares = tp_arena_spares_new(1);
    struct tp_arena *a = tp_arena_new_from(spares), *b = tp_arena_new_from(spares), *again;

    memset(tp_arena_alloc(a, 100000), 1, 100000);
    CHECK_STR(tp_arena_dup(b, TP_STR("x")), "x");
    tp_arena_free(a);
    tp_arena_free(b); /* one too many to be kept */
    again = tp_arena_new_from(spares);
    CHECK(again == a);
    CHECK_STR(tp_arena_dup(again, TP_STR("y")), "y");
    tp_arena_free(again);
    tp_arena_spares_free(spares);
}

TEST(decimals_are_written_in_full)
{
    static const uint64_t numbers[] = { 0, 7, 10, 99, 100, 101, 12345, 999999, UINT64_MAX };
    struct tp_arena *arena = tp_arena_new();

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char text[32];

        snprintf(text, sizeof(text), "%llu", (unsigned long long)numbers[i]);
        CHECK_STR(tp_arena_decimal(arena, numbers[i]), text);
    }
    tp_arena_free(arena);
}

TEST(names_compare_without_case_at_every_length)
{
    static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ-@[`{", lower[] = "abcdefghijklmnopqrstuvwxyz-@[`{";

    for (size_t len = 0; len < sizeof(upper); len++) {
        CHECK(tp_str_eq_nocase(tp_str_make(upper, len), tp_str_make(lower, len)));
        for (size_t i = 0; i < len; i++) {
            char other[sizeof(lower)];

            memcpy(other, lower, sizeof(lower));
            other[i] ^= i < 26 ? 0x40 : 0x20; /* no letter, or a mark that is no letter's other case */
            CHECK(!tp_str_eq_nocase(tp_str_make(upper, len), tp_str_make(other, len)));
        }
    }
}

TEST(long_keys_have_digests_too)
{
    struct tp_hash_key key = { { 1 } };
    char text[1000];
    struct tp_digest seen, digest = { { 0 } };

    memset(text, 'k', sizeof(text));
    for (size_t len = 0; len <= sizeof(text); len++) {
        seen = digest;
        digest = tp_digest_keyed(&key, tp_str_make(text, len));
        CHECK(memcmp(&seen, &digest, sizeof(seen)) != 0);
    }
}

TEST(arena_pieces_do_not_overlap)
{
    struct tp_arena *arena = tp_arena_new();
    char *pieces[200];

    for (int i = 0; i < 200; i++) {
        pieces[i] = tp_arena_alloc(arena, (size_t)i * 37 % 3000 + 1);
        memset(pieces[i], i, (size_t)i * 37 % 3000 + 1);
    }
    for (int i = 0; i < 200; i++)
        CHECK((unsigned char)pieces[i][(size_t)i * 37 % 3000] == i);
    CHECK_STR(tp_arena_printf(arena, "%s-%d", "x", 5), "x-5");
    CHECK_STR(tp_arena_concat(arena, TP_STR("a"), TP_STR("")), "a");
    tp_arena_free(arena);
}

TEST(buffer_over_its_ceiling_stays_failed)
{
    struct tp_buf buf;

    tp_buf_init(&buf, 4);
    tp_buf_add_cstr(&buf, "abcd");
    CHECK(!buf.failed);
    tp_buf_add_char(&buf, 'e');
    CHECK(buf.failed);
    CHECK_STR(tp_buf_str(&buf), "abcd");
    tp_buf_reset(&buf);
    tp_buf_addf(&buf, "%d", 42);
    CHECK_STR(tp_buf_str(&buf), "42");
    tp_buf_fini(&buf);
}

TEST(map_keeps_what_was_set_through_growth_and_removal)
{
    struct tp_map *map = tp_map_new();
    static int values[1000];
    char key[16];

    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        CHECK(tp_map_set(map, tp_str_from_cstr(key), &values[i]) == NULL);
    }
    for (int i = 0; i < 1000; i += 2) {
        snprintf(key, sizeof(key), "k%d", i);
        CHECK(tp_map_remove(map, tp_str_from_cstr(key)) == &values[i]);
    }
    CHECK_INT(tp_map_count(map), 500);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        CHECK(tp_map_get(map, tp_str_from_cstr(key)) == (i % 2 ? &values[i] : NULL));
    }
    tp_map_free(map, NULL);
}

TEST(uuid_text_goes_both_ways)
{
    struct tp_uuid uuid = { { 0 } };
    char text[TP_UUID_TEXT_LEN + 1];

    CHECK(tp_uuid_parse(TP_STR("FD02801F-0957-4a15-A55A-c8d9606f30b5"), &uuid));
    tp_uuid_format(&uuid, text);
    CHECK_STR((const char *)text, "fd02801f-0957-4a15-a55a-c8d9606f30b5");
    CHECK(!tp_uuid_parse(TP_STR("fd02801f00957-4a15-a55a-c8d9606f30b5"), &uuid));
    CHECK(!tp_uuid_parse(TP_STR("fd02801f-0957-4a15-a55a-c8d9606f30bg"), &uuid));
    CHECK(!tp_uuid_parse(TP_STR("fd02801f"), &uuid));
}

TEST(uuid_v5_is_the_rfc_one)
{
    struct tp_uuid dns, got;
    char text[TP_UUID_TEXT_LEN + 1];

    tp_uuid_parse(TP_STR("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), &dns);
    got = tp_uuid_v5(&dns, TP_STR("www.example.com"));
    tp_uuid_format(&got, text);
    CHECK_STR((const char *)text, "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

TEST(percent_decoding_leaves_bad_escapes)
{
    struct tp_arena *arena = tp_arena_new();

    CHECK_STR(tp_url_decode(arena, TP_STR("a%2Fb%zz%4"), false), "a/b%zz%4");
    CHECK_STR(tp_url_decode(arena, TP_STR("a+b%41"), true), "a bA");
    CHECK_STR(tp_url_encode(arena, TP_STR("a b/\xc3\xa9~")), "a%20b%2F%C3%A9~");
    tp_arena_free(arena);
}

TEST(utf8_stops_at_the_first_bad_byte)
{
    CHECK_INT(tp_utf8_valid_prefix(TP_STR("h\xc3\xa9\xf0\x9f\x98\x80")), 7);
    CHECK_INT(tp_utf8_valid_prefix(TP_STR("ab\xc0\x80")), 2);
    CHECK_INT(tp_utf8_valid_prefix(TP_STR("a\xed\xa0\x80")), 1);
    CHECK_INT(tp_utf8_valid_prefix(TP_STR("a\xe2\x82")), 1);
}

TEST(digests_of_parts_cannot_run_together)
{
    struct tp_hash_key key = { { 1 } };
    struct tp_str ab_c[] = { TP_STR("ab"), TP_STR("c") }, a_bc[] = { TP_STR("a"), TP_STR("bc") };
    struct tp_digest one = tp_digest_keyed_parts(&key, ab_c, 2), two = tp_digest_keyed_parts(&key, a_bc, 2);

    CHECK(memcmp(&one, &two, sizeof(one)) != 0);
}

TEST(shared_file_survives_and_another_layout_is_set_aside)
{
    struct tp_shm_section small[] = { { "a", 10 }, { "b", 5000 } }, large[] = { { "a", 9000 } };
    char dir[TEMP_DIR_SIZE], path[96], old[96];
    struct tp_shm *shm;
    size_t size;

    temp_dir_make(dir, "shm");
    snprintf(path, sizeof(path), "%s/state", dir);
    snprintf(old, sizeof(old), "%s/state.old", dir);
    CHECK_INT(tp_shm_open(&shm, path, small, 2, NULL), TP_OK);
    CHECK(tp_shm_is_new(shm));
    memcpy(tp_shm_section(shm, "b", &size), "kept", sizeof("kept"));
    CHECK_INT(size, 8192);
    CHECK(tp_shm_section(shm, "c", NULL) == NULL);
    tp_shm_close(shm);

    CHECK_INT(tp_shm_open(&shm, path, small, 2, NULL), TP_OK);
    CHECK(!tp_shm_is_new(shm));
    CHECK_STR((const char *)tp_shm_section(shm, "b", NULL), "kept");
    tp_shm_close(shm);

    CHECK_INT(tp_shm_open(&shm, path, large, 1, NULL), TP_OK);
    CHECK(tp_shm_is_new(shm));
    CHECK(access(old, F_OK) == 0);
    tp_shm_close(shm);
    temp_dir_remove(dir);
}

/* A worker with other sizes makes the file anew before control comes to it: what was saved still has to go in. */
TEST(shared_file_is_unfilled_whoever_made_it)
{
    const struct tp_shm_section sections[] = { { "a", 100 } };
    char dir[TEMP_DIR_SIZE], path[96];
    struct tp_shm *maker = NULL, *other = NULL;

    temp_dir_make(dir, "filled");
    snprintf(path, sizeof(path), "%s/s", dir);
    CHECK_INT(tp_shm_open(&maker, path, sections, 1, NULL), TP_OK);
    CHECK_INT(tp_shm_open(&other, path, sections, 1, NULL), TP_OK);
    CHECK(!tp_shm_is_new(other) && !tp_shm_is_filled(other));
    tp_shm_set_filled(other);
    CHECK(tp_shm_is_filled(maker));
    tp_shm_close(maker);
    tp_shm_close(other);
    CHECK_INT(tp_shm_open(&other, path, sections, 1, NULL), TP_OK);
    CHECK(tp_shm_is_filled(other)); /* once for all */
    tp_shm_close(other);
    temp_dir_remove(dir);
}

TEST(findings_read_as_one_line)
{
    struct tp_diag *diag = tp_diag_new();

    tp_diag_add(diag, "proxy_listen", "bad port %d", 70000);
    tp_diag_add(diag, NULL, "nothing works");
    CHECK_STR(tp_diag_text(diag), "proxy_listen: bad port 70000; nothing works");
    tp_diag_free(diag);
}
