/* See plugin_table.h, and tp_plugin_find in entity.h. */
#include "model/plugin_table.h"

#include <stdio.h>

static const char *const http_protocols[] = { "grpc", "grpcs", "http", "https", NULL };

bool tp_entity_is_plugins(const struct tp_entity *entity)
{
    return strcmp(entity->name, "plugins") == 0;
}

const struct tp_plugin *tp_plugin_find(const struct tp_registry *registry, struct tp_str name, int *priority)
{
    const struct tp_plugin *plugin = tp_registry_find(registry, name);
    size_t at = name.len;
    int64_t number;

    if (plugin) {
        if (priority)
            *priority = plugin->priority;
        return plugin;
    }
    while (at > 0 && name.data[at - 1] != '_')
        at--;
    if (at < 2 || at == name.len)
        return NULL;
    if (!tp_str_to_i64(tp_str_from(name, at), &number) || number < INT32_MIN || number > INT32_MAX)
        return NULL;
    plugin = tp_registry_find(registry, tp_str_head(name, at - 1));
    if (plugin && priority)
        *priority = (int)number;
    return plugin;
}

/* The default of `protocols` as JSON text. */
static void write_default(char *out, size_t size, const char *const *protocols)
{
    size_t len = 0;

    for (size_t i = 0; protocols[i] && len < size; i++)
        len += (size_t)snprintf(out + len, size - len, "%s\"%s\"", i ? "," : "[", protocols[i]);
    if (len < size)
        snprintf(out + len, size - len, "]");
}

static void adapt(struct tp_plugin_table *table, struct tp_field *field, const struct tp_plugin *plugin)
{
    const char *const *protocols = plugin->protocols ? plugin->protocols : http_protocols;

    if (strcmp(field->name, "config") == 0) {
        field->fields = plugin->fields;
        field->required = true;
    } else if (strcmp(field->name, "consumer") == 0) {
        field->must_be_null = plugin->no_consumer;
    } else if (strcmp(field->name, "protocols") == 0) {
        table->protocol = *field->element;
        table->protocol.one_of = plugin->any_protocol ? tp_protocols_all : protocols;
        write_default(table->protocols_default, sizeof(table->protocols_default), protocols);
        field->element = &table->protocol;
        field->def = table->protocols_default;
    }
}

void tp_plugin_table_init(struct tp_plugin_table *table, const struct tp_entity *plugins,
                          const struct tp_plugin *plugin)
{
    size_t i;

    memset(table, 0, sizeof(*table));
    for (i = 0; plugins->fields[i].name; i++) {
        TP_ASSERT(i + 1 < TP_PLUGIN_TABLE_MAX);
        table->fields[i] = plugins->fields[i];
        adapt(table, &table->fields[i], plugin);
    }
}
