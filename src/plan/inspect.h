/*
 * Is this file an LMDB environment whose pages can be trusted? Asked before LMDB maps it: LMDB has no
 * checksums, and follows a bad page into a crash.
 */
#ifndef TP_PLAN_INSPECT_H
#define TP_PLAN_INSPECT_H

#include "base/diag.h"

/*
 * The head: magic, page size, and the file not shorter than the newest transaction says. What every
 * process does before it opens. TP_ERR_NOT_FOUND: no such file; TP_ERR_DAMAGED, with a diag.
 */
enum tp_err tp_inspect_head(const char *data_path, struct tp_diag *diag);

/*
 * Walk every page that can be reached: structure, order of keys, counts, and each value by the decoder of its kind.
 * Reads the whole file once. Only while nobody writes: a writer reuses pages under the walk.
 */
enum tp_err tp_inspect_pages(const char *data_path, struct tp_diag *diag);

#endif
