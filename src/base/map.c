/*
 * Hash map with open addressing and linear probing; removal closes the gap, so there are no tombstones.
 */
#include "base/map.h"

#include "base/hash.h"
#include "base/mem.h"

#define FIRST_SLOTS 16

struct slot {
    char *key; /* NULL: free */
    size_t len;
    uint64_t hash;
    void *value;
};

struct tp_map {
    struct slot *slots;
    size_t mask; /* slots - 1, a power of two less one */
    size_t count;
    struct tp_hash_key hash_key;
};

struct tp_map *tp_map_new(void)
{
    struct tp_map *map = tp_new(struct tp_map);

    map->slots = tp_calloc(FIRST_SLOTS, sizeof(*map->slots));
    map->mask = FIRST_SLOTS - 1;
    tp_random_bytes(&map->hash_key, sizeof(map->hash_key));
    return map;
}

void tp_map_free(struct tp_map *map, void (*free_value)(void *))
{
    if (!map)
        return;
    for (size_t i = 0; i <= map->mask; i++) {
        if (map->slots[i].key && free_value)
            free_value(map->slots[i].value);
        free(map->slots[i].key);
    }
    free(map->slots);
    free(map);
}

/* The slot that holds `key`, or the free one where it would go. */
static struct slot *find(const struct tp_map *map, struct tp_str key, uint64_t hash)
{
    for (size_t i = hash & map->mask;; i = (i + 1) & map->mask) {
        struct slot *slot = &map->slots[i];

        if (!slot->key || (slot->hash == hash && tp_str_eq(tp_str_make(slot->key, slot->len), key)))
            return slot;
    }
}

static void grow(struct tp_map *map)
{
    struct slot *old = map->slots;
    size_t slots = (map->mask + 1) * 2;

    map->slots = tp_calloc(slots, sizeof(*map->slots));
    map->mask = slots - 1;
    for (size_t i = 0; i < slots / 2; i++) {
        if (old[i].key)
            *find(map, tp_str_make(old[i].key, old[i].len), old[i].hash) = old[i];
    }
    free(old);
}

void *tp_map_get(const struct tp_map *map, struct tp_str key)
{
    return find(map, key, tp_hash64(&map->hash_key, key))->value;
}

void *tp_map_set(struct tp_map *map, struct tp_str key, void *value)
{
    uint64_t hash = tp_hash64(&map->hash_key, key);
    struct slot *slot = find(map, key, hash);
    void *before = slot->value;

    if (slot->key) {
        slot->value = value;
        return before;
    }
    if ((map->count + 1) * 4 > (map->mask + 1) * 3) {
        grow(map);
        slot = find(map, key, hash);
    }
    *slot = (struct slot){ .key = tp_strndup(key), .len = key.len, .hash = hash, .value = value };
    map->count++;
    return NULL;
}

/* Move later members of the probe run back over the gap at `gap`. */
static void close_gap(struct tp_map *map, size_t gap)
{
    for (size_t i = (gap + 1) & map->mask; map->slots[i].key; i = (i + 1) & map->mask) {
        size_t home = map->slots[i].hash & map->mask;

        if (((i - home) & map->mask) >= ((i - gap) & map->mask)) {
            map->slots[gap] = map->slots[i];
            gap = i;
        }
    }
    map->slots[gap] = (struct slot){ 0 };
}

void *tp_map_remove(struct tp_map *map, struct tp_str key)
{
    struct slot *slot = find(map, key, tp_hash64(&map->hash_key, key));
    void *value = slot->value;

    if (!slot->key)
        return NULL;
    free(slot->key);
    close_gap(map, (size_t)(slot - map->slots));
    map->count--;
    return value;
}

size_t tp_map_count(const struct tp_map *map)
{
    return map->count;
}

bool tp_map_next(const struct tp_map *map, size_t *i, struct tp_str *key, void **value)
{
    for (; *i <= map->mask; (*i)++) {
        const struct slot *slot = &map->slots[*i];

        if (slot->key) {
            *key = tp_str_make(slot->key, slot->len);
            *value = slot->value;
            (*i)++;
            return true;
        }
    }
    return false;
}
