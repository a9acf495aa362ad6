#include "support/test.h"
#include "turnpike/body.h"

#include <stdlib.h>
#include <time.h>

TEST(a_part_is_found_under_its_name)
{
    struct tp_arena *arena = tp_arena_new();
    const struct tp_part *parts = NULL;
    size_t count = 0;

    CHECK_INT(tp_multipart_parse(arena, TP_STR("multipart/form-data; boundary=b"),
                                 TP_STR("--b\r\nContent-Disposition: form-data; \t name=\"k\"\r\n\r\nv\r\n--b--\r\n"),
                                 &parts, &count),
              TP_OK);
    CHECK_INT(count, 1);
    CHECK_STR(parts[0].name, "k");
    CHECK_STR(parts[0].value, "v");
    tp_arena_free(arena);
}

/* Looking for a part's name must not walk the line's end again for each of its semicolons. */
TEST(a_hostile_part_header_is_read_in_linear_time)
{
    enum { HALF = 400000 };
    static const char head[] = "--b\r\nContent-Disposition:", tail[] = "\nx\r\n\r\nv\r\n--b--\r\n";
    size_t len = sizeof(head) - 1 + 2 * HALF + sizeof(tail) - 1;
    struct tp_arena *arena = tp_arena_new();
    const struct tp_part *parts = NULL;
    size_t count = 0;
    char *text = malloc(len);
    clock_t start;

    memcpy(text, head, sizeof(head) - 1);
    memset(text + sizeof(head) - 1, ';', HALF);
    memset(text + sizeof(head) - 1 + HALF, ' ', HALF);
    memcpy(text + len - (sizeof(tail) - 1), tail, sizeof(tail) - 1);
    start = clock();
    CHECK_INT(
        tp_multipart_parse(arena, TP_STR("multipart/form-data; boundary=b"), tp_str_make(text, len), &parts, &count),
        TP_OK);
    CHECK(clock() - start < CLOCKS_PER_SEC);
    CHECK_INT(count, 1);
    CHECK(parts[0].name.data == NULL);
    free(text);
    tp_arena_free(arena);
}
