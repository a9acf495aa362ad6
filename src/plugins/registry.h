/* The plugins of this build; the table is made from the folders (cmake/folders.cmake). */
#ifndef TP_PLUGINS_REGISTRY_H
#define TP_PLUGINS_REGISTRY_H

#include "turnpike/plugin.h"

extern const struct tp_registry tp_bundled_plugins;

#endif
