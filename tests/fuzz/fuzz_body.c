/*
 * Request bodies that plugins read: the first byte chooses the kind, the rest is the body. What was parsed can be
 * written, and what was written parses to the same.
 */
#include "turnpike/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_arg(const struct tp_arg *a, const struct tp_arg *b)
{
    return tp_str_eq(a->name, b->name) && tp_str_eq(a->value, b->value) && a->has_value == b->has_value;
}

static void try_form(struct tp_arena *arena, struct tp_str body)
{
    const struct tp_arg *args, *again;
    struct tp_arg *sorted;
    size_t count = tp_form_parse(arena, body, &args);

    TP_ASSERT(count <= TP_BODY_ARGS_MAX);
    TP_ASSERT(tp_form_parse(arena, tp_form_write(arena, args, count), &again) == count);
    for (size_t i = 0; i < count; i++)
        TP_ASSERT(same_arg(&args[i], &again[i]));
    sorted = tp_arena_new_array(arena, struct tp_arg, count + 1);
    for (size_t i = 0; i < count; i++)
        sorted[i] = args[i];
    tp_args_sort(arena, sorted, count);
}

static void try_multipart(struct tp_arena *arena, struct tp_str type, struct tp_str body)
{
    const struct tp_part *parts, *again;
    size_t count, count_again;

    if (tp_multipart_parse(arena, type, body, &parts, &count))
        return;
    TP_ASSERT(count <= TP_BODY_PARTS_MAX);
    TP_ASSERT(tp_multipart_parse(arena, type, tp_multipart_write(arena, type, parts, count), &again, &count_again) ==
              TP_OK);
    TP_ASSERT(count == count_again);
    for (size_t i = 0; i < count; i++) {
        TP_ASSERT(tp_str_eq(parts[i].headers, again[i].headers) && tp_str_eq(parts[i].value, again[i].value));
        TP_ASSERT(tp_str_eq(parts[i].name, again[i].name));
    }
}

static void try_json(struct tp_arena *arena, struct tp_str body)
{
    json_t *value = tp_json_parse(arena, body), *again;
    struct tp_str text;

    if (!value)
        return;
    text = tp_json_write(arena, value);
    again = tp_json_parse(arena, text);
    TP_ASSERT(again && tp_str_eq(tp_json_write(arena, again), text));
}

/* The type itself is a peer's text too: up to the first newline. */
static void try_type(struct tp_arena *arena, struct tp_str rest)
{
    struct tp_str type = TP_STR("");

    tp_str_next(&rest, '\n', &type);
    if (tp_body_kind_of(type) == TP_BODY_MULTIPART)
        try_multipart(arena, type, rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tp_arena *arena = tp_arena_new();
    struct tp_str body = tp_str_make((const char *)data + 1, size ? size - 1 : 0);

    switch (size ? data[0] & 3 : 4) {
    case 0: try_form(arena, body); break;
    case 1: try_multipart(arena, TP_STR("multipart/form-data; boundary=b"), body); break;
    case 2: try_json(arena, body); break;
    case 3: try_type(arena, body); break;
    default: break;
    }
    tp_arena_free(arena);
    return 0;
}
