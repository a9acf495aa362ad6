/*
 * Arenas: chunks in a list, the newest first; a piece too large for a chunk gets one of its own.
 *
 * The first chunk is allocated together with the arena itself, so that a small request costs one malloc.
 */
#include "turnpike/arena.h"

#include "base/mem.h"
#include "turnpike/err.h"

#include <stdalign.h>
#include <stdio.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#define REDZONE 16
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#define REDZONE 0
#endif

#define CHUNK_SIZE 4096
#define ALIGNMENT alignof(max_align_t)

struct chunk {
    struct chunk *next;
    size_t size; /* of data */
    alignas(max_align_t) char data[];
};

struct deferred {
    struct deferred *next;
    void (*fn)(void *data);
    void *data;
};

struct tp_arena {
    char *at;  /* free part of the newest chunk */
    char *end;
    struct chunk *chunks; /* all but the first, which lies behind this struct */
    struct deferred *deferred;
    alignas(max_align_t) char first[];
};

struct tp_arena *tp_arena_new(void)
{
    struct tp_arena *arena = tp_malloc(CHUNK_SIZE);

    arena->at = arena->first;
    arena->end = (char *)arena + CHUNK_SIZE;
    arena->chunks = NULL;
    arena->deferred = NULL;
    POISON(arena->at, (size_t)(arena->end - arena->at));
    return arena;
}

void tp_arena_free(struct tp_arena *arena)
{
    if (!arena)
        return;
    while (arena->deferred) {
        struct deferred *d = arena->deferred;

        arena->deferred = d->next; /* first, so that fn may defer again */
        d->fn(d->data);
    }
    while (arena->chunks) {
        struct chunk *c = arena->chunks;

        arena->chunks = c->next;
        UNPOISON(c->data, c->size);
        free(c);
    }
    UNPOISON(arena, CHUNK_SIZE);
    free(arena);
}

static struct chunk *add_chunk(struct tp_arena *arena, size_t size)
{
    struct chunk *c = tp_malloc(sizeof(*c) + size);

    c->next = arena->chunks;
    c->size = size;
    arena->chunks = c;
    POISON(c->data, size);
    return c;
}

/* Room for `size` (aligned) bytes beside the current chunk; small pieces make the new chunk current. */
static void *alloc_slow(struct tp_arena *arena, size_t size)
{
    struct chunk *c;

    if (size > CHUNK_SIZE / 4)
        return add_chunk(arena, size)->data;
    c = add_chunk(arena, CHUNK_SIZE * 2 - sizeof(*c));
    arena->at = c->data + size;
    arena->end = c->data + c->size;
    return c->data;
}

void *tp_arena_alloc(struct tp_arena *arena, size_t size)
{
    size_t need = size + REDZONE;
    char *p;

    TP_ASSERT(need <= SIZE_MAX / 2);
    need = (need + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    if (need == 0)
        need = ALIGNMENT;
    if (need <= (size_t)(arena->end - arena->at)) {
        p = arena->at;
        arena->at += need;
    } else {
        p = alloc_slow(arena, need);
    }
    UNPOISON(p, size);
    return p;
}

void *tp_arena_calloc(struct tp_arena *arena, size_t count, size_t size)
{
    size_t total;
    void *p;

    TP_ASSERT(!__builtin_mul_overflow(count, size, &total));
    p = tp_arena_alloc(arena, total);
    memset(p, 0, total);
    return p;
}

struct tp_str tp_arena_dup(struct tp_arena *arena, struct tp_str s)
{
    char *copy;

    if (!s.data)
        return s;
    copy = tp_arena_alloc(arena, s.len + 1);
    memcpy(copy, s.data, s.len);
    copy[s.len] = '\0';
    return tp_str_make(copy, s.len);
}

struct tp_str tp_arena_concat(struct tp_arena *arena, struct tp_str a, struct tp_str b)
{
    char *copy = tp_arena_alloc(arena, a.len + b.len + 1);

    if (a.len)
        memcpy(copy, a.data, a.len);
    if (b.len)
        memcpy(copy + a.len, b.data, b.len);
    copy[a.len + b.len] = '\0';
    return tp_str_make(copy, a.len + b.len);
}

struct tp_str tp_arena_vprintf(struct tp_arena *arena, const char *format, va_list args)
{
    va_list again;
    int len;
    char *text;

    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    TP_ASSERT(len >= 0);
    text = tp_arena_alloc(arena, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, format, args);
    return tp_str_make(text, (size_t)len);
}

struct tp_str tp_arena_printf(struct tp_arena *arena, const char *format, ...)
{
    struct tp_str s;
    va_list args;

    va_start(args, format);
    s = tp_arena_vprintf(arena, format, args);
    va_end(args);
    return s;
}

void tp_arena_defer(struct tp_arena *arena, void (*fn)(void *data), void *data)
{
    struct deferred *d = tp_arena_new_type(arena, struct deferred);

    d->fn = fn;
    d->data = data;
    d->next = arena->deferred;
    arena->deferred = d;
}
