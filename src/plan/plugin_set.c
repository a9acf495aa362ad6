/*
 * Which plugins a node has, from the setting `plugins`: a list of names, where "bundled" stands for all of this build,
 * "off" for none, and <name>_<priority> for a second type of a bundled one at another priority.
 */
#include "plan/plan.h"

#include "base/buf.h"
#include "base/mem.h"
#include "model/entity.h"

#define MAX_PLUGINS 1000

struct tp_plugin_set {
    struct tp_enabled_plugin *items; /* by name ascending */
    size_t count;
    struct tp_arena *arena; /* the clones' names */
};

static void add(struct tp_plugin_set *set, const struct tp_plugin *plugin, struct tp_str name, int priority)
{
    size_t at = set->count;

    if (tp_plugin_set_find(set, name) || set->count == MAX_PLUGINS)
        return;
    set->count++;
    /* Kept sorted while it grows: find works at any time, and the lists are short. */
    while (at > 0 && tp_str_cmp(set->items[at - 1].name, name) > 0) {
        set->items[at] = set->items[at - 1];
        at--;
    }
    set->items[at] = (struct tp_enabled_plugin){ plugin, tp_arena_dup(set->arena, name), priority };
}

static void report_unknown(const struct tp_registry *registry, struct tp_str name, struct tp_diag *diag)
{
    struct tp_buf names;

    tp_buf_init(&names, 0);
    for (size_t i = 0; i < registry->count; i++)
        tp_buf_addf(&names, "%s%s", i ? ", " : "", registry->plugins[i]->name);
    tp_diag_add(diag, "plugins",
                "there is no plugin \"%.*s\"; there are: %.*s; <name>_<priority> makes another one of any of them",
                TP_STR_ARG(name), TP_STR_ARG(tp_buf_str(&names)));
    tp_buf_fini(&names);
}

static enum tp_err add_item(struct tp_plugin_set *set, const struct tp_registry *registry, struct tp_str item,
                            struct tp_diag *diag)
{
    const struct tp_plugin *plugin;
    int priority;

    if (item.len == 0 || tp_str_eq(item, TP_STR("off")))
        return TP_OK;
    if (tp_str_eq(item, TP_STR("bundled"))) {
        for (size_t i = 0; i < registry->count; i++)
            add(set, registry->plugins[i], tp_str_from_cstr(registry->plugins[i]->name),
                registry->plugins[i]->priority);
        return TP_OK;
    }
    plugin = tp_plugin_find(registry, item, &priority);
    if (plugin) {
        add(set, plugin, item, priority);
        return TP_OK;
    }
    report_unknown(registry, item, diag);
    return TP_ERR_INVALID;
}

enum tp_err tp_plugin_set_new(struct tp_plugin_set **out, const struct tp_registry *registry, struct tp_str setting,
                              struct tp_diag *diag)
{
    struct tp_plugin_set *set = tp_new(struct tp_plugin_set);
    enum tp_err err = TP_OK;
    struct tp_str item;

    set->arena = tp_arena_new();
    set->items = tp_calloc(MAX_PLUGINS, sizeof(*set->items));
    while (tp_str_next(&setting, ',', &item)) {
        if (add_item(set, registry, tp_str_trim(item), diag))
            err = TP_ERR_INVALID; /* go on: name all mistakes at once */
    }
    if (err) {
        tp_plugin_set_free(set);
        return err;
    }
    *out = set;
    return TP_OK;
}

void tp_plugin_set_free(struct tp_plugin_set *set)
{
    if (!set)
        return;
    tp_arena_free(set->arena);
    free(set->items);
    free(set);
}

const struct tp_enabled_plugin *tp_plugin_set_find(const struct tp_plugin_set *set, struct tp_str name)
{
    size_t low = 0, high = set->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = tp_str_cmp(set->items[middle].name, name);

        if (order == 0)
            return &set->items[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

size_t tp_plugin_set_list(const struct tp_plugin_set *set, const struct tp_enabled_plugin **out)
{
    *out = set->items;
    return set->count;
}
