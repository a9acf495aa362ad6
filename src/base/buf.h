/*
 * A growing byte buffer with a ceiling. One that hit its ceiling stays failed: check once at the end.
 */
#ifndef TP_BASE_BUF_H
#define TP_BASE_BUF_H

#include "turnpike/err.h"
#include "turnpike/str.h"

struct tp_buf {
    char *data; /* NUL behind len, once anything was added */
    size_t len;
    size_t cap;
    size_t max; /* 0: no ceiling */
    bool failed;
};

void tp_buf_init(struct tp_buf *buf, size_t max);
void tp_buf_fini(struct tp_buf *buf);
void tp_buf_reset(struct tp_buf *buf); /* empty again, memory kept, failure forgotten */
void tp_buf_add(struct tp_buf *buf, struct tp_str s);
void tp_buf_add_char(struct tp_buf *buf, char c);
void tp_buf_add_cstr(struct tp_buf *buf, const char *cstr);
void tp_buf_addf(struct tp_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Room for `n` more bytes to be written at data + len; NULL when over the ceiling. */
char *tp_buf_reserve(struct tp_buf *buf, size_t n);
struct tp_str tp_buf_str(const struct tp_buf *buf); /* valid until the next add */
/* Hands the memory over: NUL-terminated, owned by the caller; the buffer is empty after. */
char *tp_buf_take(struct tp_buf *buf);

#endif
