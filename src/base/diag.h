/*
 * An operator's mistakes, all of them at once: where, and what would be right.
 */
#ifndef TP_BASE_DIAG_H
#define TP_BASE_DIAG_H

#include "turnpike/err.h"
#include "turnpike/str.h"

struct tp_diag;

struct tp_diag *tp_diag_new(void);
void tp_diag_free(struct tp_diag *diag);

/* Add a finding; `path` may be NULL (the whole thing). Copies. A NULL diag is accepted and drops it. */
void tp_diag_add(struct tp_diag *diag, const char *path, const char *format, ...) __attribute__((format(printf, 3, 4)));

size_t tp_diag_count(const struct tp_diag *diag);
const char *tp_diag_path(const struct tp_diag *diag, size_t i); /* "" for the whole thing */
const char *tp_diag_message(const struct tp_diag *diag, size_t i);

/* "path: message; message" in one line; valid until the next add or free. */
const char *tp_diag_text(struct tp_diag *diag);

#endif
