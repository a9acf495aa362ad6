/*
 * The sandbox: lua.h.
 *
 * Expressions cannot assign: their globals and the variables are proxies whose only content is an __index function,
 * so nothing leaks from one request into the next. Compiled code would not call the instruction hook, so the JIT is
 * off. What runs inside C functions is bounded by the largest block that the allocator gives, by the clock, which is
 * looked at between them, and by lua_strings.c's own count of steps.
 */
#include "gateway/lua_priv.h"

#include "base/clock.h"
#include "base/mem.h"

#include <luajit.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

#define MEMORY_MAX (8u * 1024 * 1024)
#define BLOCK_MAX (1024u * 1024) /* one string: what a single call into C can work on */
#define TICK 100                 /* instructions */
#define TICKS_MAX 1000           /* 100,000 instructions */
#define TIME_MAX_MS 100
#define CHUNKS_MAX 4096

/* Registry keys are addresses of these. */
static const char key_self, key_chunks, key_env;

static void *allocate(void *data, void *old, size_t old_size, size_t new_size)
{
    struct tp_lua *lua = data;
    void *made;

    if (new_size == 0) {
        lua->memory -= old ? old_size : 0;
        free(old);
        return NULL;
    }
    if (new_size > BLOCK_MAX && new_size > old_size)
        return NULL;
    if (new_size > old_size && lua->memory + (new_size - (old ? old_size : 0)) > MEMORY_MAX)
        return NULL;
    made = realloc(old, new_size);
    if (made)
        lua->memory += new_size - (old ? old_size : 0);
    return made;
}

struct tp_lua *tp_lua_of(lua_State *L)
{
    struct tp_lua *lua;

    lua_pushlightuserdata(L, (void *)&key_self);
    lua_rawget(L, LUA_REGISTRYINDEX);
    lua = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return lua;
}

/* --- Variables -------------------------------------------------------------------------------- */

static void push_value(lua_State *L, const struct tp_lua_value *value)
{
    switch (value->kind) {
    case TP_LUA_NIL: lua_pushnil(L); break;
    case TP_LUA_TEXT: lua_pushlstring(L, value->text.data ? value->text.data : "", value->text.len); break;
    case TP_LUA_TRUE: lua_pushboolean(L, 1); break;
    case TP_LUA_LIST:
        lua_createtable(L, (int)value->count, 0);
        for (size_t i = 0; i < value->count; i++) {
            push_value(L, &value->items[i]);
            lua_rawseti(L, -2, (int)i + 1);
        }
        break;
    }
}

static bool key_text(lua_State *L, struct tp_str *out)
{
    if (lua_type(L, 2) != LUA_TSTRING)
        return false;
    out->data = lua_tolstring(L, 2, &out->len);
    return true;
}

static int index_headers(lua_State *L)
{
    const struct tp_lua_source *source = tp_lua_of(L)->source;
    struct tp_lua_value value = { .kind = TP_LUA_NIL };
    struct tp_str name;

    if (key_text(L, &name))
        value = source->header(source->data, name);
    push_value(L, &value);
    return 1;
}

static int index_query(lua_State *L)
{
    const struct tp_lua_source *source = tp_lua_of(L)->source;
    struct tp_lua_value value = { .kind = TP_LUA_NIL };
    struct tp_str name;

    if (key_text(L, &name))
        value = source->query(source->data, name);
    push_value(L, &value);
    return 1;
}

static int index_captures(lua_State *L)
{
    const struct tp_lua_source *source = tp_lua_of(L)->source;
    struct tp_lua_value value = { .kind = TP_LUA_NIL };
    struct tp_str name;

    if (key_text(L, &name)) {
        value = source->capture(source->data, name);
    } else if (lua_type(L, 2) == LUA_TNUMBER) {
        lua_Number n = lua_tonumber(L, 2);

        if (n >= 0 && n < 1000 && n == (lua_Number)(size_t)n)
            value = source->capture_at(source->data, (size_t)n);
    }
    push_value(L, &value);
    return 1;
}

static int index_nothing(lua_State *L)
{
    lua_pushnil(L);
    return 1;
}

static int refuse_assignment(lua_State *L)
{
    return luaL_error(L, "nothing can be assigned here");
}

static int fn_type(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushstring(L, luaL_typename(L, 1));
    return 1;
}

/* A read-only table whose members come from `index`, with the upvalue on top of the stack (popped). */
static void push_proxy(lua_State *L, lua_CFunction index, int upvalues)
{
    lua_pushcclosure(L, index, upvalues);
    lua_newtable(L);
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, refuse_assignment);
    lua_setfield(L, -2, "__newindex");
    lua_setmetatable(L, -2);
    lua_remove(L, -2);
}

static int index_globals(lua_State *L)
{
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    return 1;
}

static void make_environment(lua_State *L)
{
    lua_pushlightuserdata(L, (void *)&key_env);
    lua_newtable(L);
    push_proxy(L, index_headers, 0);
    lua_setfield(L, -2, "headers");
    push_proxy(L, index_query, 0);
    lua_setfield(L, -2, "query_params");
    push_proxy(L, index_captures, 0);
    lua_setfield(L, -2, "uri_captures");
    push_proxy(L, index_nothing, 0);
    lua_setfield(L, -2, "shared");
    lua_pushcfunction(L, fn_type);
    lua_setfield(L, -2, "type");
    push_proxy(L, index_globals, 1);
    lua_rawset(L, LUA_REGISTRYINDEX);
}

/* Throws when there is no memory. */
static void reset_chunks(struct tp_lua *lua)
{
    lua_pushlightuserdata(lua->L, (void *)&key_chunks);
    lua_newtable(lua->L);
    lua_rawset(lua->L, LUA_REGISTRYINDEX);
    lua->chunks = 0;
}

static int set_up(lua_State *L)
{
    struct tp_lua *lua = lua_touserdata(L, 1);

    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    lua_pushlightuserdata(L, (void *)&key_self);
    lua_pushlightuserdata(L, lua);
    lua_rawset(L, LUA_REGISTRYINDEX);
    tp_lua_open_strings(L);
    make_environment(L);
    reset_chunks(lua);
    return 0;
}

struct tp_lua *tp_lua_new(void)
{
    struct tp_lua *lua = tp_new(struct tp_lua);

    lua->L = lua_newstate(allocate, lua);
    if (!lua->L || lua_cpcall(lua->L, set_up, lua) != 0) {
        tp_lua_free(lua);
        return NULL;
    }
    return lua;
}

void tp_lua_free(struct tp_lua *lua)
{
    if (!lua)
        return;
    if (lua->L)
        lua_close(lua->L);
    free(lua);
}

/* --- Running ---------------------------------------------------------------------------------- */

static void on_tick(lua_State *L, lua_Debug *debug)
{
    struct tp_lua *lua = tp_lua_of(L);

    (void)debug;
    if (++lua->ticks > TICKS_MAX || tp_clock_monotonic_ms() > lua->deadline_ms)
        luaL_error(L, "takes too many steps");
}

/* What an expression is wrapped in: `_` gives back its first argument, so that "a, b" is a and "" is nil. */
static int load_expression(lua_State *L, struct tp_str expression)
{
    luaL_Buffer buffer;

    luaL_buffinit(L, &buffer);
    luaL_addstring(&buffer, "local _ = ... return _(");
    luaL_addlstring(&buffer, expression.data, expression.len);
    luaL_addstring(&buffer, ")");
    luaL_pushresult(&buffer);
    return luaL_loadbuffer(L, lua_tostring(L, -1), lua_objlen(L, -1), "=expression");
}

static int fn_first(lua_State *L)
{
    lua_settop(L, 1);
    return 1;
}

/* The compiled expression, from the cache or newly; throws. */
static void push_chunk(lua_State *L, struct tp_lua *lua, struct tp_str expression)
{
    lua_pushlightuserdata(L, (void *)&key_chunks);
    lua_rawget(L, LUA_REGISTRYINDEX);
    lua_pushlstring(L, expression.data, expression.len);
    lua_rawget(L, -2);
    if (lua_isfunction(L, -1))
        return;
    if (++lua->chunks > CHUNKS_MAX)
        reset_chunks(lua); /* of plans that are gone, mostly */
    if (load_expression(L, expression) != 0)
        lua_error(L);
    lua_pushlightuserdata(L, (void *)&key_env);
    lua_rawget(L, LUA_REGISTRYINDEX);
    lua_setfenv(L, -2);
    lua_pushlightuserdata(L, (void *)&key_chunks);
    lua_rawget(L, LUA_REGISTRYINDEX);
    lua_pushlstring(L, expression.data, expression.len);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

struct evaluation {
    struct tp_lua *lua;
    struct tp_str expression;
    struct tp_lua_result *result;
};

/* Addresses are nobody's business: tables and functions all look alike. */
static struct tp_str result_text(lua_State *L)
{
    struct tp_str text = TP_STR("");

    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
    case LUA_TNUMBER: text.data = lua_tolstring(L, -1, &text.len); break;
    case LUA_TBOOLEAN: text = lua_toboolean(L, -1) ? TP_STR("true") : TP_STR(""); break;
    case LUA_TTABLE: text = TP_STR("table: 0x000000000000"); break;
    case LUA_TFUNCTION: text = TP_STR("function: 0x000000000000"); break;
    default: break;
    }
    return text;
}

static int evaluate(lua_State *L)
{
    struct evaluation *e = lua_touserdata(L, 1);
    struct tp_str text;

    push_chunk(L, e->lua, e->expression);
    lua_pushcfunction(L, fn_first);
    lua_call(L, 1, 1);
    text = result_text(L);
    if (text.len > TP_LUA_RESULT_MAX)
        return luaL_error(L, "the result is too long");
    e->result->text = tp_arena_dup(e->result->arena, text);
    return 0;
}

/* The compiled expressions may be what fills the memory; for good, if they stayed. */
static int forget_chunks(lua_State *L)
{
    reset_chunks(lua_touserdata(L, 1));
    lua_gc(L, LUA_GCCOLLECT, 0);
    return 0;
}

static void copy_message(lua_State *L, char *message, size_t size)
{
    const char *text = lua_tostring(L, -1);

    snprintf(message, size, "%s", text ? text : "fails");
}

enum tp_err tp_lua_eval(struct tp_lua *lua, struct tp_str expression, const struct tp_lua_source *source,
                        struct tp_lua_result *result)
{
    struct evaluation e = { lua, expression, result };
    lua_State *L = lua->L;
    int status;

    lua->source = source;
    lua->ticks = 0;
    lua->match_steps = 0;
    lua->callbacks = 0;
    lua->deadline_ms = tp_clock_monotonic_ms() + TIME_MAX_MS;
    lua_sethook(L, on_tick, LUA_MASKCOUNT, TICK);
    status = lua_cpcall(L, evaluate, &e);
    lua_sethook(L, NULL, 0, 0);
    lua->source = NULL;
    if (status == 0)
        return TP_OK;
    copy_message(L, result->message, sizeof(result->message));
    lua_settop(L, 0);
    if (status == LUA_ERRMEM) {
        lua_gc(L, LUA_GCCOLLECT, 0);
        lua_cpcall(L, forget_chunks, lua);
        lua_settop(L, 0);
    }
    return TP_ERR_INVALID;
}

struct check {
    struct tp_str expression;
};

static int run_check(lua_State *L)
{
    const struct check *check = lua_touserdata(L, 1);

    if (load_expression(L, check->expression) != 0)
        return lua_error(L);
    return 0;
}

bool tp_lua_check(struct tp_str expression, char *message, size_t size)
{
    struct check check = { expression };
    struct tp_lua *lua = tp_lua_new();
    bool ok;

    if (!lua) {
        snprintf(message, size, "LuaJIT cannot be started");
        return false;
    }
    ok = lua_cpcall(lua->L, run_check, &check) == 0;
    if (!ok)
        copy_message(lua->L, message, size);
    tp_lua_free(lua);
    return ok;
}
