/*
 * The compiled plan's data.
 *
 * Each row is decoded into a unit: an arena of its own and a count, shared by all plans that the row is unchanged in. A
 * plan's lists and the view's rows are both in the order of ids, so the unit to reuse is found by walking
 * along. A route points to its service, so it is reused only together with it.
 */
#include "plan/plan.h"

#include "base/mem.h"
#include "plan/decode.h"
#include "plan/rows.h"

#include <stdatomic.h>

struct unit {
    atomic_int references;
    struct tp_arena *arena;
    struct tp_uuid id;
    uint64_t revision;
    bool served; /* false: disabled */
    union {
        struct tp_service service;
        struct tp_route route;
        struct tp_plugin_row plugin;
    } as;
};

struct unit_list {
    struct unit **items;
    size_t count, capacity;
};

enum unit_kind { SERVICES, ROUTES, PLUGINS, UNIT_KINDS };

struct plan {
    struct tp_plan base;
    atomic_int references;
    struct unit_list units[UNIT_KINDS];
    const void **served[UNIT_KINDS]; /* base's arrays */
};

static struct plan *plan_of(const struct tp_plan *base)
{
    return (struct plan *)base; /* its first member */
}

/* --- Units ------------------------------------------------------------------------------------- */

static struct unit *unit_new(const struct tp_uuid *id, uint64_t revision)
{
    struct tp_arena *arena = tp_arena_new();
    struct unit *unit = tp_arena_new_type(arena, struct unit);

    unit->arena = arena;
    unit->id = *id;
    unit->revision = revision;
    unit->served = true;
    atomic_init(&unit->references, 1);
    return unit;
}

static void unit_unref(struct unit *unit)
{
    if (atomic_fetch_sub_explicit(&unit->references, 1, memory_order_acq_rel) == 1)
        tp_arena_free(unit->arena);
}

/* Takes the reference. */
static void list_add(struct unit_list *list, struct unit *unit)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? list->capacity * 2 : 16;
        list->items = tp_realloc(list->items, list->capacity * sizeof(*list->items));
    }
    list->items[list->count++] = unit;
}

static struct unit *list_find(const struct unit_list *list, const struct tp_uuid *id)
{
    size_t low = 0, high = list->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = tp_uuid_cmp(&list->items[middle]->id, id);

        if (order == 0)
            return list->items[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* --- Building ---------------------------------------------------------------------------------- */

struct build {
    struct plan *plan;
    const struct tp_plugin_set *plugins;
    const struct plan *previous; /* NULL: none */
    enum unit_kind kind;         /* being read */
    size_t walked;               /* in the previous list of that kind */
    struct tp_diag *diag;
};

/* The unit of the previous plan with this id and content, with a reference, or NULL. */
static struct unit *reuse(struct build *b, const struct tp_uuid *id, uint64_t revision)
{
    const struct unit_list *list;
    struct unit *unit;

    if (!b->previous)
        return NULL;
    list = &b->previous->units[b->kind];
    while (b->walked < list->count && tp_uuid_cmp(&list->items[b->walked]->id, id) < 0)
        b->walked++;
    if (b->walked == list->count)
        return NULL;
    unit = list->items[b->walked];
    if (!tp_uuid_eq(&unit->id, id) || unit->revision != revision)
        return NULL;
    atomic_fetch_add_explicit(&unit->references, 1, memory_order_relaxed);
    return unit;
}

static enum tp_err decode_service(struct build *b, const json_t *value, const struct tp_plan_row *row,
                                  struct unit *unit, struct tp_diag *reason)
{
    (void)b;
    if (tp_decode_service(value, unit->arena, &unit->as.service, reason))
        return TP_ERR_INVALID;
    unit->as.service.json = tp_arena_dup(unit->arena, row->json);
    return TP_OK;
}

/* NULL and true: the route has none. False: it names one that is not there, or that was left out. */
static bool find_service(struct build *b, const struct tp_uuid *id, const struct tp_service **out)
{
    struct unit *unit = tp_uuid_is_nil(id) ? NULL : list_find(&b->plan->units[SERVICES], id);

    *out = unit ? &unit->as.service : NULL;
    return unit || tp_uuid_is_nil(id);
}

static enum tp_err decode_route(struct build *b, const json_t *value, const struct tp_plan_row *row, struct unit *unit,
                                struct tp_diag *reason)
{
    struct tp_route *route = &unit->as.route;

    if (tp_decode_route(value, unit->arena, route, reason))
        return TP_ERR_INVALID;
    if (!find_service(b, &route->service_id, &route->service)) {
        tp_diag_add(reason, "service", "there is none of this id");
        return TP_ERR_INVALID;
    }
    route->json = tp_arena_dup(unit->arena, row->json);
    unit->served = !route->service || route->service->enabled;
    return TP_OK;
}

static enum tp_verdict refuse(struct tp_request *req, const void *conf)
{
    (void)req;
    (void)conf;
    return TP_FAIL; /* the reason was told when the plan was built */
}

const struct tp_plugin tp_plugin_unusable = { .name = "unusable", .on_access = refuse };

/* What runs for the row: its plugin and decoded configuration. */
static enum tp_err configure_plugin(struct build *b, const json_t *value, struct unit *unit, struct tp_diag *reason)
{
    struct tp_plugin_row *row = &unit->as.plugin;
    const struct tp_enabled_plugin *enabled = tp_plugin_set_find(b->plugins, row->name);
    enum tp_err err;

    row->priority = TP_UNUSABLE_PRIORITY;
    if (!enabled) {
        tp_diag_add(reason, "name", "this node has no plugin of this name");
        return TP_ERR_NOT_FOUND;
    }
    row->plugin = enabled->plugin;
    row->priority = enabled->priority;
    err = tp_decode_ordering(json_object_get(value, "ordering"), unit->arena, &row->ordering, reason);
    return err ? err : tp_decode_config(row->plugin, json_object_get(value, "config"), unit->arena, &row->conf, reason);
}

/* Without its key-auth or its limit a route would be open: who meets a row that cannot be used is refused. */
static void bar(struct build *b, struct unit *unit, struct tp_diag *reason)
{
    struct tp_plugin_row *row = &unit->as.plugin;
    char text[TP_UUID_TEXT_LEN + 1];

    tp_uuid_format(&unit->id, text);
    tp_diag_add(b->diag, "plugins", "%s (%.*s) cannot be used, what it applies to is answered with 500: %s", text,
                TP_STR_ARG(row->name), tp_diag_text(reason));
    row->plugin = &tp_plugin_unusable;
    row->conf = NULL;
    row->ordering = (struct tp_ordering){ 0 };
}

static enum tp_err decode_plugin(struct build *b, const json_t *value, const struct tp_plan_row *plan_row,
                                 struct unit *unit, struct tp_diag *reason)
{
    struct tp_plugin_row *row = &unit->as.plugin;

    (void)plan_row;
    unit->served = tp_layout_is_enabled(value);
    if (!unit->served)
        return TP_OK;
    row->id = unit->id;
    row->revision = unit->revision;
    row->name = tp_arena_dup(unit->arena, tp_layout_text(value, "name"));
    if (tp_layout_foreign(value, "route", &row->route) || tp_layout_foreign(value, "service", &row->service)) {
        tp_diag_add(reason, NULL, "its route or service is not an id");
        return TP_ERR_INVALID;
    }
    if (configure_plugin(b, value, unit, reason))
        bar(b, unit, reason);
    return TP_OK;
}

/* In the order of building: routes point to services. */
static const struct {
    const char *entity;
    enum tp_row_kind row;
    enum tp_err (*decode)(struct build *b, const json_t *value, const struct tp_plan_row *row, struct unit *unit,
                          struct tp_diag *reason);
} kinds[UNIT_KINDS] = {
    [SERVICES] = { "services", TP_ROW_SERVICE, decode_service },
    [ROUTES] = { "routes", TP_ROW_ROUTE, decode_route },
    [PLUGINS] = { "plugins", TP_ROW_PLUGIN, decode_plugin },
};

static bool is_current(struct build *b, const struct unit *unit)
{
    const struct tp_service *service;

    if (b->kind != ROUTES)
        return true;
    return find_service(b, &unit->as.route.service_id, &service) && service == unit->as.route.service;
}

/* A row that cannot be used is named with its reason and left out. */
static struct unit *make_unit(struct build *b, const struct tp_uuid *id, const struct tp_plan_row *row)
{
    struct unit *unit = unit_new(id, row->revision);
    json_t *value = json_loadb(row->json.data, row->json.len, 0, NULL); /* NULL: every member is missing */
    struct tp_diag *reason = tp_diag_new();
    char text[TP_UUID_TEXT_LEN + 1];

    if (kinds[b->kind].decode(b, value, row, unit, reason)) {
        tp_uuid_format(id, text);
        tp_diag_add(b->diag, kinds[b->kind].entity, "%s is left out: %s", text, tp_diag_text(reason));
        unit_unref(unit);
        unit = NULL;
    }
    tp_diag_free(reason);
    json_decref(value);
    return unit;
}

static enum tp_err on_row(void *data, const struct tp_uuid *id, const struct tp_plan_row *row)
{
    struct build *b = data;
    struct unit *unit = reuse(b, id, row->revision);

    if (unit && !is_current(b, unit)) {
        unit_unref(unit);
        unit = NULL;
    }
    if (!unit)
        unit = make_unit(b, id, row);
    if (unit)
        list_add(&b->plan->units[b->kind], unit);
    return TP_OK;
}

/* What requests see of a kind: the units that are served, by their object. */
static size_t make_array(struct plan *p, enum unit_kind kind)
{
    const struct unit_list *list = &p->units[kind];
    size_t n = 0;

    p->served[kind] = tp_calloc(list->count + 1, sizeof(void *));
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i]->served)
            p->served[kind][n++] = &list->items[i]->as;
    }
    return n;
}

static void make_arrays(struct plan *p)
{
    p->base.service_count = make_array(p, SERVICES);
    p->base.services = (const struct tp_service *const *)p->served[SERVICES];
    p->base.route_count = make_array(p, ROUTES);
    p->base.routes = (const struct tp_route *const *)p->served[ROUTES];
    p->base.plugin_count = make_array(p, PLUGINS);
    p->base.plugins = (const struct tp_plugin_row *const *)p->served[PLUGINS];
}

enum tp_err tp_plan_build(struct tp_plan **out, struct tp_view *view, const struct tp_plugin_set *plugins,
                          const struct tp_plan *previous, struct tp_diag *diag)
{
    struct plan *p = tp_new(struct plan);
    struct build b = { .plan = p, .plugins = plugins, .previous = previous ? plan_of(previous) : NULL, .diag = diag };
    struct tp_read_model_meta meta;
    enum tp_err err = tp_view_meta(view, &meta);

    atomic_init(&p->references, 1);
    for (b.kind = 0; b.kind < UNIT_KINDS && !err; b.kind++) {
        b.walked = 0;
        err = tp_view_rows(view, kinds[b.kind].row, on_row, &b);
    }
    if (err) {
        tp_diag_add(diag, NULL, "the read model cannot be read: %s", tp_err_text(err));
        tp_plan_unref(&p->base);
        return err;
    }
    p->base.position = meta.position;
    make_arrays(p);
    *out = &p->base;
    return TP_OK;
}

struct tp_plan *tp_plan_ref(struct tp_plan *plan)
{
    atomic_fetch_add_explicit(&plan_of(plan)->references, 1, memory_order_relaxed);
    return plan;
}

void tp_plan_unref(struct tp_plan *plan)
{
    struct plan *p = plan ? plan_of(plan) : NULL;

    if (!p || atomic_fetch_sub_explicit(&p->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t kind = 0; kind < UNIT_KINDS; kind++) {
        for (size_t i = 0; i < p->units[kind].count; i++)
            unit_unref(p->units[kind].items[i]);
        free(p->units[kind].items);
        free(p->served[kind]);
    }
    free(p);
}
