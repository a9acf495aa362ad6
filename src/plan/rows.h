/* Inside the folder: plan rows as text, so that an unchanged one need not be parsed. */
#ifndef TP_PLAN_ROWS_H
#define TP_PLAN_ROWS_H

#include "plan/env.h"

/* `row` is valid during the call. An error ends the walk and is returned. */
typedef enum tp_err (*tp_row_fn)(void *data, const struct tp_uuid *id, const struct tp_plan_row *row);

/* All rows of a kind in ascending order of id. TP_ERR_DAMAGED: a row that cannot be decoded; those before were told. */
enum tp_err tp_view_rows(struct tp_view *view, enum tp_row_kind kind, tp_row_fn fn, void *data);

#endif
