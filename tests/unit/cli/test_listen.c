/* Kong's listener syntax. */
#include "base/buf.h"
#include "base/mem.h"
#include "cli/listen.h"
#include "support/test.h"

static struct tp_listen_set set;

static bool parse(const char *text)
{
    return tp_listen_parse(&set, "proxy_listen", text, NULL);
}

TEST(kongs_default_is_understood)
{
    CHECK(parse("0.0.0.0:8000 reuseport backlog=16384, 0.0.0.0:8443 http2 ssl reuseport backlog=16384"));
    CHECK_INT(set.count, 2);
    CHECK_STR((const char *)set.entries[0].address, "0.0.0.0:8000");
    CHECK_INT(set.entries[0].backlog, 16384);
    CHECK(!set.entries[0].ssl);
    CHECK(set.entries[1].ssl && set.entries[1].http2);
    CHECK_INT(set.entries[1].port, 8443);
}

TEST(off_means_none)
{
    CHECK(parse("off"));
    CHECK_INT(set.count, 0);
}

TEST(ipv6_stands_in_brackets)
{
    CHECK(parse("[::]:8000 ipv6only=off so_keepalive=30m::10, [::1]:1"));
    CHECK_STR((const char *)set.entries[0].address, "[::]:8000");
    CHECK_INT(set.entries[0].ipv6only, 0);
    CHECK_STR((const char *)set.entries[0].keepalive, "30m::10");
    CHECK_INT(set.entries[0].sockaddr.ss_family, AF_INET6);
}

TEST(malformed_entries_are_refused)
{
    static const char *const bad[] = {
        "",
        "8000",
        "localhost:8000",
        "0.0.0.0",
        "0.0.0.0:",
        "0.0.0.0:65536",
        "0.0.0.0:-1",
        "0.0.0.0:80 foo",
        "::1:80",
        "[::1:80",
        "[]:80",
        "0.0.0.0:80 backlog=0",
        "0.0.0.0:80 backlog=x",
        "0.0.0.0:80 so_keepalive=1;",
        "off, 0.0.0.0:80",
        "0.0.0.0:80,",
        "256.0.0.1:80",
        "0.0.0.0:80 ssl;",
        NULL,
    };

    for (size_t i = 0; bad[i]; i++)
        if (parse(bad[i]))
            test_fail(__FILE__, __LINE__, "'%s' was accepted", bad[i]);
}

TEST(too_many_entries_are_refused)
{
    struct tp_buf text;

    tp_buf_init(&text, 0);
    for (int i = 0; i <= TP_LISTEN_MAX; i++)
        tp_buf_addf(&text, "%s0.0.0.0:1", i ? "," : "");
    CHECK(!parse(text.data));
    tp_buf_fini(&text);
}
