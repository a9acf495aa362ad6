/* Inside the folder: from an entity's JSON to the structs of plan.h. */
#ifndef TP_PLAN_DECODE_H
#define TP_PLAN_DECODE_H

#include "plan/plan.h"

/*
 * Fill *out from a stored entity; text and lists are copied to `arena`. TP_ERR_INVALID: a member has the wrong type, or
 * a required one is missing; the diag names the first. *out is then not to be used.
 */
enum tp_err tp_decode_service(const json_t *value, struct tp_arena *arena, struct tp_service *out,
                              struct tp_diag *diag);
/* All but ->service and ->json. */
enum tp_err tp_decode_route(const json_t *value, struct tp_arena *arena, struct tp_route *out, struct tp_diag *diag);

/* `value` may be NULL or null: nothing before, nothing after. */
enum tp_err tp_decode_ordering(const json_t *value, struct tp_arena *arena, struct tp_ordering *out,
                               struct tp_diag *diag);

/* Decode `config` by the plugin's table and let the plugin derive what it needs. *out: conf_size bytes in `arena`. */
enum tp_err tp_decode_config(const struct tp_plugin *plugin, const json_t *config, struct tp_arena *arena,
                             const void **out, struct tp_diag *diag);

#endif
