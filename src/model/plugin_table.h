/* The field table of the entity `plugins` for one plugin: its config, its protocols, its forbidden scopes. */
#ifndef TP_MODEL_PLUGIN_TABLE_H
#define TP_MODEL_PLUGIN_TABLE_H

#include "model/entity.h"

#define TP_PLUGIN_TABLE_MAX 24 /* fields of the entity `plugins` and the end */

/* Made by value: the fields point into the struct, which must not be moved. */
struct tp_plugin_table {
    struct tp_field fields[TP_PLUGIN_TABLE_MAX];
    struct tp_field protocol;    /* element of `protocols` */
    char protocols_default[128]; /* JSON text */
};

/* The entity whose `config` depends on a plugin. */
bool tp_entity_is_plugins(const struct tp_entity *entity);

void tp_plugin_table_init(struct tp_plugin_table *table, const struct tp_entity *plugins,
                          const struct tp_plugin *plugin);

#endif
