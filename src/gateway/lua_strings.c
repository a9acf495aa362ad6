/*
 * The methods of strings in the sandbox. Those whose work is linear in what they make are LuaJIT's own; `format` is
 * kept from telling addresses; and `find`, `match`, `gmatch`, `gsub` are done here, because a pattern can take time
 * without end inside a C function, where no instruction hook looks: every step of a match is counted.
 *
 * Patterns are those of Lua 5.1.
 */
#include "gateway/lua_priv.h"

#include <ctype.h>
#include <lualib.h>

#define MATCH_STEPS_MAX 500000
#define DEPTH_MAX 180
#define CAPTURES_MAX 32
#define CALLBACKS_MAX 16 /* inside each other: each has its frame on the C stack */
#define OPEN (-1)
#define POSITION (-2)

struct matcher {
    lua_State *L;
    struct tp_lua *lua;
    const char *text, *text_end;
    const char *pattern_end;
    int depth;
    int captures;
    struct {
        const char *start;
        ptrdiff_t len; /* or OPEN, POSITION */
    } capture[CAPTURES_MAX];
};

static const char *match_here(struct matcher *m, const char *s, const char *p);

static void step(struct matcher *m)
{
    if (++m->lua->match_steps > MATCH_STEPS_MAX)
        luaL_error(m->L, "the pattern takes too many steps");
}

/* Behind the single-character class that starts at `p`. */
static const char *class_end(struct matcher *m, const char *p)
{
    char first = *p++;

    if (first == '%') {
        if (p >= m->pattern_end)
            luaL_error(m->L, "malformed pattern (ends with '%%')");
        return p + 1;
    }
    if (first != '[')
        return p;
    if (p < m->pattern_end && *p == '^')
        p++;
    do { /* a ']' right at the start stands for itself */
        if (p >= m->pattern_end)
            luaL_error(m->L, "malformed pattern (missing ']')");
        if (*p++ == '%' && p < m->pattern_end)
            p++;
    } while (p >= m->pattern_end || *p != ']');
    return p + 1;
}

static bool is_of_class(unsigned char c, unsigned char class)
{
    bool yes;

    switch (tolower(class)) {
    case 'a': yes = isalpha(c); break;
    case 'c': yes = iscntrl(c); break;
    case 'd': yes = isdigit(c); break;
    case 'l': yes = islower(c); break;
    case 'p': yes = ispunct(c); break;
    case 's': yes = isspace(c); break;
    case 'u': yes = isupper(c); break;
    case 'w': yes = isalnum(c); break;
    case 'x': yes = isxdigit(c); break;
    case 'z': yes = c == 0; break;
    default: return c == class;
    }
    return isupper(class) ? !yes : yes;
}

/* `p` is at '[', `last` at its ']'. */
static bool is_of_set(unsigned char c, const char *p, const char *last)
{
    bool wanted = true;

    if (*++p == '^') {
        wanted = false;
        p++;
    }
    for (; p < last; p++) {
        if (*p == '%') {
            p++;
            if (is_of_class(c, (unsigned char)*p))
                return wanted;
        } else if (p + 2 < last && p[1] == '-') {
            if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2])
                return wanted;
            p += 2;
        } else if ((unsigned char)*p == c) {
            return wanted;
        }
    }
    return !wanted;
}

static bool is_single(struct matcher *m, const char *s, const char *p, const char *end)
{
    unsigned char c;

    step(m);
    if (s >= m->text_end)
        return false;
    c = (unsigned char)*s;
    switch (*p) {
    case '.': return true;
    case '%': return is_of_class(c, (unsigned char)p[1]);
    case '[': return is_of_set(c, p, end - 1);
    default: return (unsigned char)*p == c;
    }
}

static const char *match_most(struct matcher *m, const char *s, const char *p, const char *end)
{
    const char *at = s;

    while (is_single(m, at, p, end))
        at++;
    for (; at >= s; at--) {
        const char *found = match_here(m, at, end + 1);

        if (found)
            return found;
    }
    return NULL;
}

static const char *match_fewest(struct matcher *m, const char *s, const char *p, const char *end)
{
    for (;; s++) {
        const char *found = match_here(m, s, end + 1);

        if (found)
            return found;
        if (!is_single(m, s, p, end))
            return NULL;
    }
}

/* %bxy: from x to the y that closes it. */
static const char *match_balance(struct matcher *m, const char *s, const char *p)
{
    int open = 0;

    if (p + 1 >= m->pattern_end)
        luaL_error(m->L, "unbalanced pattern");
    if (s >= m->text_end || *s != p[0])
        return NULL;
    for (; s < m->text_end; s++) {
        step(m);
        if (*s == p[1] && open > 0 && (p[0] != p[1] || open == 1)) {
            if (--open == 0)
                return s + 1;
        } else if (*s == p[0]) {
            open++;
        }
    }
    return NULL;
}

static const char *match_frontier(struct matcher *m, const char *s, const char *p)
{
    const char *end;
    unsigned char before = s == m->text ? 0 : (unsigned char)s[-1];
    unsigned char here = s == m->text_end ? 0 : (unsigned char)*s;

    if (p >= m->pattern_end || *p != '[')
        luaL_error(m->L, "missing '[' after '%%f' in pattern");
    end = class_end(m, p);
    if (is_of_set(before, p, end - 1) || !is_of_set(here, p, end - 1))
        return NULL;
    return match_here(m, s, end);
}

static const char *match_back(struct matcher *m, const char *s, const char *p)
{
    int i = *p - '1';
    size_t len;

    if (i < 0 || i >= m->captures || m->capture[i].len == OPEN)
        luaL_error(m->L, "invalid capture index");
    len = m->capture[i].len == POSITION ? 0 : (size_t)m->capture[i].len;
    m->lua->match_steps += (unsigned)len;
    if ((size_t)(m->text_end - s) < len || memcmp(m->capture[i].start, s, len) != 0)
        return NULL;
    return match_here(m, s + len, p + 1);
}

static const char *open_capture(struct matcher *m, const char *s, const char *p)
{
    const char *found;
    bool position = p < m->pattern_end && *p == ')';

    if (m->captures == CAPTURES_MAX)
        luaL_error(m->L, "too many captures");
    m->capture[m->captures].start = s;
    m->capture[m->captures++].len = position ? POSITION : OPEN;
    found = match_here(m, s, position ? p + 1 : p);
    if (!found)
        m->captures--;
    return found;
}

static const char *close_capture(struct matcher *m, const char *s, const char *p)
{
    const char *found;
    int i = m->captures - 1;

    while (i >= 0 && m->capture[i].len != OPEN)
        i--;
    if (i < 0)
        luaL_error(m->L, "invalid pattern capture");
    m->capture[i].len = s - m->capture[i].start;
    found = match_here(m, s, p);
    if (!found)
        m->capture[i].len = OPEN;
    return found;
}

/* One class with what repeats it. *next is where to go on (then NULL is no failure), or NULL. */
static const char *match_item(struct matcher *m, const char *s, const char *p, const char **next, const char **at)
{
    const char *end = class_end(m, p);
    char repeat = end < m->pattern_end ? *end : '\0';
    const char *found;

    *next = NULL;
    switch (repeat) {
    case '?':
        found = is_single(m, s, p, end) ? match_here(m, s + 1, end + 1) : NULL;
        if (!found) {
            *next = end + 1;
            *at = s;
        }
        return found;
    case '+': return is_single(m, s, p, end) ? match_most(m, s + 1, p, end) : NULL;
    case '*': return match_most(m, s, p, end);
    case '-': return match_fewest(m, s, p, end);
    default:
        if (is_single(m, s, p, end)) {
            *next = end;
            *at = s + 1;
        }
        return NULL;
    }
}

/* What starts with '%' and is no class: %b, %f and back references. */
static bool is_special(const struct matcher *m, const char *p)
{
    return *p == '%' && p + 1 < m->pattern_end && (p[1] == 'b' || p[1] == 'f' || isdigit((unsigned char)p[1]));
}

/* The end of the match of `p` at `s`, or NULL. */
static const char *match_from(struct matcher *m, const char *s, const char *p)
{
    while (p < m->pattern_end) {
        const char *found, *next, *at = s;

        step(m);
        if (*p == '(')
            return open_capture(m, s, p + 1);
        if (*p == ')')
            return close_capture(m, s, p + 1);
        if (*p == '$' && p + 1 == m->pattern_end)
            return s == m->text_end ? s : NULL;
        if (is_special(m, p) && p[1] == 'b') {
            s = match_balance(m, s, p + 2);
            if (!s)
                return NULL;
            p += 4;
            continue;
        }
        if (is_special(m, p))
            return p[1] == 'f' ? match_frontier(m, s, p + 2) : match_back(m, s, p + 1);
        found = match_item(m, s, p, &next, &at);
        if (found || !next)
            return found;
        p = next;
        s = at;
    }
    return s;
}

static const char *match_here(struct matcher *m, const char *s, const char *p)
{
    const char *found;

    if (++m->depth > DEPTH_MAX)
        luaL_error(m->L, "pattern too complex");
    found = match_from(m, s, p);
    m->depth--;
    return found;
}

static void start_matcher(struct matcher *m, lua_State *L, struct tp_str text, struct tp_str pattern)
{
    m->L = L;
    m->lua = tp_lua_of(L);
    m->text = text.data;
    m->text_end = text.data + text.len;
    m->pattern_end = pattern.data + pattern.len;
    m->depth = 0;
    m->captures = 0;
}

/* The next match at or behind `s`: its start, and its end in *end. */
static const char *search(struct matcher *m, const char *s, const char *pattern, bool anchored, const char **end)
{
    for (; s <= m->text_end; s++) {
        m->captures = 0;
        *end = match_here(m, s, pattern);
        if (*end)
            return s;
        if (anchored)
            break;
    }
    return NULL;
}

static void push_capture(struct matcher *m, int i, const char *s, const char *end)
{
    if (i >= m->captures && i == 0)
        lua_pushlstring(m->L, s, (size_t)(end - s));
    else if (i >= m->captures || m->capture[i].len == OPEN)
        luaL_error(m->L, "unfinished capture");
    else if (m->capture[i].len == POSITION)
        lua_pushinteger(m->L, m->capture[i].start - m->text + 1);
    else
        lua_pushlstring(m->L, m->capture[i].start, (size_t)m->capture[i].len);
}

/* All captures, or the whole match when there are none. */
static int push_captures(struct matcher *m, const char *s, const char *end, bool whole_if_none)
{
    int count = m->captures == 0 && whole_if_none ? 1 : m->captures;

    luaL_checkstack(m->L, count, "too many captures");
    for (int i = 0; i < count; i++)
        push_capture(m, i, s, end);
    return count;
}

static struct tp_str check_text(lua_State *L, int arg)
{
    struct tp_str s;

    s.data = luaL_checklstring(L, arg, &s.len);
    return s;
}

/* Where to start, from Lua's 1-based and possibly negative position; text.len + 1 and more: nowhere. */
static size_t start_of(lua_State *L, int arg, size_t len)
{
    lua_Integer init = luaL_optinteger(L, arg, 1);

    if (init < 0)
        init += (lua_Integer)len + 1;
    return init < 1 ? 0 : (size_t)init - 1;
}

static int find_plain(lua_State *L, struct tp_str text, struct tp_str what, size_t from)
{
    ptrdiff_t at = tp_str_find(tp_str_from(text, from), what);

    if (at < 0) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, (lua_Integer)from + at + 1);
    lua_pushinteger(L, (lua_Integer)from + at + (lua_Integer)what.len);
    return 2;
}

static int find_or_match(lua_State *L, bool find)
{
    struct tp_str text = check_text(L, 1), pattern = check_text(L, 2);
    size_t from = start_of(L, 3, text.len);
    bool anchored = pattern.len > 0 && pattern.data[0] == '^';
    struct matcher m;
    const char *start, *end;

    if (from > text.len) {
        lua_pushnil(L);
        return 1;
    }
    if (find && lua_toboolean(L, 4))
        return find_plain(L, text, pattern, from);
    start_matcher(&m, L, text, pattern);
    start = search(&m, text.data + from, pattern.data + anchored, anchored, &end);
    if (!start) {
        lua_pushnil(L);
        return 1;
    }
    if (!find)
        return push_captures(&m, start, end, true);
    lua_pushinteger(L, start - text.data + 1);
    lua_pushinteger(L, end - text.data);
    return 2 + push_captures(&m, start, end, false);
}

static int fn_find(lua_State *L)
{
    return find_or_match(L, true);
}

static int fn_match(lua_State *L)
{
    return find_or_match(L, false);
}

static int gmatch_next(lua_State *L)
{
    struct tp_str text, pattern;
    struct matcher m;
    const char *start, *end;
    size_t from = (size_t)lua_tointeger(L, lua_upvalueindex(3));

    text.data = lua_tolstring(L, lua_upvalueindex(1), &text.len);
    pattern.data = lua_tolstring(L, lua_upvalueindex(2), &pattern.len);
    if (from > text.len)
        return 0;
    start_matcher(&m, L, text, pattern);
    start = search(&m, text.data + from, pattern.data, false, &end);
    if (!start)
        return 0;
    lua_pushinteger(L, end - text.data + (end == start));
    lua_replace(L, lua_upvalueindex(3));
    return push_captures(&m, start, end, true);
}

static int fn_gmatch(lua_State *L)
{
    check_text(L, 1);
    check_text(L, 2);
    lua_settop(L, 2);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, gmatch_next, 3);
    return 1;
}

/* Add the replacement text `with`, where %0 … %9 stand for captures. */
static void add_text(struct matcher *m, luaL_Buffer *out, const char *s, const char *end, struct tp_str with)
{
    for (size_t i = 0; i < with.len; i++) {
        if (with.data[i] != '%' || i + 1 == with.len) {
            luaL_addchar(out, with.data[i]);
            continue;
        }
        i++;
        if (!isdigit((unsigned char)with.data[i])) {
            luaL_addchar(out, with.data[i]);
        } else if (with.data[i] == '0') {
            luaL_addlstring(out, s, (size_t)(end - s));
        } else {
            push_capture(m, with.data[i] - '1', s, end);
            if (lua_type(m->L, -1) == LUA_TNUMBER)
                lua_tostring(m->L, -1);
            luaL_addvalue(out);
        }
    }
}

/* Add what argument 3 of gsub makes of this match. */
static void add_replacement(struct matcher *m, luaL_Buffer *out, const char *s, const char *end)
{
    lua_State *L = m->L;
    int type = lua_type(L, 3);

    if (type == LUA_TSTRING || type == LUA_TNUMBER) {
        add_text(m, out, s, end, check_text(L, 3));
        return;
    }
    if (type == LUA_TTABLE) {
        push_capture(m, 0, s, end);
        lua_gettable(L, 3);
    } else {
        if (++m->lua->callbacks > CALLBACKS_MAX)
            luaL_error(L, "too many calls inside each other");
        lua_pushvalue(L, 3);
        lua_call(L, push_captures(m, s, end, true), 1);
        m->lua->callbacks--;
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        lua_pushlstring(L, s, (size_t)(end - s));
    } else if (!lua_isstring(L, -1)) {
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    }
    luaL_addvalue(out);
}

static int fn_gsub(lua_State *L)
{
    struct tp_str text = check_text(L, 1), pattern = check_text(L, 2);
    int type = lua_type(L, 3);
    lua_Integer left = luaL_optinteger(L, 4, (lua_Integer)text.len + 1);
    bool anchored = pattern.len > 0 && pattern.data[0] == '^';
    const char *s = text.data;
    struct matcher m;
    luaL_Buffer out;
    int done = 0;

    luaL_argcheck(L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE, 3,
                  "string/function/table expected");
    start_matcher(&m, L, text, pattern);
    luaL_buffinit(L, &out);
    while (done < left) {
        const char *end;

        m.captures = 0;
        end = match_here(&m, s, pattern.data + anchored);
        if (end) {
            done++;
            add_replacement(&m, &out, s, end);
        }
        if (end && end > s)
            s = end;
        else if (s < m.text_end) /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): Lua's text is never NULL */
            luaL_addchar(&out, *s++);
        else
            break;
        if (anchored)
            break;
    }
    luaL_addlstring(&out, s, (size_t)(m.text_end - s));
    luaL_pushresult(&out);
    lua_pushinteger(L, done);
    return 2;
}

/* LuaJIT's own format, but nothing that shows an address: no %p, and no tables or functions as text. */
static int fn_format(lua_State *L)
{
    struct tp_str format = check_text(L, 1);
    int count = lua_gettop(L);

    for (size_t i = 0; i < format.len; i++) {
        if (format.data[i] != '%')
            continue;
        for (i++; i < format.len && !isalpha((unsigned char)format.data[i]) && format.data[i] != '%'; i++)
            ;
        if (i < format.len && format.data[i] == 'p')
            return luaL_error(L, "invalid option '%%p' to 'format'");
    }
    for (int i = 2; i <= count; i++)
        luaL_argcheck(L, lua_isnil(L, i) || lua_isboolean(L, i) || lua_isstring(L, i), i, "cannot be formatted");
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, count, 1);
    return 1;
}

void tp_lua_open_strings(lua_State *L)
{
    static const char *const kept[] = { "byte", "char", "len", "lower", "upper", "reverse", "sub", "rep" };
    static const luaL_Reg made[] = {
        { "find", fn_find },
        { "match", fn_match },
        { "gmatch", fn_gmatch },
        { "gsub", fn_gsub },
    };

    lua_pushcfunction(L, luaopen_string);
    lua_pushstring(L, LUA_STRLIBNAME);
    lua_call(L, 1, 1);
    lua_newtable(L);
    for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
        lua_getfield(L, -2, kept[i]);
        lua_setfield(L, -2, kept[i]);
    }
    for (size_t i = 0; i < sizeof(made) / sizeof(*made); i++) {
        lua_pushcfunction(L, made[i].func);
        lua_setfield(L, -2, made[i].name);
    }
    lua_getfield(L, -2, "format");
    lua_pushcclosure(L, fn_format, 1);
    lua_setfield(L, -2, "format");
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 4);
}
