/* The router: attributes, order of both flavours, captures, limits, and that thousands of routes cost nothing. */
#include "base/diag.h"
#include "gateway/router.h"
#include "support/plan_maker.h"
#include "support/test.h"

#include <stdio.h>
#include <time.h>

static struct plan_maker *maker;
static struct tp_router *router;
static struct tp_arena *arena;
static struct tp_match match;
static struct tp_diag *diag;

static void begin(void)
{
    maker = plan_maker_new();
    arena = tp_arena_new();
    diag = tp_diag_new();
    router = NULL;
}

static void compile(enum tp_router_flavor flavor)
{
    CHECK(tp_router_compile(&router, &maker->plan, flavor, diag) == TP_OK);
}

static void end(void)
{
    tp_router_free(router);
    tp_arena_free(arena);
    plan_maker_free(maker);
    tp_diag_free(diag);
}

struct ask {
    const char *path, *host, *method, *headers, *sni;
    bool tls;
};

/* Name of the route that the request takes; "-" for none. */
static struct tp_str ask(struct ask a)
{
    struct tp_header headers[8];
    struct tp_router_input in = { .method = tp_str_from_cstr(a.method ? a.method : "GET"), .port = 8000, .tls = a.tls };
    struct tp_str rest = tp_str_from_cstr(a.headers), item;
    int64_t port;
    ptrdiff_t colon;

    in.path = tp_path_normalize(arena, tp_str_from_cstr(a.path ? a.path : "/"));
    in.host = in.host_text = tp_str_from_cstr(a.host ? a.host : "none.test");
    colon = tp_str_chr(in.host, ':');
    if (colon >= 0 && tp_str_to_i64(tp_str_from(in.host, (size_t)colon + 1), &port)) {
        in.port = (uint16_t)port;
        in.host = tp_str_head(in.host, (size_t)colon);
    }
    in.sni = tp_str_from_cstr(a.sni ? a.sni : "");
    while (rest.len && in.header_count < 8 && tp_str_next(&rest, ' ', &item)) {
        headers[in.header_count].value = item;
        tp_str_next(&headers[in.header_count].value, '=', &headers[in.header_count].name);
        in.header_count++;
    }
    in.headers = headers;
    tp_router_match(router, &in, arena, &match);
    return match.route ? match.route->name : TP_STR("-");
}
#define ASK(...) ask((struct ask){ __VA_ARGS__ })

static void route(struct route_words words)
{
    plan_maker_route(maker, words);
}
#define ROUTE(...) route((struct route_words){ __VA_ARGS__ })

TEST(longest_prefix_wins_and_prefixes_are_bytes)
{
    begin();
    ROUTE("a", "/a");
    ROUTE("ab", "/a/b");
    compile(TP_ROUTER_TRADITIONAL_COMPATIBLE);
    CHECK_STR(ASK("/a/b/c"), "ab");
    CHECK_STR(ASK("/a/bc"), "ab");
    CHECK_STR(ASK("/abc"), "a");
    CHECK_STR(ASK("/a"), "a");
    CHECK_STR(ASK("/b"), "-");
    ASK("/a/b/c");
    CHECK_STR(match.matched_path, "/a/b");
    end();
}

TEST(hosts_are_exact_by_case_with_any_port_or_their_own)
{
    begin();
    ROUTE("plain", .hosts = "a.test");
    ROUTE("port", .hosts = "p.test:8080");
    ROUTE("left", .hosts = "*.w.test");
    ROUTE("right", .hosts = "right.*");
    ROUTE("exact-sub", .hosts = "x.w.test");
    ROUTE("listen", .hosts = "l.test:8000");
    ROUTE("wild-port", .hosts = "*.q.test:81");
    compile(TP_ROUTER_TRADITIONAL_COMPATIBLE);
    CHECK_STR(ASK(.host = "a.test"), "plain");
    CHECK_STR(ASK(.host = "a.test:99"), "plain");
    CHECK_STR(ASK(.host = "A.test"), "-");
    CHECK_STR(ASK(.host = "a.test."), "-");
    CHECK_STR(ASK(.host = "p.test:8080"), "port");
    CHECK_STR(ASK(.host = "p.test"), "-");
    CHECK_STR(ASK(.host = "l.test"), "listen"); /* the listening port */
    CHECK_STR(ASK(.host = "b.w.test"), "left");
    CHECK_STR(ASK(.host = "a.b.w.test"), "left");
    CHECK_STR(ASK(.host = ".w.test"), "left");
    CHECK_STR(ASK(.host = "w.test"), "-");
    CHECK_STR(ASK(.host = "x.w.test"), "exact-sub");
    CHECK_STR(ASK(.host = "right.co.uk"), "right");
    CHECK_STR(ASK(.host = "right"), "-");
    CHECK_STR(ASK(.host = "z.q.test:81"), "wild-port");
    CHECK_STR(ASK(.host = "z.q.test:82"), "-");
    end();
}

TEST(traditional_hosts_compare_text_and_wildcards_need_a_letter)
{
    begin();
    ROUTE("port", .hosts = "h.test:80");
    ROUTE("left", .hosts = "*.w.test");
    ROUTE("wild-port", .hosts = "*.q.test:80");
    compile(TP_ROUTER_TRADITIONAL);
    CHECK_STR(ASK(.host = "h.test"), "-");
    CHECK_STR(ASK(.host = "h.test:80"), "port");
    CHECK_STR(ASK(.host = ".w.test"), "-");
    CHECK_STR(ASK(.host = "a.w.test"), "left");
    CHECK_STR(ASK(.host = "a.q.test"), "wild-port"); /* http counts as 80 */
    CHECK_STR(ASK(.host = "a.q.test", .tls = true), "-");
    end();
}

TEST(methods_and_headers_must_all_match)
{
    begin();
    ROUTE("get", "/m", .methods = "GET");
    ROUTE("v1", "/h", .headers = "x-version=1|one");
    ROUTE("v2", "/h", .headers = "X-Version=2 x-kind=a");
    ROUTE("re", "/h", .headers = "x-re=~*^AB+$");
    ROUTE("any", "/h");
    compile(TP_ROUTER_TRADITIONAL_COMPATIBLE);
    CHECK_STR(ASK("/m"), "get");
    CHECK_STR(ASK("/m", .method = "HEAD"), "-");
    CHECK_STR(ASK("/m", .method = "get"), "-");
    CHECK_STR(ASK("/h", .headers = "X-VERSION=ONE"), "v1");
    CHECK_STR(ASK("/h", .headers = "x_version=1"), "v1");
    CHECK_STR(ASK("/h", .headers = "x-version=3 x-version=1"), "v1");
    CHECK_STR(ASK("/h", .headers = "x-version=2"), "any");
    CHECK_STR(ASK("/h", .headers = "x-version=2 x-kind=A"), "v2");
    CHECK_STR(ASK("/h", .headers = "x-re=ABBB"), "re");
    CHECK_STR(ASK("/h", .headers = "x-re=xab"), "any");
    CHECK_STR(ASK("/h", .headers = "x-version=3,1"), "any");
    end();
}

TEST(traditional_headers_look_into_lists_and_take_a_regex_only_alone)
{
    begin();
    ROUTE("v1", "/h", .headers = "x-version=1|one");
    ROUTE("two", "/h", .headers = "x-re=~*a|~*b");
    ROUTE("any", "/h");
    compile(TP_ROUTER_TRADITIONAL);
    CHECK_STR(ASK("/h", .headers = "x-version=3,1"), "v1");
    CHECK_STR(ASK("/h", .headers = "x-re=a"), "any");
    CHECK_STR(ASK("/h", .headers = "x-re=~*a"), "two");
    end();
}

TEST(snis_count_only_on_tls)
{
    begin();
    ROUTE("sni", "/s", .snis = "a.test. *.b.test", .protocols = "https");
    ROUTE("plain", "/s");
    compile(TP_ROUTER_TRADITIONAL_COMPATIBLE);
    CHECK_STR(ASK("/s", .tls = true, .sni = "a.test"), "sni");
    CHECK_STR(ASK("/s", .tls = true, .sni = "x.b.test"), "sni");
    CHECK_STR(ASK("/s", .tls = true, .sni = "c.test"), "plain");
    CHECK_STR(ASK("/s"), "sni");
    end();
}

TEST(traditional_plain_http_does_not_see_sni_routes_behind_a_smaller_category)
{
    begin();
    ROUTE("sni", "/s", .snis = "a.test", .protocols = "https");
    ROUTE("plain", "/p");
    compile(TP_ROUTER_TRADITIONAL);
    CHECK_STR(ASK("/s"), "-");
    CHECK_STR(ASK("/s", .tls = true, .sni = "a.test"), "sni");
    end();
}

/* routing.md §5.3: pairs where both match, and the one that really wins in the default flavour. */
TEST(the_default_flavour_orders_as_kong_really_does)
{
    static const struct {
        struct route_words winner, loser;
    } pairs[] = {
        { { "w", .hosts = "h.test" }, { "l", "/x", .methods = "GET" } },
        { { "w", .hosts = "h.test" }, { "l", "/x", .methods = "GET", .headers = "x-a=1" } },
        { { "w", "~/x" }, { "l", "/x/long", .methods = "GET" } },
        { { "w", .hosts = "h.test" }, { "l", "/x", .hosts = "*.test", .methods = "GET" } },
        { { "w", "/x", .methods = "GET" }, { "l", "/x" } },
        { { "w", "/x/long" }, { "l", "/x" } },
        { { "w", "/x", .hosts = "h.test" }, { "l", .hosts = "h.test" } },
        { { "w", "~/x", .hosts = "h.test" }, { "l", "/x/long", .hosts = "h.test" } },
        { { "w", "~/x.*", .regex_priority = 5 }, { "l", "~/x/.*", .regex_priority = 1 } },
        { { "w", "~/x", .regex_priority = 4096 }, { "l", "~/x/", .regex_priority = 4095 } },
        { { "w", "/x", .id = "ffffffff-0000-4000-8000-000000000000", .created_at = 9 },
          { "l", "/x", .id = "00000000-0000-4000-8000-000000000000", .created_at = 1 } },
        { { "w", "/x", .headers = "x-a=1 x-b=2" }, { "l", "/x/long", .headers = "x-a=1" } },
        { { "w", "/x", .hosts = "*.test", .methods = "GET", .headers = "x-a=1" }, { "l", .hosts = "h.test" } },
    };

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        for (int order = 0; order < 2; order++) {
            begin();
            route(order ? pairs[i].winner : pairs[i].loser);
            route(order ? pairs[i].loser : pairs[i].winner);
            compile(TP_ROUTER_TRADITIONAL_COMPATIBLE);
            if (!tp_str_eq(ASK("/x/long", "h.test", .headers = "x-a=1 x-b=2"), TP_STR("w")))
                test_fail(__FILE__, __LINE__, "pair %zu, order %d", i, order);
            end();
        }
    }
}

TEST(the_traditional_flavour_orders_as_documented)
{
    static const struct {
        struct route_words winner, loser;
    } pairs[] = {
        { { "w", "/x", .methods = "GET" }, { "l", .hosts = "h.test" } },
        { { "w", "/x", .hosts = "*.test", .methods = "GET" }, { "l", "/x", .hosts = "h.test" } },
        { { "w", .hosts = "h.test" }, { "l", "/x" } },
        { { "w", "~/x", .hosts = "h.test" }, { "l", "/x/long", .hosts = "h.test" } },
        { { "w", "/x", .hosts = "h.test" }, { "l", "~/x", .hosts = "*.test" } },
        { { "w", "~/x", .regex_priority = 5 }, { "l", "~/x/", .regex_priority = 1 } },
        { { "w", "/x/long" }, { "l", "/x" } },
        { { "w", "/x", .created_at = 1, .id = "00000000-0000-4000-8000-000000000000" },
          { "l", "/x", .created_at = 9, .id = "ffffffff-0000-4000-8000-000000000000" } },
        { { "w", "/x", .headers = "x-a=1 x-b=2" }, { "l", "/x/long", .headers = "x-a=1" } },
    };

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        for (int order = 0; order < 2; order++) {
            begin();
            route(order ? pairs[i].winner : pairs[i].loser);
            route(order ? pairs[i].loser : pairs[i].winner);
            compile(TP_ROUTER_TRADITIONAL);
            if (!tp_str_eq(ASK("/x/long", "h.test", .headers = "x-a=1 x-b=2"), TP_STR("w")))
                test_fail(__FILE__, __LINE__, "pair %zu, order %d", i, order);
            end();
        }
    }
}

TEST(paths_of_one_route_rank_separately)
{
    begin();
    ROUTE("split", "~/a/\\d+ /b");
    ROUTE("middle", "/b/long /a");
    compile(TP_ROUTER_TRADITIONAL_COMPATIBLE);
    CHECK_STR(ASK("/a/1"), "split");
    CHECK_STR(ASK("/b/long"), "middle");
    CHECK_STR(ASK("/b/x"), "split");
    CHECK_STR(ASK("/a/x"), "middle");
    end();
}

TEST(a_regex_is_anchored_at_the_start_and_gives_captures)
{
    struct tp_str want[] = { TP_STR("/u/bob/a/b"), TP_STR("bob"), TP_STR("a/b") };

    begin();
    ROUTE("named", "~/u/(?<user>[^/]+)/(?<rest>.*)");
    ROUTE("none", "~/an");
    ROUTE("optional", "~/o/(a)?(b)");
    compile(TP_ROUTER_TRADITIONAL_COMPATIBLE);
    CHECK_STR(ASK("/u/bob/a/b"), "named");
    CHECK_INT(match.capture_count, 3);
    for (size_t i = 0; i < match.capture_count && i < 3; i++)
        CHECK_STR(match.captures[i], want[i]);
    CHECK_STR(match.names[1], "user");
    CHECK_STR(match.names[2], "rest");
    CHECK_STR(match.matched_path, "/u/bob/a/b");
    CHECK_STR(ASK("/anx/y"), "none");
    CHECK_STR(match.matched_path, "/an");
    CHECK_INT(match.capture_count, 0);
    CHECK_STR(ASK("/x/an"), "-");
    CHECK_STR(ASK("/o/b"), "optional");
    CHECK_INT(match.capture_count, 3);
    CHECK(!match.captures[1].data);
    CHECK_STR(match.captures[2], "b");
    end();
}

TEST(regexes_whose_first_letters_are_not_certain_are_still_found)
{
    begin();
    ROUTE("choice", "~/aa|/bb");
    ROUTE("maybe", "~/cc?d");
    ROUTE("case", "~/(?i)case");
    ROUTE("class", "~/[|)]x");
    ROUTE("escaped", "~/e\\.f");
    ROUTE("many", "~/gg*h");
    ROUTE("utf8", "~/\xc3\xa9?z");
    compile(TP_ROUTER_TRADITIONAL_COMPATIBLE);
    CHECK_STR(ASK("/bb"), "choice");
    CHECK_STR(ASK("/cd"), "maybe");
    CHECK_STR(ASK("/CASE"), "case");
    CHECK_STR(ASK("/|x"), "class");
    CHECK_STR(ASK("/e.f"), "escaped");
    CHECK_STR(ASK("/exf"), "-");
    CHECK_STR(ASK("/gh"), "many");
    CHECK_STR(ASK("/z"), "utf8");
    end();
}

TEST(a_catastrophic_regex_is_no_match_and_told)
{
    char path[64];

    begin();
    ROUTE("evil", "~/(a+)+$");
    ROUTE("rest", "/");
    compile(TP_ROUTER_TRADITIONAL_COMPATIBLE);
    snprintf(path, sizeof(path), "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!");
    CHECK_STR(ASK(path), "rest");
    CHECK(match.exhausted != NULL);
    CHECK_STR(ASK("/aaa"), "evil");
    CHECK(match.exhausted == NULL);
    end();
}

TEST(an_invalid_regex_is_left_out_and_named)
{
    begin();
    ROUTE("bad", "~/(");
    ROUTE("good", "/ok");
    compile(TP_ROUTER_TRADITIONAL_COMPATIBLE);
    CHECK_INT(tp_diag_count(diag), 1);
    CHECK_STR(ASK("/ok"), "good");
    CHECK_STR(ASK("/("), "-");
    end();
}

TEST(a_path_that_is_not_utf8_matches_only_in_the_traditional_flavour)
{
    begin();
    ROUTE("all", "/");
    compile(TP_ROUTER_TRADITIONAL_COMPATIBLE);
    CHECK_STR(ASK("/\xe9"), "-");
    CHECK_STR(ASK("/\xc3\xa9"), "all");
    tp_router_free(router);
    compile(TP_ROUTER_TRADITIONAL);
    CHECK_STR(ASK("/\xe9"), "all");
    end();
}

TEST(stream_routes_and_routes_that_ask_for_nothing_never_match)
{
    begin();
    ROUTE("tcp", "/", .protocols = "tcp");
    ROUTE("empty");
    compile(TP_ROUTER_TRADITIONAL_COMPATIBLE);
    CHECK_STR(ASK("/"), "-");
    end();
}

TEST(a_bare_star_is_any_host)
{
    begin();
    ROUTE("star", .hosts = "*");
    compile(TP_ROUTER_TRADITIONAL_COMPATIBLE);
    CHECK_STR(ASK(.host = "x.test"), "star");
    end();
}

/* Four thousand routes of all kinds; a search asks a handful of entries, not all. */
TEST(matching_stays_cheap_with_thousands_of_routes)
{
    char paths[64], hosts[64], name[32];
    struct timespec from, to;
    int64_t ns;

    begin();
    for (int i = 0; i < 4000; i++) {
        snprintf(name, sizeof(name), "r%d", i);
        snprintf(paths, sizeof(paths), i % 4 == 0 ? "~/re%d/(?<id>\\d+)" : "/path%d/x", i);
        snprintf(hosts, sizeof(hosts), i % 4 == 2 ? "*.host%d.test" : "host%d.test", i);
        ROUTE(name, paths, .hosts = i % 2 ? NULL : hosts);
    }
    compile(TP_ROUTER_TRADITIONAL_COMPATIBLE);
    CHECK_STR(ASK("/path3999/x/y"), "r3999");
    CHECK_STR(ASK("/path3998/x/y", "a.b.host3998.test"), "r3998");
    CHECK_STR(ASK("/re3996/12", "host3996.test"), "r3996");
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < 2000; i++)
        ASK("/path3999/x/y", "a.b.host3998.test");
    clock_gettime(CLOCK_MONOTONIC, &to);
    ns = (to.tv_sec - from.tv_sec) * 1000000000LL + to.tv_nsec - from.tv_nsec;
    CHECK(ns / 2000 < 100000); /* a scan over all with sanitizers takes far longer */
    end();
}

TEST(a_pattern_that_asks_for_characters_gets_no_broken_ones)
{
    begin();
    ROUTE(.name = "utf", .paths = "~(*UTF)/u/.+");
    compile(TP_ROUTER_TRADITIONAL);
    CHECK_STR(ASK("/u/ab"), "utf");
    CHECK_STR(ASK("/u/%f0"), "-");
    end();
}
