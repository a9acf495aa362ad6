#include "edge/first_bytes.h"
#include "support/test.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define V2_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

#define FIRST(literal, proxy) tp_edge_first_bytes(tp_str_make(literal, sizeof(literal) - 1), proxy)

TEST(requests_are_told_from_the_preface)
{
    CHECK_INT(FIRST("GET / HTTP/1.1\r\n", false), TP_EDGE_FIRST_HTTP1);
    CHECK_INT(FIRST("PRI / HTTP/1.1\r\n", false), TP_EDGE_FIRST_HTTP1);
    CHECK_INT(FIRST("\x16\x03\x01", false), TP_EDGE_FIRST_HTTP1);
    CHECK_INT(FIRST(PREFACE, false), TP_EDGE_FIRST_HTTP2);
    CHECK_INT(FIRST(PREFACE "\0\0\0\4", false), TP_EDGE_FIRST_HTTP2);
}

TEST(a_preface_may_trickle)
{
    struct tp_str preface = TP_STR(PREFACE);

    for (size_t n = 0; n < preface.len; n++)
        CHECK_INT(tp_edge_first_bytes(tp_str_head(preface, n), false), TP_EDGE_FIRST_MORE);
    CHECK_INT(FIRST("P", false), TP_EDGE_FIRST_MORE);
    CHECK_INT(FIRST("PO", false), TP_EDGE_FIRST_HTTP1);
}

TEST(a_proxy_header_stands_before)
{
    CHECK_INT(FIRST("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET /", true), TP_EDGE_FIRST_HTTP1);
    CHECK_INT(FIRST("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" PREFACE, true), TP_EDGE_FIRST_HTTP2);
    CHECK_INT(FIRST("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", true), TP_EDGE_FIRST_MORE);
    CHECK_INT(FIRST("PROXY TCP4 1.2.3.4", true), TP_EDGE_FIRST_MORE);
    CHECK_INT(FIRST(V2_SIGNATURE "\x21\x11\0\1XGET", true), TP_EDGE_FIRST_HTTP1);
    CHECK_INT(FIRST(V2_SIGNATURE "\x21\x11\0\1X" PREFACE, true), TP_EDGE_FIRST_HTTP2);
    CHECK_INT(FIRST(V2_SIGNATURE "\x21\x11\0\2X", true), TP_EDGE_FIRST_MORE);
    CHECK_INT(FIRST(V2_SIGNATURE "\x21", true), TP_EDGE_FIRST_MORE);
    CHECK_INT(FIRST("\r\n\r", true), TP_EDGE_FIRST_MORE);
}

TEST(what_is_no_proxy_header_is_told)
{
    char endless[200];

    CHECK_INT(FIRST("GET /?apikey=K HTTP/1.1\r\n\r\n", true), TP_EDGE_FIRST_NO_PROXY);
    CHECK_INT(FIRST(PREFACE, true), TP_EDGE_FIRST_NO_PROXY);
    CHECK_INT(FIRST("PROXZ", true), TP_EDGE_FIRST_NO_PROXY);
    CHECK_INT(FIRST(V2_SIGNATURE "\x21\x11\xff\xff", true), TP_EDGE_FIRST_NO_PROXY);
    memset(endless, 'x', sizeof(endless));
    memcpy(endless, "PROXY ", 6);
    CHECK_INT(tp_edge_first_bytes(tp_str_make(endless, sizeof(endless)), true), TP_EDGE_FIRST_NO_PROXY);
    CHECK_INT(tp_edge_first_bytes(tp_str_make(endless, 100), true), TP_EDGE_FIRST_MORE);
}
