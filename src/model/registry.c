/* Looking up a plugin by name: here, since both the model and everything above it ask. */
#include "turnpike/plugin.h"

const struct tp_plugin *tp_registry_find(const struct tp_registry *registry, struct tp_str name)
{
    for (size_t i = 0; registry && i < registry->count; i++) {
        if (tp_str_eq(tp_str_from_cstr(registry->plugins[i]->name), name))
            return registry->plugins[i];
    }
    return NULL;
}
