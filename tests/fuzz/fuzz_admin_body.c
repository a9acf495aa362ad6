/*
 * Admin API bodies: JSON, urlencoded and multipart. The first byte chooses, the rest is the body; what is parsed
 * must be an object that can be written out again.
 */
#include "control/admin/body.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const types[] = {
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "multipart/form-data; boundary=\"--\"",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tp_arena *arena;
    struct tp_str type, body;
    const char *message = NULL;
    json_t *value = NULL;

    if (!size)
        return 0;
    arena = tp_arena_new();
    type = tp_str_from_cstr(types[data[0] % (sizeof(types) / sizeof(types[0]))]);
    body = tp_str_make((const char *)data + 1, size - 1);
    if (tp_admin_body_parse(arena, tp_admin_body_type(type, body.len), type, body, &value, &message)) {
        if (!message || value)
            abort();
    } else {
        char *text = json_dumps(value, JSON_COMPACT);

        if (!json_is_object(value) || !text)
            abort();
        free(text);
    }
    json_decref(value);
    tp_arena_free(arena);
    return 0;
}
