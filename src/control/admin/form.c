/* Pairs of a query or a form: form.h. */
#include "control/admin/form.h"

#include "base/url.h"

static size_t count_pieces(struct tp_str text)
{
    size_t n = 1;

    for (size_t i = 0; i < text.len; i++)
        n += text.data[i] == '&';
    return n;
}

enum tp_err tp_admin_pairs_parse(struct tp_arena *arena, struct tp_str text, struct tp_admin_pairs *out)
{
    struct tp_str piece, rest = text;
    size_t pieces;

    *out = (struct tp_admin_pairs){ 0 };
    if (!text.len)
        return TP_OK;
    pieces = count_pieces(text);
    if (pieces > TP_ADMIN_MAX_ARGS)
        return TP_ERR_TOO_LARGE;
    out->items = tp_arena_new_array(arena, struct tp_admin_pair, pieces);
    while (tp_str_next(&rest, '&', &piece)) {
        struct tp_admin_pair *pair = &out->items[out->count];
        ptrdiff_t equals = tp_str_chr(piece, '=');
        struct tp_str name = equals < 0 ? piece : tp_str_head(piece, (size_t)equals);

        if (!name.len)
            continue;
        pair->name = tp_url_decode(arena, name, true);
        pair->value = equals < 0 ? TP_STR_NULL : tp_url_decode(arena, tp_str_from(piece, (size_t)equals + 1), true);
        out->count++;
    }
    return TP_OK;
}

struct tp_str tp_admin_pairs_get(const struct tp_admin_pairs *pairs, const char *name, size_t *count)
{
    struct tp_str wanted = tp_str_from_cstr(name), found = TP_STR_NULL;
    size_t n = 0;

    for (size_t i = 0; i < pairs->count; i++) {
        if (!tp_str_eq(pairs->items[i].name, wanted))
            continue;
        if (n++ == 0)
            found = pairs->items[i].value.data ? pairs->items[i].value : TP_STR("");
    }
    if (count)
        *count = n;
    return found;
}
