/*
 * What the Admin API knows about plugins beyond any other entity.
 */
#ifndef TP_CONTROL_ADMIN_PLUGINS_H
#define TP_CONTROL_ADMIN_PLUGINS_H

#include "control/admin/call.h"

/* A registry of the enabled plugins, clones under their own names; free with tp_admin_plugins_fini. */
void tp_admin_plugins_init(struct tp_registry *out, const struct tp_plugin_set *set);
void tp_admin_plugins_fini(struct tp_registry *registry);

/* A plugin's name, where `input` gives one, must be enabled. Entities other than plugins pass. False: answered. */
bool tp_admin_check_enabled(struct tp_admin_call *call, const struct tp_entity *entity, const json_t *input);

/*
 * A plugin on a route or service must have a protocol in common with it. Entities other than plugins pass. False:
 * answered. Within a transaction.
 */
bool tp_admin_check_protocols(struct tp_admin_call *call, const struct tp_entity *entity, const json_t *value);

#endif
