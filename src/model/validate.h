/*
 * Is a value what its field says? Errors are JSON: a text for one value, a list by position for elements, an
 * object by name for records ("@entity": what is wrong with the record as a whole).
 */
#ifndef TP_MODEL_VALIDATE_H
#define TP_MODEL_VALIDATE_H

#include "turnpike/check.h"
#include "turnpike/field.h"

#include <jansson.h>

/* The first thing wrong with `value` (NULL: absent), owned; NULL when there is nothing. */
json_t *tp_validate_value(const struct tp_field *field, const json_t *value);

/* Everything wrong with an object's fields, names that no field has included; owned, never NULL, maybe empty. */
json_t *tp_validate_fields(const struct tp_field *fields, const json_t *object);

/* The entry of that name; NULL: none. */
const struct tp_field *tp_field_find(const struct tp_field *fields, const char *name);
/* The same by a dotted path through records. */
const struct tp_field *tp_field_find_path(const struct tp_field *fields, const char *path);

/* True for the integer a number stands for: 80 and 80.0, and what a double holds exactly. */
bool tp_json_to_int(const json_t *value, int64_t *out);
/* Bytes of "512", "64k", "10M", "1G" or of a number. */
bool tp_json_to_size(const json_t *value, int64_t *out);

/* --- Checks between fields -------------------------------------------------------------------- */

struct tp_check_context {
    const struct tp_field *fields;
    const json_t *value; /* the whole record or entity, merged */
    const json_t *input; /* what the client sent, shorthands translated; NULL: as `value` */
    json_t *errors;      /* grows */
    bool is_update;
};

void tp_checks_run(struct tp_check_context *ctx, const struct tp_check *checks);

/* Add a text to errors["@entity"]; takes it. */
void tp_check_add_entity_error(json_t *errors, json_t *text);

#endif
