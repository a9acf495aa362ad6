/*
 * Headers of a request in order, duplicates kept. Names compare without case, and '_' equals '-'.
 *
 * Every name has a mark, made once from its length and three of its letters: a look-up compares marks and
 * touches the text only where they agree; a word of bits tells of most absent names that they are. Text is borrowed.
 */
#ifndef TP_GATEWAY_HEADER_TABLE_H
#define TP_GATEWAY_HEADER_TABLE_H

#include "turnpike/request.h"

struct tp_header_table {
    struct tp_arena *arena;
    struct tp_header *items;
    uint32_t *marks;
    size_t count, capacity;
    uint64_t seen; /* tp_header_mark_bit of every name that is, or was, in the table */
};

/* How a letter of a name compares: lower case, '_' as '-'. */
static inline unsigned char tp_header_fold(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned char)(c | 0x20);
    return c == '_' ? '-' : (unsigned char)c;
}

static inline uint32_t tp_header_mark(struct tp_str name)
{
    if (name.len == 0)
        return 0;
    return (uint32_t)(name.len & 0xff) | (uint32_t)tp_header_fold(name.data[0]) << 8 |
           (uint32_t)tp_header_fold(name.data[name.len / 2]) << 16 |
           (uint32_t)tp_header_fold(name.data[name.len - 1]) << 24;
}

static inline uint64_t tp_header_mark_bit(uint32_t mark)
{
    return UINT64_C(1) << (mark * UINT32_C(0x9e3779b1) >> 26);
}

bool tp_header_bytes_eq(const char *a, const char *b, size_t len);

static inline bool tp_header_name_eq(struct tp_str a, struct tp_str b)
{
    return a.len == b.len && tp_header_bytes_eq(a.data, b.data, a.len);
}

void tp_header_table_init(struct tp_header_table *table, struct tp_arena *arena, const struct tp_header *from,
                          size_t count);

size_t tp_header_table_search(const struct tp_header_table *table, struct tp_str name, uint32_t mark, size_t from);

/* Position of the first `name` at or behind `from`; table->count when there is none. Most names asked for are absent.
 */
static inline size_t tp_header_table_find(const struct tp_header_table *table, struct tp_str name, size_t from)
{
    uint32_t mark = tp_header_mark(name);

    return table->seen & tp_header_mark_bit(mark) ? tp_header_table_search(table, name, mark, from) : table->count;
}

void tp_header_table_append(struct tp_header_table *table, struct tp_str name, uint32_t mark, struct tp_str value);
/* Drop every `name` at or behind `from`, keeping the order of the rest. */
void tp_header_table_remove_from(struct tp_header_table *table, struct tp_str name, uint32_t mark, size_t from);

static inline void tp_header_table_add(struct tp_header_table *table, struct tp_str name, struct tp_str value)
{
    tp_header_table_append(table, name, tp_header_mark(name), value);
}

/* One header in the place of the first of that name, keeping its spelling; the others go. */
static inline void tp_header_table_set(struct tp_header_table *table, struct tp_str name, struct tp_str value)
{
    size_t at = tp_header_table_find(table, name, 0);

    if (at == table->count) {
        tp_header_table_add(table, name, value);
        return;
    }
    table->items[at].value = value;
    tp_header_table_remove_from(table, name, tp_header_mark(name), at + 1);
}

static inline void tp_header_table_remove(struct tp_header_table *table, struct tp_str name)
{
    size_t at = tp_header_table_find(table, name, 0);

    if (at < table->count)
        tp_header_table_remove_from(table, name, tp_header_mark(name), at);
}

/*
 * A value that cannot break out of its line: control characters but TAB become %XX. Returns `value` itself when
 * there are none. Names must be tokens.
 */
struct tp_str tp_header_safe_value(struct tp_arena *arena, struct tp_str value);
bool tp_header_name_valid(struct tp_str name);

#endif
