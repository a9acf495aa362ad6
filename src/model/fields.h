/*
 * From JSON to C structs by field tables (turnpike/field.h).
 */
#ifndef TP_MODEL_FIELDS_H
#define TP_MODEL_FIELDS_H

#include "base/diag.h"
#include "turnpike/arena.h"
#include "turnpike/field.h"

#include <jansson.h>

/*
 * Fill the struct at `out` from a complete, valid object. Memory from `arena`. Values that do not fit
 * (a damaged read model) give TP_ERR_INVALID and a diag; *out is then not to be used.
 */
enum tp_err tp_fields_decode(const struct tp_field *fields, const json_t *value, void *out, struct tp_arena *arena,
                             struct tp_diag *diag);

/* A new object with every field at its default. Owned. */
json_t *tp_fields_defaults(const struct tp_field *fields);

/* A deep copy with secret fields replaced by "******". Owned. */
json_t *tp_fields_masked(const struct tp_field *fields, const json_t *value);

#endif
