/*
 * Names with dots and brackets ("config.limits[sms][minute]", "tags[]", "paths[1]") into a JSON tree, as
 * forms and multipart bodies use them. Values are text: types are inferred later by the schema.
 */
#ifndef TP_CONTROL_ADMIN_ARGS_H
#define TP_CONTROL_ADMIN_ARGS_H

#include "turnpike/err.h"
#include "turnpike/str.h"

#include <jansson.h>

#define TP_ADMIN_ARGS_DEPTH 32
#define TP_ADMIN_ARGS_NAME_MAX 1024

/*
 * Put `value` (taken) under `name` in `root`. A repeated name makes an array. TP_ERR_INVALID: the name is no
 * UTF-8 text, too long, or nested deeper than TP_ADMIN_ARGS_DEPTH.
 */
enum tp_err tp_admin_args_add(json_t *root, struct tp_str name, json_t *value);

/*
 * After the last add: bracketed indices 1, 2 … n become an array; others stay a map, which is how a list that
 * starts at 0 is refused later. Call once.
 */
void tp_admin_args_finish(json_t *root);

#endif
