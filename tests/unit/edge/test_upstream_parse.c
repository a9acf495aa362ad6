/* The head of an upstream's answer: what is taken, what is refused, and that trickling changes nothing. */
#include "edge/upstream_parse.h"

#include "base/buf.h"
#include "support/test.h"

enum { MAX_HEADERS = 16 };

struct outcome {
    enum tp_err err;
    struct tp_edge_head head;
    struct tp_header headers[MAX_HEADERS];
    size_t count;
};

static struct outcome parse(struct tp_str text)
{
    struct outcome o = { 0 };
    size_t size;

    tp_edge_head_reset(&o.head);
    o.err = tp_edge_head_scan(&o.head, text, &size);
    if (!o.err)
        o.err = tp_edge_head_parse(&o.head, tp_str_head(text, size), o.headers, MAX_HEADERS, &o.count);
    return o;
}

#define PARSE(literal) parse(TP_STR(literal))

TEST(reads_status_and_headers)
{
    struct outcome o = PARSE("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length:  5 \r\n\r\nhello");

    CHECK_INT(o.err, TP_OK);
    CHECK_INT(o.head.status, 200);
    CHECK_INT(o.head.version, 11);
    CHECK_STR(o.head.status_text, "200 OK");
    CHECK_INT(o.head.content_length, 5);
    CHECK(!o.head.close);
    CHECK_INT(o.count, 2);
    CHECK_STR(o.headers[0].name, "Server");
    CHECK_STR(o.headers[1].value, "5");
}

TEST(head_may_come_byte_by_byte)
{
    struct tp_str text = TP_STR("HTTP/1.1 404 Not Found\nA: b\nC:d\n\nbody");
    struct tp_edge_head head;
    size_t size = 0;

    tp_edge_head_reset(&head);
    for (size_t n = 0; n < text.len; n++) {
        enum tp_err err = tp_edge_head_scan(&head, tp_str_head(text, n), &size);

        if (!err)
            break;
        CHECK_INT(err, TP_ERR_AGAIN);
    }
    CHECK_INT(size, text.len - 4);
    CHECK_INT(head.lines, 3);
}

TEST(reason_may_be_missing)
{
    CHECK_INT(PARSE("HTTP/1.1 204\r\n\r\n").head.status, 204);
    CHECK_INT(PARSE("HTTP/1.1 204 \r\n\r\n").err, TP_OK);
}

TEST(version_1_0_closes_unless_asked_to_stay)
{
    CHECK(PARSE("HTTP/1.0 200 OK\r\n\r\n").head.close);
    CHECK(!PARSE("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n").head.close);
    CHECK(PARSE("HTTP/1.1 200 OK\r\nConnection: Close\r\n\r\n").head.close);
}

TEST(garbage_is_refused)
{
    CHECK_INT(PARSE("nonsense\r\n\r\n").err, TP_ERR_INVALID);
    CHECK_INT(PARSE("HTTP/2 200 OK\r\n\r\n").err, TP_ERR_INVALID);
    CHECK_INT(PARSE("HTTP/1.1 20 OK\r\n\r\n").err, TP_ERR_INVALID);
    CHECK_INT(PARSE("HTTP/1.1 2000 OK\r\n\r\n").err, TP_ERR_INVALID);
    CHECK_INT(PARSE("HTTP/1.1 099 OK\r\n\r\n").err, TP_ERR_INVALID);
    CHECK_INT(PARSE("\r\n\r\n").err, TP_ERR_INVALID);
}

TEST(malformed_headers_are_refused)
{
    CHECK_INT(PARSE("HTTP/1.1 200 OK\r\nno colon\r\n\r\n").err, TP_ERR_INVALID);
    CHECK_INT(PARSE("HTTP/1.1 200 OK\r\n: empty\r\n\r\n").err, TP_ERR_INVALID);
    CHECK_INT(PARSE("HTTP/1.1 200 OK\r\nA : b\r\n\r\n").err, TP_ERR_INVALID);
    CHECK_INT(PARSE("HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n").err, TP_ERR_INVALID);
    CHECK_INT(PARSE("HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n").err, TP_ERR_INVALID);
    CHECK_INT(PARSE("HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n").err, TP_ERR_INVALID);
}

TEST(ambiguous_lengths_are_refused)
{
    CHECK_INT(PARSE("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n").err, TP_ERR_INVALID);
    CHECK_INT(PARSE("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n").err, TP_ERR_INVALID);
    CHECK_INT(PARSE("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n").err, TP_ERR_INVALID);
    CHECK_INT(PARSE("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n").err, TP_ERR_INVALID);
    CHECK_INT(PARSE("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n").err, TP_ERR_INVALID);
    CHECK_INT(PARSE("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n").err, TP_ERR_INVALID);
    CHECK_INT(PARSE("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n").err, TP_ERR_INVALID);
    CHECK_INT(PARSE("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").err, TP_ERR_INVALID);
}

TEST(hop_by_hop_headers_stay_here)
{
    struct outcome o = PARSE("HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: 5\r\nX-Hop: 1\r\n"
                             "X-Accel-Redirect: /secret\r\nX-Pad: x\r\nTransfer-Encoding: chunked\r\nUpgrade: h2c\r\n"
                             "Stay: 1\r\n\r\n");

    CHECK_INT(o.err, TP_OK);
    CHECK(o.head.chunked);
    CHECK_INT(o.count, 1);
    CHECK_STR(o.headers[0].name, "Stay");
}

TEST(connection_cannot_name_the_length_away)
{
    struct outcome o = PARSE("HTTP/1.1 200 OK\r\nConnection: Content-Length\r\nContent-Length: 3\r\n\r\n");

    CHECK_INT(o.count, 1);
    CHECK_INT(o.head.content_length, 3);
}

TEST(upgrade_is_kept_when_switching)
{
    struct outcome o = PARSE("HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n");

    CHECK_INT(o.err, TP_OK);
    CHECK(o.head.upgrade_websocket);
    CHECK_INT(o.count, 1);
}

TEST(too_many_connection_tokens_are_refused)
{
    struct tp_buf text;

    tp_buf_init(&text, 0);
    tp_buf_add_cstr(&text, "HTTP/1.1 200 OK\r\nConnection: ");
    for (int i = 0; i < 40; i++)
        tp_buf_add_cstr(&text, "a,");
    tp_buf_add_cstr(&text, "\r\n\r\n");
    CHECK_INT(parse(tp_buf_str(&text)).err, TP_ERR_INVALID);
    tp_buf_fini(&text);
}
