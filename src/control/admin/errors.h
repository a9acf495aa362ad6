/*
 * The coded error bodies (reference: admin-api.md section 6): one function each. Functions that return bool
 * return false, so that a caller can `return tp_admin_fail_…(…)`.
 */
#ifndef TP_CONTROL_ADMIN_ERRORS_H
#define TP_CONTROL_ADMIN_ERRORS_H

#include "control/admin/call.h"

/* Code 1: the path names no UUID where only one can stand. */
bool tp_admin_fail_primary_key(struct tp_admin_call *call);
/* Code 2: `errors` (taken) is the tree of tp_entity_prepare. */
bool tp_admin_fail_schema(struct tp_admin_call *call, json_t *errors);
/* Code 6: there is no entity with `field` (NULL: the id) equal to `value`. */
bool tp_admin_fail_missing(struct tp_admin_call *call, const char *field, struct tp_str value);
/* Code 7; `why`: "bad base64 encoding" … */
bool tp_admin_fail_offset(struct tp_admin_call *call, struct tp_str offset, const char *why);
/* Code 9. */
bool tp_admin_fail_size(struct tp_admin_call *call, const char *message);
/* Code 10: the text in the path cannot be a value of the unique `field`. */
bool tp_admin_fail_unique_key(struct tp_admin_call *call, const char *field, const char *message);
/* Code 11: one option of the query or the body. */
bool tp_admin_fail_option(struct tp_admin_call *call, const char *option, const char *message);
/* The same for the messages of tp_entity_options_valid (taken). */
bool tp_admin_fail_options(struct tp_admin_call *call, json_t *options);
/* Code 13: `errors` (taken): {"service": {"name": text}}. */
bool tp_admin_fail_unresolved(struct tp_admin_call *call, json_t *errors);

/*
 * What the store said: codes 3, 4 and 5, 503 for a database that is away, 507 for a full disk, 500 for the rest.
 * `entity` is what was written or read, `fault` may be NULL.
 */
bool tp_admin_fail_store(struct tp_admin_call *call, const struct tp_entity *entity, enum tp_err err,
                         const struct tp_store_fault *fault);

/* What the store said to a commit: a connection that broke meanwhile leaves open whether the change was made. */
bool tp_admin_fail_commit(struct tp_admin_call *call, enum tp_err err);

#endif
