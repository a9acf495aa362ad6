/*
 * Which entries are worth asking. Two levels: by host (exact, "*.suffix", "prefix.*"), and inside each host, and
 * for entries without hosts, by path prefix: plain prefixes, and the letters that a regex must start with.
 *
 * Lists hold ranks in ascending order, so the search merges a few lists and stops at the first entry that matches.
 * The hash needs no secret: only operators choose what is in the tables.
 */
#include "gateway/router_priv.h"

#define HASH_START 0xcbf29ce484222325ull
#define HASH_PRIME 0x100000001b3ull
#define MAX_LISTS 64

static uint64_t hash_on(uint64_t hash, char c)
{
    return (hash ^ (unsigned char)c) * HASH_PRIME;
}

static uint64_t hash_text(struct tp_str text)
{
    uint64_t hash = HASH_START;

    for (size_t i = 0; i < text.len; i++)
        hash = hash_on(hash, text.data[i]);
    return hash;
}

static size_t slot_of(uint64_t hash, size_t slot_count)
{
    return (size_t)(hash ^ hash >> 32) & (slot_count - 1);
}

static void ranks_add(struct tp_arena *arena, struct tp_ranks *ranks, uint32_t rank)
{
    if (ranks->count && ranks->items[ranks->count - 1] == rank)
        return; /* two values of one route that index alike */
    if (ranks->count == ranks->capacity) {
        size_t capacity = ranks->capacity ? ranks->capacity * 2 : 2;
        uint32_t *items = tp_arena_alloc(arena, capacity * sizeof(*items));

        if (ranks->count)
            memcpy(items, ranks->items, ranks->count * sizeof(*items));
        ranks->items = items;
        ranks->capacity = capacity;
    }
    ranks->items[ranks->count++] = rank;
}

/* --- Paths -------------------------------------------------------------------------------------- */

static struct tp_prefix_slot *find_prefix(const struct tp_path_index *index, uint64_t hash, struct tp_str prefix)
{
    size_t at = slot_of(hash, index->slot_count);

    while (index->slots[at].prefix.data &&
           (index->slots[at].hash != hash || !tp_str_eq(index->slots[at].prefix, prefix)))
        at = (at + 1) & (index->slot_count - 1);
    return &index->slots[at];
}

static void grow_prefixes(struct tp_arena *arena, struct tp_path_index *index)
{
    struct tp_path_index old = *index;

    index->slot_count = old.slot_count ? old.slot_count * 2 : 4;
    index->slots = tp_arena_new_array(arena, struct tp_prefix_slot, index->slot_count);
    for (size_t i = 0; i < old.slot_count; i++) {
        if (old.slots[i].prefix.data)
            *find_prefix(index, old.slots[i].hash, old.slots[i].prefix) = old.slots[i];
    }
}

static void add_length(struct tp_arena *arena, struct tp_path_index *index, size_t length)
{
    size_t at = 0;

    while (at < index->length_count && index->lengths[at] < length)
        at++;
    if (at < index->length_count && index->lengths[at] == length)
        return;
    if (index->length_count == index->length_capacity) {
        size_t capacity = index->length_capacity ? index->length_capacity * 2 : 4;
        size_t *lengths = tp_arena_alloc(arena, capacity * sizeof(*lengths));

        if (index->length_count)
            memcpy(lengths, index->lengths, index->length_count * sizeof(*lengths));
        index->lengths = lengths;
        index->length_capacity = capacity;
    }
    memmove(index->lengths + at + 1, index->lengths + at, (index->length_count - at) * sizeof(*index->lengths));
    index->lengths[at] = length;
    index->length_count++;
}

static void add_prefix(struct tp_arena *arena, struct tp_path_index *index, struct tp_str prefix, uint32_t rank)
{
    uint64_t hash = hash_text(prefix);
    struct tp_prefix_slot *slot;

    if (index->used * 2 >= index->slot_count)
        grow_prefixes(arena, index);
    slot = find_prefix(index, hash, prefix);
    if (!slot->prefix.data) {
        *slot = (struct tp_prefix_slot){ .hash = hash, .prefix = prefix };
        index->used++;
        add_length(arena, index, prefix.len);
    }
    ranks_add(arena, &slot->ranks, rank);
}

static void add_entry(struct tp_arena *arena, struct tp_path_index *index, const struct tp_entry *entry, uint32_t rank)
{
    bool narrowed = entry->prefix_count || entry->regex_count;

    for (size_t i = 0; i < entry->regex_count; i++)
        narrowed = narrowed && entry->regex_literals[i].len;
    if (!narrowed) {
        ranks_add(arena, &index->others, rank);
        return;
    }
    for (size_t i = 0; i < entry->prefix_count; i++)
        add_prefix(arena, index, entry->prefixes[i], rank);
    for (size_t i = 0; i < entry->regex_count; i++)
        add_prefix(arena, index, entry->regex_literals[i], rank);
}

/* --- Hosts -------------------------------------------------------------------------------------- */

static struct tp_host_slot *find_host(const struct tp_router *router, struct tp_str text)
{
    uint64_t hash = hash_text(text);
    size_t at = slot_of(hash, router->host_slot_count);

    while (router->hosts[at].text.data && (router->hosts[at].hash != hash || !tp_str_eq(router->hosts[at].text, text)))
        at = (at + 1) & (router->host_slot_count - 1);
    return &router->hosts[at];
}

static void grow_hosts(struct tp_router *router)
{
    struct tp_host_slot *old = router->hosts;
    size_t old_count = router->host_slot_count;

    router->host_slot_count = old_count ? old_count * 2 : 8;
    router->hosts = tp_arena_new_array(router->arena, struct tp_host_slot, router->host_slot_count);
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].text.data)
            *find_host(router, old[i].text) = old[i];
    }
}

static struct tp_path_index *paths_of_host(struct tp_router *router, struct tp_str text)
{
    struct tp_host_slot *slot;

    if (router->host_used * 2 >= router->host_slot_count)
        grow_hosts(router);
    slot = find_host(router, text);
    if (!slot->text.data) {
        slot->hash = hash_text(text);
        slot->text = text;
        router->host_used++;
    }
    return &slot->paths;
}

void tp_router_index(struct tp_router *router)
{
    for (size_t rank = 0; rank < router->entry_count; rank++) {
        const struct tp_entry *entry = &router->entries[rank];

        if (entry->host_count == 0)
            add_entry(router->arena, &router->anywhere, entry, (uint32_t)rank);
        for (size_t i = 0; i < entry->host_count; i++) {
            const struct tp_host_pattern *host = &entry->hosts[i];
            struct tp_path_index *index = &router->anywhere; /* a bare "*" is any host */

            if (host->text.len)
                index = paths_of_host(router, host->text);
            add_entry(router->arena, index, entry, (uint32_t)rank);
            router->has_host_wildcards = router->has_host_wildcards || host->kind != TP_HOST_EXACT;
        }
    }
}

/* --- Search ------------------------------------------------------------------------------------- */

struct search {
    const struct tp_router *router;
    const struct tp_router_input *input;
    struct {
        const uint32_t *at, *end;
    } lists[MAX_LISTS];
    size_t count;
    bool overflow; /* more lists than fit: ask every entry */
};

static void add_list(struct search *s, const struct tp_ranks *ranks)
{
    if (ranks->count == 0)
        return;
    if (s->count == MAX_LISTS) {
        s->overflow = true;
        return;
    }
    s->lists[s->count].at = ranks->items;
    s->lists[s->count++].end = ranks->items + ranks->count;
}

static void add_lists(struct search *s, const struct tp_path_index *index)
{
    struct tp_str path = s->input->path;
    uint64_t hash = HASH_START;
    size_t at = 0;

    add_list(s, &index->others);
    for (size_t i = 0; i < index->length_count && index->lengths[i] <= path.len; i++) {
        while (at < index->lengths[i])
            hash = hash_on(hash, path.data[at++]);
        add_list(s, &find_prefix(index, hash, tp_str_head(path, at))->ranks);
    }
}

static void add_host(struct search *s, struct tp_str text)
{
    add_lists(s, &find_host(s->router, text)->paths);
}

/* "a.b.test" asks for itself, and with wildcards for ".b.test", ".test", "a." and "a.b.". */
static void add_hosts(struct search *s)
{
    struct tp_str host = s->input->host;

    if (!s->router->host_slot_count || host.len == 0)
        return;
    add_host(s, host);
    for (size_t i = 0; s->router->has_host_wildcards && !s->overflow && i < host.len; i++) {
        if (host.data[i] != '.')
            continue;
        if (i > 0 || s->router->flavor == TP_ROUTER_TRADITIONAL_COMPATIBLE)
            add_host(s, tp_str_from(host, i));
        add_host(s, tp_str_head(host, i + 1));
    }
}

/* The smallest rank at the front of the lists, which moves behind it; false at the end. */
static bool next_rank(struct search *s, uint32_t *rank)
{
    uint32_t least = UINT32_MAX;

    for (size_t i = 0; i < s->count; i++) {
        if (s->lists[i].at < s->lists[i].end && *s->lists[i].at < least)
            least = *s->lists[i].at;
    }
    for (size_t i = 0; i < s->count; i++) {
        if (s->lists[i].at < s->lists[i].end && *s->lists[i].at == least)
            s->lists[i].at++;
    }
    *rank = least;
    return least != UINT32_MAX;
}

/* --- The traditional flavour's quirk (routing.md §4, 4) ------------------------------------------- */

/* The attributes for which any route at all had a value that fits. */
static unsigned hits(const struct tp_router *router, const struct tp_router_input *input, struct tp_arena *arena)
{
    unsigned found = 0;
    struct tp_match ignored;

    for (size_t i = 0; i < router->entry_count; i++) {
        const struct tp_entry *entry = &router->entries[i];

        for (unsigned bit = TP_ASKS_METHOD; bit <= TP_ASKS_HOST; bit <<= 1) {
            struct tp_entry only = { .route = entry->route };

            if (!(entry->asks & bit & ~found))
                continue;
            if (bit == TP_ASKS_METHOD)
                only.methods = entry->methods, only.method_count = entry->method_count;
            if (bit == TP_ASKS_HEADER)
                only.headers = entry->headers, only.header_count = entry->header_count;
            if (bit == TP_ASKS_HOST)
                only.hosts = entry->hosts, only.host_count = entry->host_count;
            if (bit == TP_ASKS_PATH) {
                only.prefixes = entry->prefixes, only.prefix_count = entry->prefix_count;
                only.regexes = entry->regexes, only.regex_count = entry->regex_count;
                only.regex_literals = entry->regex_literals;
            }
            if (tp_entry_matches(router, &only, input, arena, &ignored))
                found |= bit;
        }
    }
    return found;
}

static bool category_exists(const struct tp_router *router, unsigned asks)
{
    for (size_t i = 0; i < router->entry_count; i++) {
        if (router->entries[i].asks == asks)
            return true;
    }
    return false;
}

/*
 * On plain http an SNI is no hit. A search starts at the category of the hits, when there is one: routes with `snis`
 * whose category comes before it are never seen.
 */
static bool is_skipped(const struct tp_router *router, const struct tp_entry *entry,
                       const struct tp_router_input *input, struct tp_arena *arena)
{
    unsigned found;
    int own, start;

    if (router->flavor != TP_ROUTER_TRADITIONAL || input->tls || !(entry->asks & TP_ASKS_SNI))
        return false;
    found = hits(router, input, arena);
    if (!category_exists(router, found))
        return false;
    own = __builtin_popcount(entry->asks);
    start = __builtin_popcount(found);
    return own > start || (own == start && entry->asks > found);
}

static bool accepts(const struct search *s, const struct tp_entry *entry, struct tp_arena *arena,
                    struct tp_match *match)
{
    return tp_entry_matches(s->router, entry, s->input, arena, match) && !is_skipped(s->router, entry, s->input, arena);
}

const struct tp_entry *tp_router_search(const struct tp_router *router, const struct tp_router_input *input,
                                        struct tp_arena *arena, struct tp_match *match)
{
    struct search s;
    uint32_t rank;

    s.router = router;
    s.input = input;
    s.count = 0;
    s.overflow = false;
    add_lists(&s, &router->anywhere);
    add_hosts(&s);
    if (s.overflow) {
        for (size_t i = 0; i < router->entry_count; i++) {
            if (accepts(&s, &router->entries[i], arena, match))
                return &router->entries[i];
        }
        return NULL;
    }
    while (next_rank(&s, &rank)) {
        if (accepts(&s, &router->entries[rank], arena, match))
            return &router->entries[rank];
    }
    return NULL;
}
