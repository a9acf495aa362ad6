/* Header tables: header_table.h. */
#include "gateway/header_table.h"

#define SPARE 16 /* room for what plugins add, before the table grows */

static bool each_eq(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (a[i] != b[i] && tp_header_fold(a[i]) != tp_header_fold(b[i]))
            return false;
    }
    return true;
}

static inline bool same_word(const char *a, const char *b, size_t size)
{
    return memcmp(a, b, size) == 0; /* of constant size: two loads */
}

/* Names that are alike are nearly always spelled alike: then words compare. The last word may overlap the one before.
 */
bool tp_header_bytes_eq(const char *a, const char *b, size_t len)
{
    if (len < 8)
        return (len >= 4 && same_word(a, b, 4) && same_word(a + len - 4, b + len - 4, 4)) || each_eq(a, b, len);
    for (size_t i = 0; i < len; i += 8) {
        size_t at = i + 8 <= len ? i : len - 8;

        if (!same_word(a + at, b + at, 8) && !each_eq(a + at, b + at, 8))
            return false;
    }
    return true;
}

static void grow(struct tp_header_table *table, size_t capacity)
{
    struct tp_header *items = tp_arena_alloc(table->arena, capacity * sizeof(*items));
    uint32_t *marks = tp_arena_alloc(table->arena, capacity * sizeof(*marks));

    if (table->count) {
        memcpy(items, table->items, table->count * sizeof(*items));
        memcpy(marks, table->marks, table->count * sizeof(*marks));
    }
    table->items = items;
    table->marks = marks;
    table->capacity = capacity;
}

void tp_header_table_init(struct tp_header_table *table, struct tp_arena *arena, const struct tp_header *from,
                          size_t count)
{
    *table = (struct tp_header_table){ .arena = arena };
    grow(table, count + SPARE);
    for (size_t i = 0; i < count; i++) {
        table->items[i] = from[i];
        table->marks[i] = tp_header_mark(from[i].name);
        table->seen |= tp_header_mark_bit(table->marks[i]);
    }
    table->count = count;
}

size_t tp_header_table_search(const struct tp_header_table *table, struct tp_str name, uint32_t mark, size_t from)
{
    for (size_t i = from; i < table->count; i++) {
        if (table->marks[i] == mark && tp_header_name_eq(table->items[i].name, name))
            return i;
    }
    return table->count;
}

void tp_header_table_append(struct tp_header_table *table, struct tp_str name, uint32_t mark, struct tp_str value)
{
    if (table->count == table->capacity)
        grow(table, table->capacity * 2);
    table->items[table->count] = (struct tp_header){ name, value };
    table->marks[table->count++] = mark;
    table->seen |= tp_header_mark_bit(mark);
}

void tp_header_table_remove_from(struct tp_header_table *table, struct tp_str name, uint32_t mark, size_t from)
{
    size_t w = tp_header_table_search(table, name, mark, from);

    for (size_t r = w; r < table->count; r++) {
        if (table->marks[r] == mark && tp_header_name_eq(table->items[r].name, name))
            continue;
        table->items[w] = table->items[r];
        table->marks[w++] = table->marks[r];
    }
    table->count = w;
}

/* RFC 9110 §5.6.2. */
static const unsigned char token_chars[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1,         ['&'] = 1,         ['\''] = 1,
    ['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1,         ['^'] = 1,         ['_'] = 1,
    ['`'] = 1, ['|'] = 1, ['~'] = 1, ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
};

static bool breaks_line(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

/* Eight bytes at once: whether one of them may break a line; TAB is accused too. */
static bool is_suspect(const char *bytes)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    uint64_t x, del;

    memcpy(&x, bytes, 8);
    del = x ^ ones * 0x7f;
    return ((x - ones * 0x20) & ~x & tops) | ((del - ones) & ~del & tops);
}

/* Bytes that have to be written as %XX. */
static size_t count_breaks(struct tp_str value)
{
    size_t count = 0, i = 0;

    while (i + 8 <= value.len && !is_suspect(value.data + i))
        i += 8;
    if (i + 8 > value.len && value.len >= 8 && !is_suspect(value.data + value.len - 8))
        return 0; /* the last eight may overlap what was seen */
    for (; i < value.len; i++)
        count += breaks_line(value.data[i]);
    return count;
}

struct tp_str tp_header_safe_value(struct tp_arena *arena, struct tp_str value)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t odd = count_breaks(value), w = 0;
    char *out;

    if (odd == 0)
        return value;
    out = tp_arena_alloc(arena, value.len + 2 * odd + 1);
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.data[i];

        if (!breaks_line((char)c)) {
            out[w++] = (char)c;
            continue;
        }
        out[w++] = '%';
        out[w++] = hex[c >> 4];
        out[w++] = hex[c & 15];
    }
    out[w] = '\0';
    return tp_str_make(out, w);
}

bool tp_header_name_valid(struct tp_str name)
{
    unsigned char all = 1;

    for (size_t i = 0; i < name.len; i++)
        all &= token_chars[(unsigned char)name.data[i]];
    return all && name.len > 0;
}
