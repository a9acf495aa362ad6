/*
 * Templates from hostile text: the first line is a header's value that the template can read, the rest the template.
 * Compiling, the simple look-ups and the sandbox must neither crash nor run on.
 */
#include "gateway/lua.h"
#include "turnpike/template.h"

static struct tp_str header;

static struct tp_lua_value by_name(void *data, struct tp_str name)
{
    (void)data;
    (void)name;
    return (struct tp_lua_value){ .kind = TP_LUA_TEXT, .text = header };
}

static struct tp_lua_value by_index(void *data, size_t index)
{
    return index < 3 ? by_name(data, header) : (struct tp_lua_value){ .kind = TP_LUA_NIL };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct tp_lua_source source = { by_name, by_name, by_name, by_index, NULL };
    struct tp_str rest = { (const char *)data, size };
    struct tp_arena *arena = tp_arena_new();
    struct tp_lua *lua = tp_lua_new();
    struct tp_template *tpl;
    struct tp_lua_result result = { .arena = arena };
    char message[200];

    if (size && tp_str_next(&rest, '\n', &header) && rest.data) {
        tp_template_compile(rest, arena, &tpl, message, sizeof(message));
        tp_lua_eval(lua, rest, &source, &result);
    }
    tp_lua_free(lua);
    tp_arena_free(arena);
    return 0;
}
