/*
 * Arenas: chunks in a list, the newest first; a piece too large for a chunk gets one of its own.
 *
 * The first chunk is allocated together with the arena itself, so that a small request costs one malloc.
 */
#include "turnpike/arena.h"

#include "base/arena_spares.h"
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
#define SPARE_SIZE 8192
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
    char *at; /* free part of the newest chunk */
    char *end;
    struct chunk *chunks; /* all but the first, which lies behind this struct */
    struct deferred *deferred;
    struct tp_arena_spares *spares; /* where the first chunk goes; NULL: to the heap */
    struct tp_arena *next;          /* among the spares */
    char *first_end;
    alignas(max_align_t) char first[];
};

struct tp_arena_spares {
    struct tp_arena *first;
    size_t count, max;
};

static struct tp_arena *make(size_t size, struct tp_arena_spares *spares)
{
    struct tp_arena *arena = tp_malloc(size);

    arena->chunks = NULL;
    arena->deferred = NULL;
    arena->spares = spares;
    arena->first_end = (char *)arena + size;
    POISON(arena->first, size - sizeof(*arena));
    return arena;
}

static struct tp_arena *begin(struct tp_arena *arena)
{
    arena->at = arena->first;
    arena->end = arena->first_end;
    return arena;
}

struct tp_arena *tp_arena_new(void)
{
    return begin(make(CHUNK_SIZE, NULL));
}

struct tp_arena_spares *tp_arena_spares_new(size_t max)
{
    struct tp_arena_spares *spares = tp_new(struct tp_arena_spares);

    spares->max = max;
    return spares;
}

static void free_first(struct tp_arena *arena)
{
    UNPOISON(arena, (size_t)(arena->first_end - (char *)arena));
    free(arena);
}

void tp_arena_spares_free(struct tp_arena_spares *spares)
{
    if (!spares)
        return;
    while (spares->first) {
        struct tp_arena *arena = spares->first;

        spares->first = arena->next;
        free_first(arena);
    }
    free(spares);
}

struct tp_arena *tp_arena_new_from(struct tp_arena_spares *spares)
{
    struct tp_arena *arena = spares->first;

    if (!arena)
        return begin(make(SPARE_SIZE, spares));
    spares->first = arena->next;
    spares->count--;
    return begin(arena);
}

static void give_back(struct tp_arena *arena)
{
    struct tp_arena_spares *spares = arena->spares;

    if (!spares || spares->count == spares->max) {
        free_first(arena);
        return;
    }
    POISON(arena->first, (size_t)(arena->first_end - arena->first));
    arena->next = spares->first;
    spares->first = arena;
    spares->count++;
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
    give_back(arena);
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
    size_t room = (size_t)(arena->end - arena->at);
    size_t need = (size + REDZONE + !size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    char *p = arena->at;

    if (size <= room && need <= room) {
        arena->at = p + need;
    } else {
        TP_ASSERT(size <= SIZE_MAX / 2);
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

struct tp_str tp_arena_decimal(struct tp_arena *arena, uint64_t n)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";
    enum { ROOM = 21 }; /* the digits of UINT64_MAX and the NUL */
    char *text = tp_arena_alloc(arena, ROOM);
    size_t at = ROOM - 1;

    text[at] = '\0';
    for (; n >= 100; n /= 100) {
        at -= 2;
        memcpy(text + at, pairs + n % 100 * 2, 2);
    }
    if (n >= 10) {
        at -= 2;
        memcpy(text + at, pairs + n * 2, 2);
    } else {
        text[--at] = (char)('0' + n);
    }
    return tp_str_make(text + at, ROOM - 1 - at);
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
