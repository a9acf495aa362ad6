/* Paths: normalising, encoding, joining; the full table of routing.md §7. */
#include "gateway/router.h"
#include "support/test.h"

#include <stdio.h>

static struct tp_arena *arena;

static struct tp_str normal(const char *raw)
{
    return tp_path_normalize(arena, tp_str_from_cstr(raw));
}

TEST(normalising_decodes_what_is_not_reserved)
{
    arena = tp_arena_new();
    CHECK_STR(normal("/a//b"), "/a/b");
    CHECK_STR(normal("/a/%2e%2e/b"), "/b");
    CHECK_STR(normal("/a%2fb"), "/a%2Fb");
    CHECK_STR(normal("/x%2bz"), "/x%2Bz");
    CHECK_STR(normal("/%7euser"), "/~user");
    CHECK_STR(normal("/%c3%a9"), "/\xc3\xa9");
    CHECK_STR(normal("/a%20b"), "/a b");
    CHECK_STR(normal("/%41%2f%2F"), "/A%2F%2F");
    CHECK_STR(normal("/b%2520"), "/b%2520");
    CHECK_STR(normal("/%zz%4"), "/%zz%4");
    CHECK_STR(normal("/a%00b"), "/a%00b");
    tp_arena_free(arena);
}

TEST(normalising_removes_dot_segments_and_never_climbs_out)
{
    arena = tp_arena_new();
    CHECK_STR(normal("/a/./b"), "/a/b");
    CHECK_STR(normal("/a/../a/b"), "/a/b");
    CHECK_STR(normal("/a/b/../.."), "/");
    CHECK_STR(normal("/a/b/."), "/a/b/");
    CHECK_STR(normal("/a/b/.."), "/a/");
    CHECK_STR(normal("/a/..."), "/a/...");
    CHECK_STR(normal("/../../x"), "/x");
    CHECK_STR(normal("/.%2E/..%2fx"), "/..%2Fx");
    CHECK_STR(normal("/."), "/");
    CHECK_STR(normal("/.hidden"), "/.hidden");
    CHECK_STR(normal(""), "/");
    CHECK_STR(normal("*"), "/*");
    CHECK_STR(normal("////"), "/");
    tp_arena_free(arena);
}

TEST(a_normal_path_is_not_copied)
{
    struct tp_str path = TP_STR("/a/b-c/~d");

    arena = tp_arena_new();
    CHECK(tp_path_normalize(arena, path).data == path.data);
    CHECK(tp_path_encode(arena, path).data == path.data);
    tp_arena_free(arena);
}

TEST(encoding_escapes_what_must_not_stand_in_a_path)
{
    arena = tp_arena_new();
    CHECK_STR(tp_path_encode(arena, TP_STR("/a b")), "/a%20b");
    CHECK_STR(tp_path_encode(arena, TP_STR("/\xc3\xa9")), "/%C3%A9");
    CHECK_STR(tp_path_encode(arena, TP_STR("/\"<>^`{|}\\")), "/%22%3C%3E%5E%60%7B%7C%7D%5C");
    CHECK_STR(tp_path_encode(arena, TP_STR("/!#$&'()*+,:;=?@[]%25")), "/!#$&'()*+,:;=?@[]%25");
    CHECK_STR(tp_path_encode(arena, TP_STR("/\r\nX: 1")), "/%0D%0AX:%201");
    tp_arena_free(arena);
}

/* service.path, route path (NULL: none), request, then keep v0, keep v1, strip v0, strip v1. */
static const char *const table[][7] = {
    { "/", "/", "/", "/", "/", "/", "/" },
    { "/", NULL, "/", "/", "/", "/", "/" },
    { "/", "/", "/route", "/route", "/route", "/route", "/route" },
    { "/", NULL, "/route", "/route", "/route", "/route", "/route" },
    { "/", "/", "/route/", "/route/", "/route/", "/route/", "/route/" },
    { "/", NULL, "/route/", "/route/", "/route/", "/route/", "/route/" },
    { "/", "/", "/routereq", "/routereq", "/routereq", "/routereq", "/routereq" },
    { "/", "/", "/route/req", "/route/req", "/route/req", "/route/req", "/route/req" },
    { "/", "/route", "/route", "/route", "/route", "/", "/" },
    { "/", "/route", "/route/", "/route/", "/route/", "/", "/" },
    { "/", "/route", "/routereq", "/routereq", "/routereq", "/req", "/req" },
    { "/", "/route/", "/route/", "/route/", "/route/", "/", "/" },
    { "/", "/route/", "/route/req", "/route/req", "/route/req", "/req", "/req" },
    { "/srv", "/rou", "/roureq", "/srv/roureq", "/srvroureq", "/srv/req", "/srvreq" },
    { "/srv/", "/rou", "/rou", "/srv/rou", "/srv/rou", "/srv", "/srv/" },
    { "/service", "/", "/", "/service", "/service", "/service", "/service" },
    { "/service", NULL, "/", "/service", "/service", "/service", "/service" },
    { "/service", "/", "/route", "/service/route", "/serviceroute", "/service/route", "/serviceroute" },
    { "/service", NULL, "/route", "/service/route", "/serviceroute", "/service/route", "/serviceroute" },
    { "/service", "/", "/route/", "/service/route/", "/serviceroute/", "/service/route/", "/serviceroute/" },
    { "/service", NULL, "/route/", "/service/route/", "/serviceroute/", "/service/route/", "/serviceroute/" },
    { "/service", "/", "/routereq", "/service/routereq", "/serviceroutereq", "/service/routereq", "/serviceroutereq" },
    { "/service", "/", "/route/req", "/service/route/req", "/serviceroute/req", "/service/route/req",
      "/serviceroute/req" },
    { "/service", "/route", "/route", "/service/route", "/serviceroute", "/service", "/service" },
    { "/service", "/route", "/route/", "/service/route/", "/serviceroute/", "/service/", "/service/" },
    { "/service", "/route", "/routereq", "/service/routereq", "/serviceroutereq", "/service/req", "/servicereq" },
    { "/service", "/route/", "/route/", "/service/route/", "/serviceroute/", "/service/", "/service" },
    { "/service", "/route/", "/route/req", "/service/route/req", "/serviceroute/req", "/service/req", "/servicereq" },
    { "/service/", "/", "/", "/service/", "/service/", "/service/", "/service/" },
    { "/service/", NULL, "/", "/service/", "/service/", "/service/", "/service/" },
    { "/service/", "/", "/route", "/service/route", "/service/route", "/service/route", "/service/route" },
    { "/service/", NULL, "/route/", "/service/route/", "/service/route/", "/service/route/", "/service/route/" },
    { "/service/", "/", "/routereq", "/service/routereq", "/service/routereq", "/service/routereq",
      "/service/routereq" },
    { "/service/", "/", "/route/req", "/service/route/req", "/service/route/req", "/service/route/req",
      "/service/route/req" },
    { "/service/", "/route", "/route", "/service/route", "/service/route", "/service", "/service/" },
    { "/service/", "/route", "/route/", "/service/route/", "/service/route/", "/service/", "/service/" },
    { "/service/", "/route", "/routereq", "/service/routereq", "/service/routereq", "/service/req", "/service/req" },
    { "/service/", "/route/", "/route/", "/service/route/", "/service/route/", "/service/", "/service/" },
    { "/service/", "/route/", "/route/req", "/service/route/req", "/service/route/req", "/service/req",
      "/service/req" },
    /* Dots behind the prefix. */
    { "/service", "/route", "/route./req", "/service/route./req", "/serviceroute./req", "/service/req", "/servicereq" },
    { "/service", "/route", "/route%2E/req", "/service/route./req", "/serviceroute./req", "/service/req",
      "/servicereq" },
    { "/service", "/route", "/route../req", "/service/route../req", "/serviceroute../req", "/service/req",
      "/servicereq" },
    { "/service", "/route", "/route%2e%2E/req", "/service/route../req", "/serviceroute../req", "/service/req",
      "/servicereq" },
    { "/service/", "/route", "/route./req", "/service/route./req", "/service/route./req", "/service/req",
      "/service/req" },
    { "/service/", "/route", "/route../req", "/service/route../req", "/service/route../req", "/service/req",
      "/service/req" },
};

TEST(every_combination_of_service_route_and_request_path_joins_as_in_the_table)
{
    arena = tp_arena_new();
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const char *const *row = table[i];
        struct tp_str path = normal(row[2]);
        struct tp_str matched = row[1] ? tp_str_head(path, strlen(row[1])) : TP_STR_NULL;

        for (int k = 0; k < 4; k++) {
            struct tp_str got = tp_path_join(arena, tp_str_from_cstr(row[0]), path, matched, k >= 2, k & 1);

            if (!tp_str_eq(got, tp_str_from_cstr(row[3 + k])))
                test_fail(__FILE__, __LINE__, "row %zu column %d: got %.*s, want %s", i, k, TP_STR_ARG(got),
                          row[3 + k]);
        }
    }
    tp_arena_free(arena);
}

TEST(an_absent_service_path_is_the_root)
{
    arena = tp_arena_new();
    CHECK_STR(tp_path_join(arena, TP_STR_NULL, TP_STR("/a/b"), TP_STR("/a"), true, false), "/b");
    tp_arena_free(arena);
}
