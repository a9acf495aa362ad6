/*
 * The order in which routes are tried.
 *
 * The default flavour sorts by the 64-bit number that Kong 3.9.1 computes on x86-64, whose shifts work on 32 bits:
 * documented is another layout, but this is the one that decides (routing.md §5.3). Ties: the larger id first.
 */
#include "gateway/router_priv.h"

#include <stdlib.h>

#define BIT_OVERFLOW (1ull << 63) /* what a 32-bit shift into the sign becomes */
#define BIT_PLAIN_HOSTS (1ull << 60)
#define BIT_REGEX (1ull << 51)
#define SHIFT_WEIGHT 29
#define SHIFT_HEADERS 20
#define SHIFT_REGEX_PRIORITY 19

static bool has_plain_hosts_only(const struct tp_entry *entry)
{
    for (size_t i = 0; i < entry->host_count; i++) {
        if (entry->hosts[i].kind != TP_HOST_EXACT)
            return false;
    }
    return entry->host_count > 0;
}

static bool has_wildcard_with_port(const struct tp_entry *entry)
{
    for (size_t i = 0; i < entry->host_count; i++) {
        if (entry->hosts[i].kind != TP_HOST_EXACT && entry->hosts[i].port)
            return true;
    }
    return false;
}

static bool has_port(const struct tp_entry *entry)
{
    for (size_t i = 0; i < entry->host_count; i++) {
        if (entry->hosts[i].port)
            return true;
    }
    return false;
}

static size_t prefix_length(const struct tp_entry *entry)
{
    return entry->prefix_count ? entry->prefixes[0].len : 0;
}

static uint64_t weight_bits(const struct tp_entry *entry)
{
    uint64_t weight = (uint64_t)__builtin_popcount(entry->asks);

    return weight >= 4 ? BIT_OVERFLOW : weight << SHIFT_WEIGHT;
}

static uint64_t regex_bits(int64_t regex_priority)
{
    uint64_t r = (uint64_t)regex_priority & 0x1fff;

    return BIT_REGEX | (r & 0x1000 ? BIT_OVERFLOW : r << SHIFT_REGEX_PRIORITY);
}

uint64_t tp_entry_priority(const struct tp_entry *entry)
{
    uint64_t headers = entry->header_count > 255 ? 255 : entry->header_count;
    uint64_t bits = weight_bits(entry) | headers << SHIFT_HEADERS;

    if (has_plain_hosts_only(entry))
        bits |= BIT_PLAIN_HOSTS;
    if (entry->regex_count)
        return bits | regex_bits(entry->route->regex_priority);
    return bits | (prefix_length(entry) & 0x7ffff);
}

/* Greater first. */
static int descending(uint64_t a, uint64_t b)
{
    return a < b ? 1 : a > b ? -1 : 0;
}

static int compare_compatible(const void *left, const void *right)
{
    const struct tp_entry *a = left, *b = right;
    int order = descending(a->priority, b->priority);

    return order ? order : tp_uuid_cmp(&b->id, &a->id);
}

/* routing.md §4, key 1 of a category. */
static uint64_t sub_weight(const struct tp_entry *entry)
{
    return (has_wildcard_with_port(entry) ? 4u : 0u) | (has_plain_hosts_only(entry) ? 2u : 0u) |
           (entry->regex_count ? 1u : 0u);
}

static int64_t regex_priority(const struct tp_entry *entry)
{
    return entry->regex_count ? entry->route->regex_priority : 0;
}

static int compare_traditional(const void *left, const void *right)
{
    const struct tp_entry *a = left, *b = right;
    int order = descending((unsigned)__builtin_popcount(a->asks), (unsigned)__builtin_popcount(b->asks));

    order = order ? order : descending(a->asks, b->asks);
    order = order ? order : descending(sub_weight(a), sub_weight(b));
    order = order ? order : descending(has_port(a), has_port(b)); /* "h:321" is tried before "h" */
    order = order ? order : descending(a->header_count, b->header_count);
    if (!order && regex_priority(a) != regex_priority(b))
        order = regex_priority(a) > regex_priority(b) ? -1 : 1;
    order = order ? order : descending(prefix_length(a), prefix_length(b));
    order = order ? order : -descending((uint64_t)a->route->created_at, (uint64_t)b->route->created_at);
    return order ? order : tp_uuid_cmp(&a->id, &b->id);
}

void tp_router_sort(struct tp_router *router)
{
    if (router->entry_count == 0)
        return;
    for (size_t i = 0; i < router->entry_count; i++)
        router->entries[i].priority = tp_entry_priority(&router->entries[i]);
    qsort(router->entries, router->entry_count, sizeof(*router->entries),
          router->flavor == TP_ROUTER_TRADITIONAL ? compare_traditional : compare_compatible);
}
