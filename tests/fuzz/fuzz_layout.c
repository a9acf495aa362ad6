/* Stored bytes: the first tells the kind of row, the rest is its value; plan rows are decoded into structs, too. */
#include "plan/decode.h"
#include "plan/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode_plan_row(struct tp_str json)
{
    struct tp_arena *arena = tp_arena_new();
    json_t *value = json_loadb(json.data, json.len, 0, NULL);
    struct tp_service service;
    struct tp_route route;
    struct tp_ordering ordering;

    tp_decode_service(value, arena, &service, NULL);
    tp_decode_route(value, arena, &route, NULL);
    tp_decode_ordering(value, arena, &ordering, NULL);
    json_decref(value);
    tp_arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tp_plan_row row;
    struct tp_str bytes;

    if (size == 0)
        return 0;
    bytes = tp_str_make((const char *)data + 1, size - 1);
    tp_layout_check((enum tp_row_kind)data[0], bytes);
    if (tp_layout_decode_plan_row(bytes, &row) == TP_OK)
        decode_plan_row(row.json);
    return 0;
}
