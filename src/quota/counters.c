/*
 * Taking calls from windows: see counters.h. The identity's digest is not keyed with the file's secret, so that saved
 * counts can be put back into a new file; tags are.
 */
#include "quota/counters.h"

#include "base/mem.h"
#include "quota/cells.h"
#include "quota/windows.h"
#include "turnpike/err.h"

#include <math.h>

#define TABLES 2

struct tp_counters {
    struct tp_cell_table tables[TABLES];
};

/* One limited window of a decision. */
struct window {
    enum tp_period period;
    int64_t number;
    uint64_t limit;
    uint64_t tag;
};

struct windows {
    struct window items[TP_PERIODS]; /* the longest first */
    size_t count;
};

enum tp_err tp_counters_open_file(struct tp_shm **out, const char *path, uint64_t identities, uint64_t addresses,
                                  struct tp_diag *diag)
{
    const struct tp_shm_section sections[] = {
        { TP_COUNTERS_SECTION_IDENTITIES, (size_t)identities * sizeof(struct tp_cell) },
        { TP_COUNTERS_SECTION_ADDRESSES, (size_t)addresses * sizeof(struct tp_cell) },
    };

    return tp_shm_open(out, path, sections, sizeof(sections) / sizeof(sections[0]), diag);
}

struct tp_counters *tp_counters_new(struct tp_shm *shm)
{
    static const char *const sections[TABLES] = {
        [TP_QUOTA_IDENTITIES] = TP_COUNTERS_SECTION_IDENTITIES,
        [TP_QUOTA_ADDRESSES] = TP_COUNTERS_SECTION_ADDRESSES,
    };
    struct tp_counters *counters = tp_new(struct tp_counters);

    for (int i = 0; i < TABLES; i++) {
        size_t size = 0;
        void *memory = tp_shm_section(shm, sections[i], &size);

        tp_cell_table_init(&counters->tables[i], memory, size, tp_shm_hash_key(shm));
    }
    return counters;
}

void tp_counters_free(struct tp_counters *counters)
{
    free(counters);
}

static void name_of(const struct tp_quota_key *key, struct tp_cell_name *out)
{
    static const struct tp_hash_key digest = { { 't', 'p', '-', 'q', 'u', 'o', 't', 'a', '-', '1' } };

    memcpy(out->words, key->instance.bytes, sizeof(key->instance.bytes));
    if (key->identity.data)
        tp_hash128(&digest, key->identity, &out->words[2]);
    else
        memcpy(&out->words[2], key->id.bytes, sizeof(key->id.bytes));
}

/* How many calls a limit admits: one while used < limit, so a fraction rounds up. */
static uint64_t calls_of_limit(double limit)
{
    if (!(limit > 0))
        return 0;
    return limit >= (double)TP_WORD_COUNT_MAX ? TP_WORD_COUNT_MAX : (uint64_t)ceil(limit);
}

static void find_windows(uint64_t hash, bool flat, int64_t now_s, struct tp_quota_state *state, struct windows *out)
{
    out->count = 0;
    for (int p = TP_PERIODS - 1; p >= 0; p--) {
        enum tp_period period = (enum tp_period)p;
        int64_t number;

        if (isnan(state->limit[p]))
            continue;
        number = tp_window_number(period, now_s);
        state->window[p] = tp_window_of_number(period, number, flat);
        out->items[out->count++] = (struct window){
            .period = period,
            .number = number,
            .limit = calls_of_limit(state->limit[p]),
            .tag = tp_cell_tag_of_hash(hash, period),
        };
    }
}

static uint64_t used_in(const struct tp_cell_table *table, const struct window *w)
{
    const struct tp_cell *cell = tp_cell_find(table, w->tag);
    uint64_t word = cell ? atomic_load(&cell->word) : 0;

    return cell && tp_word_is_current(word, w->period, w->number) ? tp_word_count(word) : 0;
}

/* Fills `used`; true when every window has room. */
static bool look(const struct tp_cell_table *table, const struct windows *windows, struct tp_quota_state *state)
{
    for (size_t i = 0; i < windows->count; i++) {
        const struct window *w = &windows->items[i];

        state->used[w->period] = used_in(table, w);
        if (state->used[w->period] >= w->limit && !state->refused) {
            state->refused = true;
            state->refused_by = w->period;
        }
    }
    return !state->refused;
}

/* Count one call less, unless the window has moved on. */
static void give_back(struct tp_cell *cell, uint64_t window)
{
    uint64_t word = atomic_load(&cell->word);

    while (tp_word_window(word) == window && tp_word_count(word) > 0)
        if (atomic_compare_exchange_weak(&cell->word, &word, word - 1))
            return;
}

enum taking { TAKEN, REFUSED, MOVED };

/*
 * One call from one window, in one step: the exchange rolls the window over and counts, and only while there is
 * room. *used is the count after. MOVED: the cell was evicted meanwhile.
 */
static enum taking take_from(struct tp_cell *cell, const struct window *w, uint64_t *used)
{
    uint64_t word = atomic_load(&cell->word);
    uint64_t next;

    do {
        bool current = tp_word_is_current(word, w->period, w->number);

        *used = current ? tp_word_count(word) : 0;
        next = current ? word + 1 : tp_word_make(w->number, 1);
        if (atomic_load(&cell->tag) != w->tag)
            return MOVED;
        if (*used >= w->limit)
            return REFUSED;
    } while (!atomic_compare_exchange_weak(&cell->word, &word, next));
    if (atomic_load(&cell->tag) != w->tag) {
        give_back(cell, tp_word_window(next)); /* it was the new owner's count */
        return MOVED;
    }
    ++*used;
    return TAKEN;
}

static bool take_one(const struct tp_cell_table *table, const struct window *w, const struct tp_cell_name *name,
                     int64_t now_s, uint64_t *used)
{
    enum taking taking;

    do
        taking = take_from(tp_cell_obtain(table, w->tag, name, now_s), w, used);
    while (taking == MOVED);
    return taking == TAKEN;
}

static void take_back(const struct tp_cell_table *table, const struct window *w)
{
    struct tp_cell *cell = tp_cell_find(table, w->tag);
    uint64_t word = cell ? atomic_load(&cell->word) : 0;

    if (cell && tp_word_is_current(word, w->period, w->number))
        give_back(cell, tp_word_window(word));
}

static void take_all(const struct tp_cell_table *table, struct windows *windows, const struct tp_cell_name *name,
                     int64_t now_s, struct tp_quota_state *state)
{
    size_t i;

    for (i = 0; i < windows->count; i++) {
        const struct window *w = &windows->items[i];

        if (!take_one(table, w, name, now_s, &state->used[w->period]))
            break;
    }
    if (i == windows->count)
        return;
    state->refused = true;
    state->refused_by = windows->items[i].period;
    while (i-- > 0) {
        take_back(table, &windows->items[i]);
        state->used[windows->items[i].period]--;
    }
}

void tp_counters_take(struct tp_counters *counters, const struct tp_quota_key *key, bool flat, int64_t now_s,
                      struct tp_quota_state *state)
{
    const struct tp_cell_table *table = &counters->tables[key->table];
    struct tp_cell_name name;
    struct windows windows;

    state->refused = false;
    name_of(key, &name);
    find_windows(tp_cell_hash(table, &name), flat, now_s, state, &windows);
    /* Looking first keeps calls that a shorter window refuses from touching the longer ones at all. */
    if (windows.count == 1 || look(table, &windows, state))
        take_all(table, &windows, &name, now_s, state);
}

void tp_counters_peek(struct tp_counters *counters, const struct tp_quota_key *key, bool flat, int64_t now_s,
                      struct tp_quota_state *state)
{
    const struct tp_cell_table *table = &counters->tables[key->table];
    struct tp_cell_name name;
    struct windows windows;

    state->refused = false;
    name_of(key, &name);
    find_windows(tp_cell_hash(table, &name), flat, now_s, state, &windows);
    look(table, &windows, state);
}

uint64_t tp_counters_evicted(const struct tp_counters *counters)
{
    uint64_t sum = 0;

    for (int i = 0; i < TABLES; i++)
        sum += atomic_load(&counters->tables[i].head->evicted);
    return sum;
}

/* The cell as an image, when it is to be saved. Marks it saved. */
static bool unsaved_image(const struct tp_cell_table *table, struct tp_cell *cell, struct tp_counter_image *out)
{
    uint64_t tag = atomic_load(&cell->tag);
    uint64_t word = atomic_load(&cell->word);
    struct tp_cell_name name;

    if (!tp_cell_tag_is_cell(tag) || tp_cell_tag_period(tag) < TP_HOUR || tp_word_count(word) == 0 ||
        atomic_load(&cell->saved) == word)
        return false;
    for (int i = 0; i < TP_CELL_NAME_WORDS; i++)
        name.words[i] = atomic_load_explicit(&cell->name[i], memory_order_relaxed);
    out->period = tp_cell_tag_period(tag);
    /* The cell may have changed hands meanwhile: a name that does not make the tag is another's. */
    if (tp_cell_tag(table, &name, out->period) != tag || atomic_load(&cell->tag) != tag)
        return false;
    atomic_store(&cell->saved, word);
    memcpy(out->name, name.words, sizeof(out->name));
    out->window_start = tp_window_start(out->period, (int64_t)tp_word_window(word));
    out->count = tp_word_count(word);
    return true;
}

size_t tp_counters_unsaved(struct tp_counters *counters, uint64_t *cursor, struct tp_counter_image *out, size_t max)
{
    size_t filled = 0;
    uint64_t base = 0;

    if (*cursor == UINT64_MAX)
        return 0;
    for (int t = 0; t < TABLES; t++) {
        const struct tp_cell_table *table = &counters->tables[t];
        uint64_t cells = table->buckets * 8;

        for (; *cursor < base + cells; ++*cursor) {
            if (filled == max)
                return filled;
            if (!unsaved_image(table, &table->cells[*cursor - base], &out[filled]))
                continue;
            out[filled++].table = (enum tp_quota_table)t;
        }
        base += cells;
    }
    *cursor = UINT64_MAX;
    return filled;
}

void tp_counters_restore(struct tp_counters *counters, const struct tp_counter_image *image)
{
    const struct tp_cell_table *table = &counters->tables[image->table];
    int64_t number = tp_window_number(image->period, image->window_start);
    uint64_t count = image->count < TP_WORD_COUNT_MAX ? image->count : TP_WORD_COUNT_MAX;
    struct tp_cell_name name;
    struct tp_cell *cell;
    uint64_t tag, word;

    memcpy(name.words, image->name, sizeof(name.words));
    tag = tp_cell_tag(table, &name, image->period);
    cell = tp_cell_obtain(table, tag, &name, image->window_start);
    word = atomic_load(&cell->word);
    while (atomic_load(&cell->tag) == tag) {
        int64_t ahead = tp_word_ahead(word, number);

        if (word != 0 && (ahead > 0 || (ahead == 0 && tp_word_count(word) >= count)))
            return;
        if (atomic_compare_exchange_weak(&cell->word, &word, tp_word_make(number, count))) {
            atomic_store(&cell->saved, tp_word_make(number, count));
            return;
        }
    }
}
