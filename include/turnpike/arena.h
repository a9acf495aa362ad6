/*
 * An arena: memory and clean-up work that end together.
 *
 * Allocation cannot fail (it aborts when the machine is out of memory); nothing is freed singly.
 * Destructors joined by tp_arena_defer run in reverse order when the arena is freed. An ASan build
 * poisons what is not handed out.
 */
#ifndef TURNPIKE_ARENA_H
#define TURNPIKE_ARENA_H

#include "turnpike/str.h"

#include <stdarg.h>

struct tp_arena;

struct tp_arena *tp_arena_new(void);

/* Run the destructors, release the memory. NULL is accepted. */
void tp_arena_free(struct tp_arena *arena);

/* `size` bytes, aligned for any type, not zeroed. Never NULL; size 0 gives a unique address. */
void *tp_arena_alloc(struct tp_arena *arena, size_t size);
/* Zeroed; aborts when count * size overflows. */
void *tp_arena_calloc(struct tp_arena *arena, size_t count, size_t size);

#define tp_arena_new_type(arena, type) ((type *)tp_arena_calloc((arena), 1, sizeof(type)))
#define tp_arena_new_array(arena, type, count) ((type *)tp_arena_calloc((arena), (count), sizeof(type)))

/* A copy of `s` that lives as long as the arena and has a NUL behind it (outside its length). */
struct tp_str tp_arena_dup(struct tp_arena *arena, struct tp_str s);

/* Text made by printf rules, with a NUL behind it (outside its length). */
struct tp_str tp_arena_printf(struct tp_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct tp_str tp_arena_vprintf(struct tp_arena *arena, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* `n` in decimal, with a NUL behind it (outside its length). */
struct tp_str tp_arena_decimal(struct tp_arena *arena, uint64_t n);

/* a + b in one piece. */
struct tp_str tp_arena_concat(struct tp_arena *arena, struct tp_str a, struct tp_str b);

/* Call fn(data) when the arena ends; the newest first. */
void tp_arena_defer(struct tp_arena *arena, void (*fn)(void *data), void *data);

#endif
