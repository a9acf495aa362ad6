/*
 * Cells: see cells.h. The life of a cell's tag:
 *
 *            claim (victim's tag or 0 → claim)         commit (claim → tag)
 *   free ───────────────────────────────► claimed ───────────────────────► tag ──► (claimed again: evicted)
 *     ▲                                      │
 *     └────── released by its owner, or kicked out by another that waited long enough
 *
 * A claim carries a random number and so is never mistaken for another. Who claimed looks at all places of the tag
 * again: if the cell is there already, or someone has a claim at a lower address, it releases its own; a claim at a
 * higher address is kicked out. Of two that make the same cell the later one thus sees the earlier one, so one tag
 * never has two cells; and a claim whose owner was killed is kicked out by the next who comes along.
 */
#include "quota/cells.h"

#include "quota/windows.h"
#include "turnpike/err.h"

#include <sched.h>

#define BUCKET 8
#define PLACES (2 * BUCKET)
#define CLAIM (UINT64_C(1) << 63)
#define PERIOD_MASK UINT64_C(7)
#define PATIENCE 10000 /* turns given to others while one has a claim: far more than making a cell takes */
#define ROOMY 4        /* free cells in the first bucket at which the second is not considered */

/* The sixteen places of a tag, the first bucket's first. */
struct places {
    struct tp_cell *at[PLACES];
};

void tp_cell_table_init(struct tp_cell_table *table, void *memory, size_t size, const struct tp_hash_key *key)
{
    size_t head = BUCKET * sizeof(struct tp_cell);

    _Static_assert(sizeof(struct tp_cell) == 64, "a cell is a cache line");
    TP_ASSERT(memory && size >= 2 * head);
    table->head = memory;
    table->cells = (struct tp_cell *)((char *)memory + head);
    table->buckets = (size - head) / head;
    table->key = key;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

uint64_t tp_cell_hash(const struct tp_cell_table *table, const struct tp_cell_name *name)
{
    return tp_hash64(table->key, tp_str_make((const char *)name->words, sizeof(name->words)));
}

uint64_t tp_cell_tag_of_hash(uint64_t hash, enum tp_period period)
{
    uint64_t mixed = mix(hash + (uint64_t)period * UINT64_C(0x9e3779b97f4a7c15));
    uint64_t tag = (mixed & ~(CLAIM | PERIOD_MASK)) | (uint64_t)period;

    return tag ? tag : PERIOD_MASK + 1;
}

uint64_t tp_cell_tag(const struct tp_cell_table *table, const struct tp_cell_name *name, enum tp_period period)
{
    return tp_cell_tag_of_hash(tp_cell_hash(table, name), period);
}

enum tp_period tp_cell_tag_period(uint64_t tag)
{
    return (enum tp_period)(tag & PERIOD_MASK);
}

bool tp_cell_tag_is_cell(uint64_t tag)
{
    return tag != 0 && !(tag & CLAIM) && (tag & PERIOD_MASK) < TP_PERIODS;
}

bool tp_word_is_current(uint64_t word, enum tp_period period, int64_t window)
{
    int64_t ahead = tp_word_ahead(word, window);

    return ahead >= 0 && ahead <= (period == TP_SECOND ? 10 : 1);
}

static struct tp_cell *bucket_at(const struct tp_cell_table *table, uint64_t hash32)
{
    return &table->cells[(hash32 * table->buckets >> 32) * BUCKET];
}

static struct tp_cell *first_bucket(const struct tp_cell_table *table, uint64_t tag)
{
    return bucket_at(table, tag >> 31);
}

static struct tp_cell *second_bucket(const struct tp_cell_table *table, uint64_t tag)
{
    return bucket_at(table, mix(tag) >> 32);
}

static struct tp_cell *find_in(struct tp_cell *bucket, uint64_t tag)
{
    for (int i = 0; i < BUCKET; i++)
        if (atomic_load(&bucket[i].tag) == tag)
            return &bucket[i];
    return NULL;
}

struct tp_cell *tp_cell_find(const struct tp_cell_table *table, uint64_t tag)
{
    struct tp_cell *cell = find_in(first_bucket(table, tag), tag);

    return cell ? cell : find_in(second_bucket(table, tag), tag);
}

static void find_places(const struct tp_cell_table *table, uint64_t tag, struct places *places)
{
    struct tp_cell *first = first_bucket(table, tag);
    struct tp_cell *second = second_bucket(table, tag);

    for (int i = 0; i < BUCKET; i++) {
        places->at[i] = &first[i];
        places->at[BUCKET + i] = &second[i];
    }
}

static bool has_claim(const struct places *places)
{
    for (int i = 0; i < PLACES; i++)
        if (atomic_load(&places->at[i]->tag) & CLAIM)
            return true;
    return false;
}

static void kick_claims(const struct places *places)
{
    for (int i = 0; i < PLACES; i++) {
        uint64_t tag = atomic_load(&places->at[i]->tag);

        if (tag & CLAIM)
            atomic_compare_exchange_strong(&places->at[i]->tag, &tag, 0);
    }
}

/* A free place: in the first bucket while it is roomy, then in the emptier one, so that buckets fill evenly. */
static struct tp_cell *free_place(const struct places *places)
{
    int room[2] = { 0, 0 };
    struct tp_cell *found[2] = { NULL, NULL };

    for (int i = 0; i < PLACES; i++) {
        if (atomic_load(&places->at[i]->tag) != 0)
            continue;
        room[i / BUCKET]++;
        if (!found[i / BUCKET])
            found[i / BUCKET] = places->at[i];
    }
    return room[0] >= ROOMY || room[0] >= room[1] ? found[0] : found[1];
}

static bool has_expired(uint64_t tag, uint64_t word, int64_t now_s)
{
    enum tp_period period = tp_cell_tag_period(tag);

    return !tp_word_is_current(word, period, tp_window_number(period, now_s));
}

/* Expired cells first, then the lowest count; of equal counts the shorter period. */
static struct tp_cell *victim_place(const struct places *places, int64_t now_s, uint64_t *old, bool *live)
{
    struct tp_cell *best = NULL;
    uint64_t best_rank = UINT64_MAX;

    for (int i = 0; i < PLACES; i++) {
        struct tp_cell *cell = places->at[i];
        uint64_t tag = atomic_load(&cell->tag);
        uint64_t word = atomic_load(&cell->word);
        uint64_t rank;

        if (!tp_cell_tag_is_cell(tag))
            continue;
        if (has_expired(tag, word, now_s)) {
            *old = tag;
            *live = false;
            return cell;
        }
        rank = tp_word_count(word) << 3 | (tag & PERIOD_MASK);
        if (rank < best_rank) {
            best = cell;
            best_rank = rank;
            *old = tag;
            *live = true;
        }
    }
    return best;
}

/* After the claim: true when nobody else has, or is making, the tag's cell. */
static bool is_alone(const struct places *places, uint64_t tag, struct tp_cell *mine)
{
    for (int i = 0; i < PLACES; i++) {
        struct tp_cell *cell = places->at[i];
        uint64_t seen = cell == mine ? 0 : atomic_load(&cell->tag);

        if (seen == tag)
            return false;
        if (!(seen & CLAIM))
            continue;
        if (cell < mine)
            return false;
        if (!atomic_compare_exchange_strong(&cell->tag, &seen, 0))
            i--; /* it moved on: look again */
    }
    return true;
}

/*
 * Make the claimed place ready for its new owner; false when the claim was kicked out meanwhile.
 *
 * The word goes to 0 by exchange, not by a store, for two reasons: one who is taking a call from the old owner must
 * see that it changed; and one who sleeps here long enough to be kicked out must not wipe what the next owner
 * counted. (Saved and name may be overwritten then: counters.c checks names before it believes them.)
 */
static bool clear_cell(struct tp_cell *cell, uint64_t claim, const struct tp_cell_name *name)
{
    uint64_t word = atomic_load(&cell->word);

    do
        if (atomic_load(&cell->tag) != claim)
            return false;
    while (word != 0 && !atomic_compare_exchange_weak(&cell->word, &word, 0));
    atomic_store(&cell->saved, 0);
    for (int i = 0; i < TP_CELL_NAME_WORDS; i++)
        atomic_store_explicit(&cell->name[i], name->words[i], memory_order_relaxed);
    return true;
}

/* One attempt to make the cell; false: somebody else moved, look again. */
static bool try_make(const struct tp_cell_table *table, const struct places *places, uint64_t tag,
                     const struct tp_cell_name *name, int64_t now_s)
{
    uint64_t old = 0, claim;
    bool live = false;
    struct tp_cell *cell = free_place(places);

    if (!cell)
        cell = victim_place(places, now_s, &old, &live);
    if (!cell)
        return false;
    tp_random_bytes(&claim, sizeof(claim));
    claim |= CLAIM;
    if (!atomic_compare_exchange_strong(&cell->tag, &old, claim))
        return false;
    if (is_alone(places, tag, cell) && clear_cell(cell, claim, name)) {
        old = claim;
        if (!atomic_compare_exchange_strong(&cell->tag, &old, tag))
            return false;
        if (live)
            atomic_fetch_add(&table->head->evicted, 1);
        return true;
    }
    atomic_compare_exchange_strong(&cell->tag, &claim, 0);
    return false;
}

struct tp_cell *tp_cell_obtain(const struct tp_cell_table *table, uint64_t tag, const struct tp_cell_name *name,
                               int64_t now_s)
{
    struct places places;
    struct tp_cell *cell;

    cell = tp_cell_find(table, tag);
    if (cell)
        return cell;
    find_places(table, tag, &places);
    for (unsigned round = 1;; round++) {
        cell = tp_cell_find(table, tag);
        if (cell)
            return cell;
        if (!has_claim(&places))
            try_make(table, &places, tag, name, now_s);
        else if (round % PATIENCE == 0)
            kick_claims(&places);
        else
            sched_yield();
    }
}
