/*
 * The link's frames from any bytes: what is taken lies inside the input, and encodes to the same bytes again; a
 * frame that is not whole asks for more, until its last byte.
 */
#include "base/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_frame(struct tp_str bytes, const struct tp_frame *frame)
{
    struct tp_buf again;
    struct tp_frame cut;
    size_t used;

    TP_ASSERT(frame->text.len == 0 ||
              (frame->text.data >= bytes.data && frame->text.data + frame->text.len == bytes.data + bytes.len));
    tp_buf_init(&again, 0);
    tp_frame_encode(&again, frame);
    TP_ASSERT(tp_str_eq(tp_buf_str(&again), bytes));
    tp_buf_fini(&again);
    TP_ASSERT(tp_frame_decode(tp_str_head(bytes, bytes.len - 1), &cut, &used) == TP_ERR_AGAIN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tp_str rest = tp_str_make((const char *)data, size);
    struct tp_frame frame;
    size_t used;

    while (tp_frame_decode(rest, &frame, &used) == TP_OK) {
        TP_ASSERT(used > 0 && used <= rest.len);
        check_frame(tp_str_head(rest, used), &frame);
        rest = tp_str_from(rest, used);
    }
    return 0;
}
