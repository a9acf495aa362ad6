/*
 * The wire format of the link between workers and control, over a unix socket: no I/O here.
 *
 *   worker → control   HELLO    u32 pid, u64 served       after connecting
 *   control → worker   STATE    u64 epoch, u64 position, u64 plan   what is in the read model now
 *   worker → control   ACK      u64 position              every request from here on sees this position
 *   worker → control   BYE      –                         this worker is exiting: do not wait for it
 *   either             CALL     u32 id, u32 deadline_ms, text…     a request with a deadline
 *   either             REPLY    u32 id, u32 error, text…
 *
 * A frame is u32 length of what follows, u8 type, payload; integers are little-endian.
 */
#ifndef TP_BASE_FRAME_H
#define TP_BASE_FRAME_H

#include "base/buf.h"

#define TP_FRAME_MAX (1u << 20) /* bytes behind the length; more is a broken peer */

enum tp_frame_type {
    TP_FRAME_HELLO = 1,
    TP_FRAME_STATE,
    TP_FRAME_ACK,
    TP_FRAME_BYE,
    TP_FRAME_CALL,
    TP_FRAME_REPLY,
};

/* Which members count is told by the type. */
struct tp_frame {
    enum tp_frame_type type;
    uint32_t pid;
    uint64_t epoch;    /* which environment directory */
    uint64_t position; /* feed position; HELLO and ACK: the one served */
    uint64_t plan;     /* position of the last change that the plan depends on */
    uint32_t id;
    uint32_t deadline_ms;
    uint32_t error;
    struct tp_str text; /* borrows the input when parsed */
};

/* Append the encoded frame. */
void tp_frame_encode(struct tp_buf *out, const struct tp_frame *frame);

/*
 * Take one frame off the front of `in`. TP_OK: *frame is filled and *used bytes are consumed;
 * TP_ERR_AGAIN: not whole yet; TP_ERR_DAMAGED: close the connection.
 */
enum tp_err tp_frame_decode(struct tp_str in, struct tp_frame *frame, size_t *used);

#endif
