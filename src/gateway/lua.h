/*
 * The sandbox in which templates' expressions run: one LuaJIT state a worker, interpreter only, with a limit on
 * steps, memory and results. An expression sees four variables and the function `type`; strings have their methods.
 * Nothing that it does outlives it.
 */
#ifndef TP_GATEWAY_LUA_H
#define TP_GATEWAY_LUA_H

#include "turnpike/arena.h"
#include "turnpike/err.h"

struct tp_lua;

enum tp_lua_kind { TP_LUA_NIL, TP_LUA_TEXT, TP_LUA_TRUE, TP_LUA_LIST };

struct tp_lua_value {
    enum tp_lua_kind kind;
    struct tp_str text;               /* TEXT */
    const struct tp_lua_value *items; /* LIST: of texts and trues */
    size_t count;
};

/* Where the variables come from. Text must live until the evaluation ends. */
struct tp_lua_source {
    struct tp_lua_value (*header)(void *data, struct tp_str name);
    struct tp_lua_value (*query)(void *data, struct tp_str name);
    struct tp_lua_value (*capture)(void *data, struct tp_str name);
    struct tp_lua_value (*capture_at)(void *data, size_t index);
    void *data;
};

/* NULL: LuaJIT cannot be started. */
struct tp_lua *tp_lua_new(void);
void tp_lua_free(struct tp_lua *lua);

/* Whether the expression can be compiled; in a state of its own, for any thread. */
bool tp_lua_check(struct tp_str expression, char *message, size_t size);

struct tp_lua_result {
    struct tp_arena *arena; /* given: where the text goes */
    struct tp_str text;
    char message[200]; /* why it failed */
};

/*
 * The expression's value as text: nil and false are empty. TP_ERR_INVALID: it failed, or exceeded a limit; the
 * message says why.
 */
enum tp_err tp_lua_eval(struct tp_lua *lua, struct tp_str expression, const struct tp_lua_source *source,
                        struct tp_lua_result *result);

#define TP_LUA_RESULT_MAX (64 * 1024)

#endif
