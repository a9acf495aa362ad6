/* Findings for the operator: base/diag.h. */
#include "base/diag.h"

#include "base/buf.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

/* Whoever sends a million mistakes reads the first of them. */
#define MAX_FINDINGS 1000

struct finding {
    char *path;
    char *message;
};

struct tp_diag {
    struct finding *findings;
    size_t count;
    struct tp_buf text;
};

struct tp_diag *tp_diag_new(void)
{
    struct tp_diag *diag = tp_new(struct tp_diag);

    tp_buf_init(&diag->text, 0);
    return diag;
}

void tp_diag_free(struct tp_diag *diag)
{
    if (!diag)
        return;
    for (size_t i = 0; i < diag->count; i++) {
        free(diag->findings[i].path);
        free(diag->findings[i].message);
    }
    free(diag->findings);
    tp_buf_fini(&diag->text);
    free(diag);
}

void tp_diag_add(struct tp_diag *diag, const char *path, const char *format, ...)
{
    struct tp_buf message;
    char stack[1024];
    va_list args;
    int len;

    if (!diag || diag->count == MAX_FINDINGS)
        return;
    va_start(args, format);
    len = vsnprintf(stack, sizeof(stack), format, args);
    va_end(args);
    tp_buf_init(&message, 0);
    tp_buf_add(&message, tp_str_make(stack, len < (int)sizeof(stack) ? (size_t)len : sizeof(stack) - 1));

    diag->findings = tp_realloc(diag->findings, (diag->count + 1) * sizeof(*diag->findings));
    diag->findings[diag->count++] = (struct finding){
        .path = tp_strdup(path ? path : ""),
        .message = tp_buf_take(&message),
    };
}

size_t tp_diag_count(const struct tp_diag *diag)
{
    return diag->count;
}

const char *tp_diag_path(const struct tp_diag *diag, size_t i)
{
    TP_ASSERT(i < diag->count);
    return diag->findings[i].path;
}

const char *tp_diag_message(const struct tp_diag *diag, size_t i)
{
    TP_ASSERT(i < diag->count);
    return diag->findings[i].message;
}

const char *tp_diag_text(struct tp_diag *diag)
{
    tp_buf_reset(&diag->text);
    for (size_t i = 0; i < diag->count; i++) {
        const struct finding *f = &diag->findings[i];

        tp_buf_addf(&diag->text, "%s%s%s%s", i ? "; " : "", f->path, f->path[0] ? ": " : "", f->message);
    }
    return tp_buf_str(&diag->text).data;
}
