/* Between lua.c and lua_strings.c. */
#ifndef TP_GATEWAY_LUA_PRIV_H
#define TP_GATEWAY_LUA_PRIV_H

#include "gateway/lua.h"

#include <lauxlib.h>
#include <lua.h>

struct tp_lua {
    lua_State *L;
    size_t memory;                      /* bytes that the state holds now */
    unsigned ticks;                     /* of the instruction hook, in this evaluation */
    unsigned match_steps;               /* of pattern matching, in this evaluation */
    unsigned callbacks;                 /* of gsub that run inside each other */
    int64_t deadline_ms;                /* of this evaluation, by the monotonic clock */
    size_t chunks;                      /* compiled expressions kept */
    const struct tp_lua_source *source; /* during an evaluation */
};

/* The state's struct tp_lua. */
struct tp_lua *tp_lua_of(lua_State *L);

/* Replace the methods of strings by those that are safe here; the library's own are not reachable after. */
void tp_lua_open_strings(lua_State *L);

#endif
