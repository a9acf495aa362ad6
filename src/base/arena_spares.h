/*
 * First pieces of arenas, kept when an arena ends for the next one: requests come and go by the thousand, and the
 * heap need not be asked for each. One thread's own.
 */
#ifndef TP_BASE_ARENA_SPARES_H
#define TP_BASE_ARENA_SPARES_H

#include "turnpike/arena.h"

struct tp_arena_spares;

/* Keeps at most `max` pieces of 8 KiB. */
struct tp_arena_spares *tp_arena_spares_new(size_t max);
/* NULL is accepted. No arena made from them may be left. */
void tp_arena_spares_free(struct tp_arena_spares *spares);

/* As tp_arena_new; tp_arena_free gives the piece back. */
struct tp_arena *tp_arena_new_from(struct tp_arena_spares *spares);

#endif
