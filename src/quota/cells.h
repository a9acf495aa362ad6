/*
 * A table of counter cells in shared memory: finding, making and evicting cells. counters.c counts in them.
 *
 * A cell is 64 bytes: its tag, which names it, and its word, which counts. A tag hashes to two buckets of eight
 * cells; a cell lies in one of the sixteen places. All access is atomic, there are no locks, and a process may
 * die at any instruction: see the diagram in cells.c.
 */
#ifndef TP_QUOTA_CELLS_H
#define TP_QUOTA_CELLS_H

#include "base/hash.h"
#include "turnpike/quota.h"

#include <stdatomic.h>

#define TP_CELL_NAME_WORDS 4

struct tp_cell {
    _Atomic uint64_t tag;   /* 0: free; top bit: claimed by someone who makes a cell; else whose it is */
    _Atomic uint64_t word;  /* window number and count: tp_word_make */
    _Atomic uint64_t saved; /* the word that was saved last */
    _Atomic uint64_t name[TP_CELL_NAME_WORDS]; /* instance and identity's digest: for saving */
    uint64_t spare;
};

struct tp_cell_head {
    _Atomic uint64_t evicted; /* cells taken over while their window still ran */
};

/* A process's view of a table. */
struct tp_cell_table {
    struct tp_cell_head *head;
    struct tp_cell *cells;
    uint64_t buckets;
    const struct tp_hash_key *key;
};

/* What a tag is made of. */
struct tp_cell_name {
    uint64_t words[TP_CELL_NAME_WORDS];
};

/* Lay the table over `size` bytes, zeroed when new. TP_ASSERTs room for a bucket. */
void tp_cell_table_init(struct tp_cell_table *table, void *memory, size_t size, const struct tp_hash_key *key);

/* Never 0, top bit clear; the period is in the low bits. */
uint64_t tp_cell_tag(const struct tp_cell_table *table, const struct tp_cell_name *name, enum tp_period period);
/* The tag of the same name for another period, from the hash that tp_cell_hash gives. */
uint64_t tp_cell_hash(const struct tp_cell_table *table, const struct tp_cell_name *name);
uint64_t tp_cell_tag_of_hash(uint64_t hash, enum tp_period period);
enum tp_period tp_cell_tag_period(uint64_t tag);
bool tp_cell_tag_is_cell(uint64_t tag);

/* NULL: there is none. */
struct tp_cell *tp_cell_find(const struct tp_cell_table *table, uint64_t tag);
/* Find or make. `now_s` tells which cells have expired. The cell may be evicted any time: check its tag after. */
struct tp_cell *tp_cell_obtain(const struct tp_cell_table *table, uint64_t tag, const struct tp_cell_name *name,
                               int64_t now_s);

/* --- The word: 28 bits of window number, 36 bits of count -------------------------------------- */

#define TP_WORD_COUNT_BITS 36
#define TP_WORD_COUNT_MAX ((UINT64_C(1) << TP_WORD_COUNT_BITS) - 1)
#define TP_WORD_WINDOW_MASK ((UINT64_C(1) << (64 - TP_WORD_COUNT_BITS)) - 1)

static inline uint64_t tp_word_make(int64_t window, uint64_t count)
{
    return ((uint64_t)window & TP_WORD_WINDOW_MASK) << TP_WORD_COUNT_BITS | count;
}

static inline uint64_t tp_word_count(uint64_t word)
{
    return word & TP_WORD_COUNT_MAX;
}

static inline uint64_t tp_word_window(uint64_t word)
{
    return word >> TP_WORD_COUNT_BITS;
}

/*
 * Windows that the word is ahead of `window` (negative: behind). Numbers of seconds do not fit and wrap after
 * eight years, hence the signed difference.
 */
static inline int64_t tp_word_ahead(uint64_t word, int64_t window)
{
    uint64_t difference = (tp_word_window(word) - (uint64_t)window) & TP_WORD_WINDOW_MASK;

    return (int64_t)(difference << TP_WORD_COUNT_BITS) >> TP_WORD_COUNT_BITS;
}

/*
 * Whether the word counts for `window` now: it is that window's, or of one just ahead. Workers read their clocks
 * at different moments, and a window that one has opened must not be closed again by another that is a little late.
 */
bool tp_word_is_current(uint64_t word, enum tp_period period, int64_t window);

#endif
