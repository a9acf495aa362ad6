/*
 * Paths: what the Admin API takes for a route is what the router makes of a request, so a path that is accepted is in
 * the router's normal form. Normalising never makes a path longer, and again changes only what an escape hid.
 */
#include "gateway/router.h"
#include "model/path_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_nul(struct tp_str path)
{
    return tp_str_chr(path, '\0') >= 0 || tp_str_find(path, TP_STR("%00")) >= 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tp_arena *arena = tp_arena_new();
    struct tp_str path = tp_arena_concat(arena, TP_STR("/"), tp_str_make((const char *)data, size)), normal;
    char message[4096];

    normal = tp_path_normalize(arena, path);
    TP_ASSERT(normal.len > 0 && normal.len <= path.len && normal.data[0] == '/');
    if (!has_nul(path) && tp_check_route_path(path, message, sizeof(message)))
        TP_ASSERT(tp_str_eq(normal, path));
    TP_ASSERT(tp_str_eq(tp_path_normalize(arena, normal), normal) || tp_str_chr(normal, '%') >= 0);
    tp_path_encode(arena, normal);
    tp_arena_free(arena);
    return 0;
}
