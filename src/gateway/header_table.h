/*
 * Headers of a request in order, duplicates kept. Names compare without case, and '_' equals '-'.
 *
 * Every name has a mark, made once from its length and three of its letters: a look-up compares marks and
 * touches the text only where they agree. Text is borrowed.
 */
#ifndef TP_GATEWAY_HEADER_TABLE_H
#define TP_GATEWAY_HEADER_TABLE_H

#include "turnpike/request.h"

struct tp_header_table {
    struct tp_arena *arena;
    struct tp_header *items;
    uint32_t *marks;
    size_t count, capacity;
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

bool tp_header_name_eq(struct tp_str a, struct tp_str b);

void tp_header_table_init(struct tp_header_table *table, struct tp_arena *arena, const struct tp_header *from,
                          size_t count);

/* Position of the first `name` at or behind `from`; table->count when there is none. */
size_t tp_header_table_find(const struct tp_header_table *table, struct tp_str name, size_t from);

void tp_header_table_add(struct tp_header_table *table, struct tp_str name, struct tp_str value);
/* One header in the place of the first of that name, keeping its spelling; the others go. */
void tp_header_table_set(struct tp_header_table *table, struct tp_str name, struct tp_str value);
void tp_header_table_remove(struct tp_header_table *table, struct tp_str name);

/*
 * A value that cannot break out of its line: control characters but TAB become %XX. Returns `value` itself when
 * there are none. Names must be tokens.
 */
struct tp_str tp_header_safe_value(struct tp_arena *arena, struct tp_str value);
bool tp_header_name_valid(struct tp_str name);

#endif
