/*
 * A hash map from text to pointers, hashed with a key drawn at start so that nobody can aim at a bucket.
 * Keys are copied; values are the caller's.
 */
#ifndef TP_BASE_MAP_H
#define TP_BASE_MAP_H

#include "turnpike/str.h"

struct tp_map;

struct tp_map *tp_map_new(void);
/* Frees values too when `free_value` is given. */
void tp_map_free(struct tp_map *map, void (*free_value)(void *));
void *tp_map_get(const struct tp_map *map, struct tp_str key); /* NULL: none */
/* Returns the value that was there before, or NULL. */
void *tp_map_set(struct tp_map *map, struct tp_str key, void *value);
void *tp_map_remove(struct tp_map *map, struct tp_str key);
size_t tp_map_count(const struct tp_map *map);
/* Walk in no order: `*i` starts at 0; no change meanwhile. */
bool tp_map_next(const struct tp_map *map, size_t *i, struct tp_str *key, void **value);

#endif
