/* Header tables: header_table.h. */
#include "gateway/header_table.h"

#define SPARE 16 /* room for what plugins add, before the table grows */

bool tp_header_name_eq(struct tp_str a, struct tp_str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (a.data[i] != b.data[i] && tp_header_fold(a.data[i]) != tp_header_fold(b.data[i]))
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
    if (count)
        memcpy(table->items, from, count * sizeof(*from));
    for (size_t i = 0; i < count; i++)
        table->marks[i] = tp_header_mark(from[i].name);
    table->count = count;
}

size_t tp_header_table_find(const struct tp_header_table *table, struct tp_str name, size_t from)
{
    uint32_t mark = tp_header_mark(name);

    for (size_t i = from; i < table->count; i++) {
        if (table->marks[i] == mark && tp_header_name_eq(table->items[i].name, name))
            return i;
    }
    return table->count;
}

void tp_header_table_add(struct tp_header_table *table, struct tp_str name, struct tp_str value)
{
    if (table->count == table->capacity)
        grow(table, table->capacity * 2);
    table->items[table->count] = (struct tp_header){ name, value };
    table->marks[table->count++] = tp_header_mark(name);
}

/* Drop every `name` at or behind `from`, keeping the order of the rest. */
static void remove_from(struct tp_header_table *table, struct tp_str name, size_t from)
{
    size_t w = tp_header_table_find(table, name, from);
    uint32_t mark = tp_header_mark(name);

    for (size_t r = w; r < table->count; r++) {
        if (table->marks[r] == mark && tp_header_name_eq(table->items[r].name, name))
            continue;
        table->items[w] = table->items[r];
        table->marks[w++] = table->marks[r];
    }
    table->count = w;
}

void tp_header_table_set(struct tp_header_table *table, struct tp_str name, struct tp_str value)
{
    size_t at = tp_header_table_find(table, name, 0);

    if (at == table->count) {
        tp_header_table_add(table, name, value);
        return;
    }
    table->items[at].value = value;
    remove_from(table, name, at + 1);
}

void tp_header_table_remove(struct tp_header_table *table, struct tp_str name)
{
    remove_from(table, name, 0);
}

static bool breaks_line(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

struct tp_str tp_header_safe_value(struct tp_arena *arena, struct tp_str value)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t odd = 0, w = 0;
    char *out;

    for (size_t i = 0; i < value.len; i++)
        odd += breaks_line(value.data[i]);
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
    static const char marks[] = "!#$%&'*+-.^_`|~";

    if (name.len == 0)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        char letter = (char)(c | 0x20);

        if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') && (c == '\0' || !strchr(marks, c)))
            return false;
    }
    return true;
}
