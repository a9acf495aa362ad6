/*
 * Foreign keys given by name: {"service": {"name": "x"}} becomes {"service": {"id": …}}.
 */
#ifndef TP_CONTROL_ADMIN_FOREIGN_H
#define TP_CONTROL_ADMIN_FOREIGN_H

#include "control/admin/call.h"

/* Resolve in place, by any unique text field of the other entity. False: answered (code 13, or the store). */
bool tp_admin_resolve_foreign(struct tp_admin_call *call, const struct tp_entity *entity, json_t *input);

#endif
