/*
 * Bringing a client's object into an entity's shape: shorthands, merging, defaults, normal forms. Works on
 * objects of any content; what does not fit its field is left for validate.c to report.
 */
#ifndef TP_MODEL_SHAPE_H
#define TP_MODEL_SHAPE_H

#include "turnpike/field.h"

#include <jansson.h>

/*
 * Move values given under deprecated names to where they belong, in place. Wrong types, and values that differ
 * from one given under the new name, are reported: an object of errors, owned; NULL when there are none.
 */
json_t *tp_shape_translate_aliases(const struct tp_field *fields, json_t *object);

/* `stored` with `input` laid over it: records field by field, everything else replaced. Owned. */
json_t *tp_shape_merge(const struct tp_field *fields, const json_t *stored, const json_t *input);

/* Absent fields get their default, or null; records inside too. Explicit nulls stay. */
void tp_shape_fill(const struct tp_field *fields, json_t *object);

/* A field's default as JSON, null when it has none. Owned. */
json_t *tp_shape_default(const struct tp_field *field);

/*
 * One notation for one value: sets without duplicates, 80.0 as 80, an empty table of either kind as the kind that
 * the field has, UUIDs in lower case.
 */
void tp_shape_normalize(const struct tp_field *fields, json_t *object);

/* What answers show: deprecated names echo the new ones, unset extensions vanish. */
void tp_shape_present(const struct tp_field *fields, json_t *object);

#endif
