/*
 * The `configuration` object of GET /: the effective settings as Kong shows them, secrets masked.
 */
#ifndef TP_CONTROL_ADMIN_CONFIGURATION_H
#define TP_CONTROL_ADMIN_CONFIGURATION_H

#include "control/admin/call.h"

/* Owned. */
json_t *tp_admin_configuration(const struct tp_admin_context *context);

#endif
