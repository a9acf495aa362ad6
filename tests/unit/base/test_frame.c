/* The link's frames: both ways, in pieces, and from a broken peer. */
#include "base/frame.h"
#include "support/test.h"

static struct tp_buf encoded(const struct tp_frame *frame)
{
    struct tp_buf buf;

    tp_buf_init(&buf, 0);
    tp_frame_encode(&buf, frame);
    CHECK(!buf.failed);
    return buf;
}

static struct tp_frame there_and_back(struct tp_frame frame)
{
    struct tp_buf buf = encoded(&frame);
    struct tp_frame out = { 0 };
    size_t used = 0;

    CHECK_INT(tp_frame_decode(tp_buf_str(&buf), &out, &used), TP_OK);
    CHECK_INT(used, buf.len);
    for (size_t i = 0; i < buf.len; i++) /* not before its last byte */
        CHECK_INT(tp_frame_decode(tp_str_make(buf.data, i), &out, &used), TP_ERR_AGAIN);
    CHECK_INT(tp_frame_decode(tp_buf_str(&buf), &out, &used), TP_OK);
    out.text = TP_STR_NULL; /* lay in buf */
    tp_buf_fini(&buf);
    return out;
}

TEST(every_type_survives_the_way)
{
    struct tp_frame f;

    f = there_and_back((struct tp_frame){ .type = TP_FRAME_HELLO, .pid = 4711, .position = UINT64_MAX });
    CHECK(f.type == TP_FRAME_HELLO && f.pid == 4711 && f.position == UINT64_MAX);
    f = there_and_back((struct tp_frame){ .type = TP_FRAME_STATE, .epoch = 3, .position = 1ull << 40, .plan = 7 });
    CHECK(f.type == TP_FRAME_STATE && f.epoch == 3 && f.position == 1ull << 40 && f.plan == 7);
    f = there_and_back((struct tp_frame){ .type = TP_FRAME_ACK, .position = 9 });
    CHECK(f.type == TP_FRAME_ACK && f.position == 9);
    f = there_and_back((struct tp_frame){ .type = TP_FRAME_BYE });
    CHECK(f.type == TP_FRAME_BYE);
    f = there_and_back((struct tp_frame){ .type = TP_FRAME_CALL, .id = 1, .deadline_ms = 50, .text = TP_STR("ask") });
    CHECK(f.type == TP_FRAME_CALL && f.id == 1 && f.deadline_ms == 50);
    f = there_and_back((struct tp_frame){ .type = TP_FRAME_REPLY, .id = 2, .error = 4 });
    CHECK(f.type == TP_FRAME_REPLY && f.id == 2 && f.error == 4);
}

TEST(text_is_borrowed_whole)
{
    struct tp_frame frame = { .type = TP_FRAME_CALL, .text = tp_str_make("a\0b", 3) }, out;
    struct tp_buf buf = encoded(&frame);
    size_t used;

    CHECK_INT(tp_frame_decode(tp_buf_str(&buf), &out, &used), TP_OK);
    CHECK_STR(out.text, tp_str_make("a\0b", 3));
    tp_buf_fini(&buf);
}

TEST(frames_come_one_after_another)
{
    struct tp_frame ack = { .type = TP_FRAME_ACK, .position = 1 }, bye = { .type = TP_FRAME_BYE }, out;
    struct tp_buf buf = encoded(&ack);
    size_t used;

    tp_frame_encode(&buf, &bye);
    CHECK_INT(tp_frame_decode(tp_buf_str(&buf), &out, &used), TP_OK);
    CHECK(out.type == TP_FRAME_ACK);
    CHECK_INT(tp_frame_decode(tp_str_from(tp_buf_str(&buf), used), &out, &used), TP_OK);
    CHECK(out.type == TP_FRAME_BYE);
    tp_buf_fini(&buf);
}

static enum tp_err decode(const char *bytes, size_t len)
{
    struct tp_frame out;
    size_t used;

    return tp_frame_decode(tp_str_make(bytes, len), &out, &used);
}

TEST(a_broken_peer_is_found_out_at_once)
{
    CHECK_INT(decode("\0\0\0\0", 4), TP_ERR_DAMAGED);     /* nothing behind the length */
    CHECK_INT(decode("\x01\0\x10\0", 4), TP_ERR_DAMAGED); /* over the limit */
    CHECK_INT(decode("\xff\xff\xff\xff", 4), TP_ERR_DAMAGED);
    CHECK_INT(decode("\x01\0\0\0\x00", 5), TP_ERR_DAMAGED); /* no such type */
    CHECK_INT(decode("\x01\0\0\0\x63", 5), TP_ERR_DAMAGED);
    CHECK_INT(decode("\x01\0\0\0\x03", 5), TP_ERR_DAMAGED);   /* an acknowledgement of nothing */
    CHECK_INT(decode("\x0a\0\0\0\x03", 5), TP_ERR_DAMAGED);   /* … and one byte too long */
    CHECK_INT(decode("\x00\0\x10\0\x03", 5), TP_ERR_DAMAGED); /* a megabyte that no one shall wait for */
    CHECK_INT(decode("\x08\0\0\0\x05", 5), TP_ERR_DAMAGED);   /* a call without its head */
    CHECK_INT(decode("", 0), TP_ERR_AGAIN);
}

TEST(a_text_over_the_limit_fails_the_buffer)
{
    static char text[TP_FRAME_MAX];
    struct tp_frame frame = { .type = TP_FRAME_CALL, .text = { text, TP_FRAME_MAX - 9 } };
    struct tp_buf buf;

    tp_buf_init(&buf, 0);
    tp_frame_encode(&buf, &frame);
    CHECK(!buf.failed);
    CHECK_INT(buf.len, TP_FRAME_MAX + 4);
    frame.text.len++;
    tp_frame_encode(&buf, &frame);
    CHECK(buf.failed);
    tp_buf_fini(&buf);
}
