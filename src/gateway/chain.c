/* Plugin chains: chain.h. */
#include "gateway/chain.h"

#include "gateway/request.h"

#include <stdlib.h>

unsigned tp_scope_rank(bool route, bool service, bool consumer)
{
    if (consumer)
        return route && service ? 1 : route ? 2 : service ? 3 : 5;
    return route && service ? 4 : route ? 6 : service ? 7 : 8;
}

bool tp_rank_has_route(unsigned rank)
{
    return rank == 1 || rank == 2 || rank == 4 || rank == 6;
}

bool tp_rank_has_service(unsigned rank)
{
    return rank == 1 || rank == 3 || rank == 4 || rank == 7;
}

/* A chain while it is made. */
struct draft {
    struct tp_slot *slots; /* room for every name that can be offered */
    size_t count;
};

static struct tp_slot *find_slot(struct draft *draft, struct tp_str name)
{
    for (size_t i = 0; i < draft->count; i++) {
        if (tp_str_eq(draft->slots[i].name, name))
            return &draft->slots[i];
    }
    return NULL;
}

/* Put the slot in, or in the place of a less specific one of its name. */
static void offer(struct draft *draft, struct tp_slot slot)
{
    struct tp_slot *old = find_slot(draft, slot.name);

    if (!old)
        draft->slots[draft->count++] = slot;
    else if (slot.rank < old->rank)
        *old = slot;
}

/* --- Order -------------------------------------------------------------------------------------- */

/* High priority first; equal: name descending. */
static int compare_turns(int a_priority, struct tp_str a_name, int b_priority, struct tp_str b_name)
{
    if (a_priority != b_priority)
        return a_priority > b_priority ? -1 : 1;
    return tp_str_cmp(b_name, a_name);
}

static int compare_slots(const void *a, const void *b)
{
    const struct tp_slot *left = a, *right = b;

    return compare_turns(left->priority, left->name, right->priority, right->name);
}

static void move(uint16_t *order, size_t from, size_t to)
{
    uint16_t moved = order[from];

    if (from < to)
        memmove(order + from, order + from + 1, (to - from) * sizeof(*order));
    else
        memmove(order + to + 1, order + to, (from - to) * sizeof(*order));
    order[to] = moved;
}

static bool names(struct tp_list list, struct tp_str name)
{
    for (size_t i = 0; i < list.count; i++) {
        if (tp_str_eq(*TP_LIST_AT(list, struct tp_str, i), name))
            return true;
    }
    return false;
}

/* Move the instance at `at` before the first, or behind the last, of the plugins its `ordering` names. */
static void apply_ordering(const struct tp_slot *slots, uint16_t *order, size_t count, size_t at)
{
    const struct tp_ordering *ordering = slots[order[at]].ordering;
    size_t to = at;

    for (size_t i = count; i-- > 0;) {
        if (i < at && names(ordering->before_access, slots[order[i]].name))
            to = i;
    }
    for (size_t i = 0; i < count && to == at; i++) {
        size_t back = count - 1 - i;

        if (back > at && names(ordering->after_access, slots[order[back]].name))
            to = back;
    }
    move(order, at, to);
}

/* `order` holds `count` positions by priority; positions before `fixed` have run and stay. */
static void order_access(const struct tp_slot *slots, uint16_t *order, size_t count, size_t fixed)
{
    for (size_t slot = 0; slot < count; slot++) {
        for (size_t i = fixed; i < count; i++) {
            if (order[i] == slot && slots[slot].ordering) {
                apply_ordering(slots, order + fixed, count - fixed, i - fixed);
                break;
            }
        }
    }
}

/* Sort, copy into the arena, note which phases have work. `ran`: names that have run, in their order. */
static const struct tp_chain *finish(struct tp_arena *arena, struct draft *draft, const struct tp_str *ran,
                                     size_t ran_count)
{
    struct tp_chain *chain = tp_arena_new_type(arena, struct tp_chain);
    struct tp_slot *slots = tp_arena_new_array(arena, struct tp_slot, draft->count);
    uint16_t *access = tp_arena_new_array(arena, uint16_t, draft->count);
    size_t at = 0;

    qsort(draft->slots, draft->count, sizeof(*slots), compare_slots);
    if (draft->count)
        memcpy(slots, draft->slots, draft->count * sizeof(*slots));
    for (size_t i = 0; i < ran_count; i++)
        access[at++] = (uint16_t)(find_slot(draft, ran[i]) - draft->slots);
    for (size_t i = 0; i < draft->count; i++) {
        bool done = false;

        for (size_t k = 0; k < ran_count && !done; k++)
            done = access[k] == i;
        if (!done)
            access[at++] = (uint16_t)i;
        chain->has_match = chain->has_match || slots[i].plugin->on_match;
        chain->has_header = chain->has_header || slots[i].plugin->on_header;
        chain->has_body = chain->has_body || slots[i].plugin->on_body;
        chain->has_log = chain->has_log || slots[i].plugin->on_log;
        chain->has_rewrite = chain->has_rewrite || slots[i].plugin->on_rewrite;
    }
    order_access(slots, access, draft->count, ran_count);
    chain->slots = slots;
    chain->access = access;
    chain->count = draft->count;
    return chain;
}

/* --- Chains of the plan --------------------------------------------------------------------------- */

struct tp_chain_rows {
    const struct tp_plugin_row **rows; /* by (route, service) */
    size_t count;
    struct draft draft;
    /* Routes without rows of their own share the chain of their service. */
    struct shared_chain {
        const struct tp_service *service; /* NULL: routes without service */
        const struct tp_chain *chain;
    } * shared; /* by address of the service */
    size_t shared_count;
};

static int compare_rows(const void *a, const void *b)
{
    const struct tp_plugin_row *left = *(const struct tp_plugin_row *const *)a;
    const struct tp_plugin_row *right = *(const struct tp_plugin_row *const *)b;
    int order = tp_uuid_cmp(&left->route, &right->route);

    return order ? order : tp_uuid_cmp(&left->service, &right->service);
}

static int compare_shared(const void *a, const void *b)
{
    const struct shared_chain *left = a, *right = b;

    return left->service < right->service ? -1 : left->service > right->service;
}

struct tp_chain_rows *tp_chain_rows_new(struct tp_arena *arena, const struct tp_plan *plan)
{
    struct tp_chain_rows *rows = tp_arena_new_type(arena, struct tp_chain_rows);

    rows->count = plan->plugin_count;
    rows->rows = tp_arena_new_array(arena, const struct tp_plugin_row *, plan->plugin_count);
    if (plan->plugin_count)
        memcpy(rows->rows, plan->plugins, plan->plugin_count * sizeof(*rows->rows));
    qsort(rows->rows, rows->count, sizeof(*rows->rows), compare_rows);
    rows->draft.slots = tp_arena_new_array(arena, struct tp_slot, plan->plugin_count);
    rows->shared_count = plan->service_count + 1; /* and NULL */
    rows->shared = tp_arena_new_array(arena, struct shared_chain, rows->shared_count);
    for (size_t i = 0; i < plan->service_count; i++)
        rows->shared[i].service = plan->services[i];
    qsort(rows->shared, rows->shared_count, sizeof(*rows->shared), compare_shared);
    return rows;
}

static struct tp_slot slot_of_row(const struct tp_plugin_row *row)
{
    bool ordered = row->ordering.before_access.count || row->ordering.after_access.count;

    return (struct tp_slot){
        .plugin = row->plugin,
        .name = row->name,
        .priority = row->priority,
        .conf = row->conf,
        .rank = tp_scope_rank(!tp_uuid_is_nil(&row->route), !tp_uuid_is_nil(&row->service), false),
        .ordering = ordered ? &row->ordering : NULL,
    };
}

/* Offer all rows of exactly this scope; returns how many there are. */
static size_t offer_scope(struct tp_chain_rows *rows, const struct tp_uuid *route, const struct tp_uuid *service)
{
    struct tp_plugin_row wanted_row = { .route = *route, .service = *service };
    const struct tp_plugin_row *wanted = &wanted_row;
    size_t low = 0, high = rows->count, first;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare_rows(&rows->rows[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (first = low; low < rows->count && compare_rows(&rows->rows[low], &wanted) == 0; low++)
        offer(&rows->draft, slot_of_row(rows->rows[low]));
    return low - first;
}

const struct tp_chain *tp_chain_build(struct tp_arena *arena, struct tp_chain_rows *rows, const struct tp_route *route,
                                      const struct tp_service *service)
{
    static const struct tp_uuid nil;
    struct shared_chain key = { .service = service }, *shared = NULL;
    const struct tp_chain *chain;
    size_t own = 0;

    rows->draft.count = 0;
    if (route && service)
        own += offer_scope(rows, &route->id, &service->id);
    if (route)
        own += offer_scope(rows, &route->id, &nil);
    if (own == 0)
        shared = bsearch(&key, rows->shared, rows->shared_count, sizeof(key), compare_shared);
    if (shared && shared->chain)
        return shared->chain;
    if (service)
        offer_scope(rows, &nil, &service->id);
    offer_scope(rows, &nil, &nil);
    chain = finish(arena, &rows->draft, NULL, 0);
    if (shared)
        shared->chain = chain;
    return chain;
}

/* --- Chains of one request ------------------------------------------------------------------------ */

static bool has_run(const struct tp_chain *chain, size_t turn, struct tp_str name)
{
    for (size_t i = 0; i < turn; i++) {
        if (tp_str_eq(chain->slots[chain->access[i]].name, name))
            return true;
    }
    return false;
}

static bool scope_fits(const struct tp_request *req, const struct tp_consumer_plugin *row)
{
    const struct tp_uuid *route = tp_request_route_id(req), *service = tp_request_service_id(req);

    return (tp_uuid_is_nil(&row->route) || (route && tp_uuid_eq(route, &row->route))) &&
           (tp_uuid_is_nil(&row->service) || (service && tp_uuid_eq(service, &row->service)));
}

/* "before": {"access": ["key-auth"]} and "after" from the row's JSON text. */
static struct tp_list read_names(struct tp_arena *arena, const json_t *ordering, const char *side)
{
    const json_t *list = json_object_get(json_object_get(ordering, side), "access");
    struct tp_str *names_read = tp_arena_new_array(arena, struct tp_str, json_array_size(list));
    size_t count = 0;

    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));

        if (name)
            names_read[count++] = tp_arena_dup(arena, tp_str_from_cstr(name));
    }
    return (struct tp_list){ names_read, count };
}

static const struct tp_ordering *read_ordering(struct tp_arena *arena, struct tp_str text)
{
    json_t *json = text.len ? json_loadb(text.data, text.len, 0, NULL) : NULL;
    struct tp_ordering *ordering;

    if (!json_is_object(json)) {
        json_decref(json);
        return NULL;
    }
    ordering = tp_arena_new_type(arena, struct tp_ordering);
    ordering->before_access = read_names(arena, json, "before");
    ordering->after_access = read_names(arena, json, "after");
    json_decref(json);
    return ordering;
}

static void release_conf(void *conf)
{
    tp_conf_unref(conf);
}

/* The row's plugin and configuration; one that cannot be used refuses the call, so that no limit is lost. */
static void configure_slot(struct tp_request *req, const struct tp_consumer_plugin *row,
                           const struct tp_enabled_plugin *enabled, struct tp_slot *slot)
{
    struct tp_conf *conf;

    if (!enabled || tp_conf_cache_get(tp_request_gateway(req)->conf_cache, enabled->plugin, row, &conf)) {
        tp_request_log(req, TP_LOG_ERROR, "the consumer's plugin %.*s cannot be used", TP_STR_ARG(row->name));
        slot->plugin = &tp_plugin_unusable;
        return;
    }
    tp_arena_defer(tp_request_arena(req), release_conf, conf);
    slot->plugin = enabled->plugin;
    slot->conf = tp_conf_data(conf);
}

/* The consumer's row as a slot; false when it comes too late. */
static bool slot_of_consumer_row(struct tp_request *req, const struct tp_consumer_plugin *row,
                                 const struct tp_slot *newest, bool in_base, struct tp_slot *slot)
{
    const struct tp_enabled_plugin *enabled = tp_plugin_set_find(tp_request_gateway(req)->plugins, row->name);
    int priority = enabled ? enabled->priority : -TP_UNUSABLE_PRIORITY; /* unknown: its turn is still to come */

    if (!in_base && newest && compare_turns(priority, row->name, newest->priority, newest->name) < 0)
        return false; /* its turn was before the caller was known */
    *slot = (struct tp_slot){
        .name = row->name,
        .priority = priority,
        .rank = tp_scope_rank(!tp_uuid_is_nil(&row->route), !tp_uuid_is_nil(&row->service), true),
        .ordering = read_ordering(tp_request_arena(req), row->ordering),
    };
    configure_slot(req, row, enabled, slot);
    return true;
}

const struct tp_chain *tp_chain_specialise(struct tp_request *req, const struct tp_chain *base,
                                           const struct tp_chain *current, size_t turn,
                                           const struct tp_consumer_plugin *rows, size_t row_count)
{
    struct tp_arena *arena = tp_request_arena(req);
    struct draft draft = { tp_arena_new_array(arena, struct tp_slot, turn + base->count + row_count), 0 };
    struct tp_str *ran = tp_arena_new_array(arena, struct tp_str, turn);
    const struct tp_slot *newest = turn ? &current->slots[current->access[turn - 1]] : NULL;

    for (size_t i = 0; i < turn; i++) {
        offer(&draft, current->slots[current->access[i]]);
        ran[i] = current->slots[current->access[i]].name;
    }
    for (size_t i = 0; i < base->count; i++) {
        if (!has_run(current, turn, base->slots[i].name))
            offer(&draft, base->slots[i]);
    }
    for (size_t i = 0; i < row_count; i++) {
        struct tp_slot slot;

        if (scope_fits(req, &rows[i]) && !has_run(current, turn, rows[i].name) &&
            slot_of_consumer_row(req, &rows[i], newest, find_slot(&draft, rows[i].name) != NULL, &slot))
            offer(&draft, slot);
    }
    return finish(arena, &draft, ran, turn);
}
