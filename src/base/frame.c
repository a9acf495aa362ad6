/*
 * The link's wire format: frame.h has the table. Payloads are fixed by type, so a frame with a byte too many
 * or too few is a broken peer, not a newer one: both ends are the same version of one product.
 */
#include "base/frame.h"

#define LENGTH_BYTES 4

static void put_u32(struct tp_buf *out, uint32_t v)
{
    char bytes[4];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(v >> (8 * i));
    tp_buf_add(out, tp_str_make(bytes, sizeof(bytes)));
}

static void put_u64(struct tp_buf *out, uint64_t v)
{
    put_u32(out, (uint32_t)v);
    put_u32(out, (uint32_t)(v >> 32));
}

static uint32_t get_u32(const char *p)
{
    const uint8_t *b = (const uint8_t *)p;

    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static uint64_t get_u64(const char *p)
{
    return get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

/* Bytes of the fixed part of a payload; SIZE_MAX: no such type. */
static size_t fixed_size(uint8_t type)
{
    switch (type) {
    case TP_FRAME_HELLO: return 4 + 8;
    case TP_FRAME_STATE: return 8 + 8 + 8;
    case TP_FRAME_ACK: return 8;
    case TP_FRAME_BYE: return 0;
    case TP_FRAME_CALL:
    case TP_FRAME_REPLY: return 4 + 4;
    default: return SIZE_MAX;
    }
}

static bool has_text(uint8_t type)
{
    return type == TP_FRAME_CALL || type == TP_FRAME_REPLY;
}

void tp_frame_encode(struct tp_buf *out, const struct tp_frame *frame)
{
    uint8_t type = (uint8_t)frame->type;
    size_t fixed = fixed_size(type);
    size_t text = has_text(type) ? frame->text.len : 0;

    TP_ASSERT(fixed != SIZE_MAX);
    if (text > TP_FRAME_MAX - 1 - fixed) {
        out->failed = true; /* the peer would close on it */
        return;
    }
    put_u32(out, (uint32_t)(1 + fixed + text));
    tp_buf_add_char(out, (char)type);
    switch (frame->type) {
    case TP_FRAME_HELLO:
        put_u32(out, frame->pid);
        put_u64(out, frame->position);
        break;
    case TP_FRAME_STATE:
        put_u64(out, frame->epoch);
        put_u64(out, frame->position);
        put_u64(out, frame->plan);
        break;
    case TP_FRAME_ACK: put_u64(out, frame->position); break;
    case TP_FRAME_BYE: break;
    case TP_FRAME_CALL:
    case TP_FRAME_REPLY:
        put_u32(out, frame->id);
        put_u32(out, frame->type == TP_FRAME_CALL ? frame->deadline_ms : frame->error);
        tp_buf_add(out, frame->text);
        break;
    }
}

static void decode_payload(struct tp_str payload, struct tp_frame *frame)
{
    const char *p = payload.data;

    switch (frame->type) {
    case TP_FRAME_HELLO:
        frame->pid = get_u32(p);
        frame->position = get_u64(p + 4);
        break;
    case TP_FRAME_STATE:
        frame->epoch = get_u64(p);
        frame->position = get_u64(p + 8);
        frame->plan = get_u64(p + 16);
        break;
    case TP_FRAME_ACK: frame->position = get_u64(p); break;
    case TP_FRAME_BYE: break;
    case TP_FRAME_CALL:
    case TP_FRAME_REPLY:
        frame->id = get_u32(p);
        if (frame->type == TP_FRAME_CALL)
            frame->deadline_ms = get_u32(p + 4);
        else
            frame->error = get_u32(p + 4);
        frame->text = tp_str_from(payload, 8);
        break;
    }
}

enum tp_err tp_frame_decode(struct tp_str in, struct tp_frame *frame, size_t *used)
{
    uint32_t length;
    uint8_t type;
    size_t fixed, payload;

    if (in.len < LENGTH_BYTES)
        return TP_ERR_AGAIN;
    length = get_u32(in.data);
    if (length == 0 || length > TP_FRAME_MAX)
        return TP_ERR_DAMAGED;
    if (in.len < LENGTH_BYTES + 1)
        return TP_ERR_AGAIN;
    /* Judge type and size before waiting for the rest: a liar shall not make us buffer a megabyte. */
    type = (uint8_t)in.data[LENGTH_BYTES];
    fixed = fixed_size(type);
    payload = length - 1;
    if (fixed == SIZE_MAX || payload < fixed || (payload > fixed && !has_text(type)))
        return TP_ERR_DAMAGED;
    if (in.len - LENGTH_BYTES < length)
        return TP_ERR_AGAIN;
    *frame = (struct tp_frame){ .type = (enum tp_frame_type)type };
    decode_payload(tp_str_make(in.data + LENGTH_BYTES + 1, payload), frame);
    *used = LENGTH_BYTES + length;
    return TP_OK;
}
