/* Growing buffers with a ceiling: base/buf.h. */
#include "base/buf.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

#define FIRST_CAPACITY 256

void tp_buf_init(struct tp_buf *buf, size_t max)
{
    *buf = (struct tp_buf){ .max = max };
}

void tp_buf_fini(struct tp_buf *buf)
{
    free(buf->data);
    *buf = (struct tp_buf){ .max = buf->max };
}

void tp_buf_reset(struct tp_buf *buf)
{
    buf->len = 0;
    buf->failed = false;
    if (buf->data)
        buf->data[0] = '\0';
}

char *tp_buf_reserve(struct tp_buf *buf, size_t n)
{
    size_t need, cap;

    if (buf->failed || n > SIZE_MAX / 4 - buf->len || (buf->max && buf->len + n > buf->max)) {
        buf->failed = true;
        return NULL;
    }
    need = buf->len + n + 1; /* the NUL */
    if (need > buf->cap) {
        cap = buf->cap ? buf->cap : FIRST_CAPACITY;
        while (cap < need)
            cap *= 2;
        buf->data = tp_realloc(buf->data, cap);
        buf->cap = cap;
    }
    return buf->data + buf->len;
}

void tp_buf_add(struct tp_buf *buf, struct tp_str s)
{
    char *to = tp_buf_reserve(buf, s.len);

    if (!to)
        return;
    if (s.len)
        memcpy(to, s.data, s.len);
    buf->len += s.len;
    buf->data[buf->len] = '\0';
}

void tp_buf_add_char(struct tp_buf *buf, char c)
{
    tp_buf_add(buf, tp_str_make(&c, 1));
}

void tp_buf_add_cstr(struct tp_buf *buf, const char *cstr)
{
    tp_buf_add(buf, tp_str_from_cstr(cstr));
}

void tp_buf_addf(struct tp_buf *buf, const char *format, ...)
{
    va_list args;
    int len;
    char *to;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    TP_ASSERT(len >= 0);
    to = tp_buf_reserve(buf, (size_t)len);
    if (!to)
        return;
    va_start(args, format);
    vsnprintf(to, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
}

struct tp_str tp_buf_str(const struct tp_buf *buf)
{
    return tp_str_make(buf->data ? buf->data : "", buf->len);
}

char *tp_buf_take(struct tp_buf *buf)
{
    char *data = buf->data ? buf->data : tp_strdup("");

    *buf = (struct tp_buf){ .max = buf->max };
    return data;
}
