/*
 * Templates: turnpike/template.h.
 *
 * A template is cut into pieces: literal text, look-ups that are done here (`headers.x`, `query_params["x"]`,
 * `uri_captures.x`, `uri_captures[1]`, `shared.x`, each maybe with `or "text"`), and expressions that the sandbox of
 * lua.c evaluates. A look-up gives exactly what the sandbox would.
 */
#include "turnpike/template.h"

#include "gateway/header_table.h"
#include "gateway/lua.h"
#include "gateway/request.h"

#include <ctype.h>
#include <stdio.h>

#define RESULT_MAX TP_LUA_RESULT_MAX
#define PIECES_MAX 1000

enum piece_kind { LITERAL, LOOK_UP, EXPRESSION };
enum variable { HEADERS, QUERY_PARAMS, URI_CAPTURES, SHARED };

struct piece {
    enum piece_kind kind;
    struct tp_str text;     /* LITERAL: itself; EXPRESSION: the source between the parentheses */
    enum variable variable; /* LOOK_UP */
    struct tp_str name;     /* data NULL: `index` */
    size_t index;
    struct tp_str otherwise; /* instead of nil; absent: none */
};

struct tp_template {
    size_t count;
    struct piece pieces[];
};

struct tp_template_scope {
    struct tp_request *req;
    const struct tp_header *headers; /* as they were when first asked for; NULL: not yet */
    size_t header_count;
    const struct tp_arg *args; /* likewise */
    size_t arg_count;
    bool has_args;
};

/* --- Compiling -------------------------------------------------------------------------------- */

struct cursor {
    const char *at, *end;
};

static void skip_spaces(struct cursor *c)
{
    while (c->at < c->end && isspace((unsigned char)*c->at))
        c->at++;
}

static bool take_char(struct cursor *c, char wanted)
{
    skip_spaces(c);
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

static bool take_name(struct cursor *c, struct tp_str *out)
{
    const char *start;

    skip_spaces(c);
    start = c->at;
    while (c->at < c->end && (isalnum((unsigned char)*c->at) || *c->at == '_'))
        c->at++;
    *out = tp_str_make(start, (size_t)(c->at - start));
    return out->len > 0 && !isdigit((unsigned char)*start);
}

/* A quoted text without escapes: with one, the sandbox is asked. */
static bool take_text(struct cursor *c, struct tp_str *out)
{
    const char *start;
    char quote;

    skip_spaces(c);
    if (c->at == c->end || (*c->at != '"' && *c->at != '\''))
        return false;
    quote = *c->at++;
    for (start = c->at; c->at < c->end && *c->at != quote; c->at++)
        if (*c->at == '\\' || *c->at == '\n')
            return false;
    if (c->at == c->end)
        return false;
    *out = tp_str_make(start, (size_t)(c->at++ - start));
    return true;
}

static bool take_index(struct cursor *c, size_t *out)
{
    const char *start;
    int64_t value;

    skip_spaces(c);
    for (start = c->at; c->at < c->end && isdigit((unsigned char)*c->at); c->at++)
        ;
    if (c->at - start > 3 || !tp_str_to_i64(tp_str_make(start, (size_t)(c->at - start)), &value))
        return false;
    *out = (size_t)value;
    return true;
}

static bool is_keyword(struct tp_str name)
{
    static const char *const words[] = { "and",      "break",  "do",   "else", "elseif", "end",  "false", "for",
                                         "function", "goto",   "if",   "in",   "local",  "nil",  "not",   "or",
                                         "repeat",   "return", "then", "true", "until",  "while" };

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (tp_str_eq(name, tp_str_from_cstr(words[i])))
            return true;
    return false;
}

static bool take_variable(struct cursor *c, enum variable *out)
{
    static const char *const names[] = {
        [HEADERS] = "headers", [QUERY_PARAMS] = "query_params", [URI_CAPTURES] = "uri_captures", [SHARED] = "shared"
    };
    struct tp_str name;

    if (!take_name(c, &name))
        return false;
    for (int v = HEADERS; v <= SHARED; v++)
        if (tp_str_eq(name, tp_str_from_cstr(names[v]))) {
            *out = (enum variable)v;
            return true;
        }
    return false;
}

/* True when the expression is one of the simple look-ups. */
static bool parse_look_up(struct tp_str expression, struct piece *out)
{
    struct cursor c = { expression.data, expression.data + expression.len };
    struct tp_str word;

    if (!take_variable(&c, &out->variable))
        return false;
    if (take_char(&c, '.')) {
        if (!take_name(&c, &out->name) || is_keyword(out->name))
            return false;
    } else if (!take_char(&c, '[') ||
               (!take_text(&c, &out->name) && (out->variable != URI_CAPTURES || !take_index(&c, &out->index))) ||
               !take_char(&c, ']')) {
        return false;
    }
    skip_spaces(&c);
    if (c.at < c.end && (!take_name(&c, &word) || !tp_str_eq(word, TP_STR("or")) || !take_text(&c, &out->otherwise)))
        return false;
    skip_spaces(&c);
    if (c.at != c.end)
        return false;
    out->kind = LOOK_UP;
    return true;
}

/* The position behind the ')' that closes the '(' at `open`, or 0. Quotes do not count, as in Lua's %b(). */
static size_t closing(struct tp_str s, size_t open)
{
    size_t depth = 0;

    for (size_t i = open; i < s.len; i++) {
        if (s.data[i] == '(')
            depth++;
        else if (s.data[i] == ')' && --depth == 0)
            return i + 1;
    }
    return 0;
}

/* Cut the first piece off *rest; what looks like an expression but is never closed is literal text. */
static struct piece next_piece(struct tp_str *rest)
{
    struct piece piece = { .kind = LITERAL };

    for (size_t i = 0; i + 1 < rest->len; i++) {
        size_t end;

        if (rest->data[i] != '$' || rest->data[i + 1] != '(')
            continue;
        end = closing(*rest, i + 1);
        if (end == 0)
            break;
        if (i > 0) {
            piece.text = tp_str_head(*rest, i);
            *rest = tp_str_from(*rest, i);
            return piece;
        }
        piece.text = tp_str_make(rest->data + 2, end - 3);
        if (!parse_look_up(piece.text, &piece))
            piece = (struct piece){ .kind = EXPRESSION, .text = tp_str_make(rest->data + 2, end - 3) };
        *rest = tp_str_from(*rest, end);
        return piece;
    }
    piece.text = *rest;
    *rest = tp_str_from(*rest, rest->len);
    return piece;
}

static size_t count_pieces(struct tp_str source)
{
    size_t count = 0;

    for (struct tp_str rest = source; rest.len > 0; count++)
        next_piece(&rest);
    return count;
}

static bool check_pieces(struct tp_str source, char *message, size_t size)
{
    if (count_pieces(source) > PIECES_MAX) {
        snprintf(message, size, "more than %d expressions", PIECES_MAX);
        return false;
    }
    for (struct tp_str rest = source; rest.len > 0;) {
        struct piece piece = next_piece(&rest);

        if (piece.kind == EXPRESSION && !tp_lua_check(piece.text, message, size))
            return false;
    }
    return true;
}

bool tp_template_check(struct tp_str source, char *message, size_t size)
{
    return check_pieces(source, message, size);
}

enum tp_err tp_template_compile(struct tp_str source, struct tp_arena *arena, struct tp_template **out, char *message,
                                size_t size)
{
    struct tp_template *tpl;
    struct tp_str rest;

    if (!check_pieces(source, message, size))
        return TP_ERR_INVALID;
    tpl = tp_arena_calloc(arena, 1, sizeof(*tpl) + count_pieces(source) * sizeof(struct piece));
    rest = source.len ? tp_arena_dup(arena, source) : TP_STR("");
    while (rest.len > 0)
        tpl->pieces[tpl->count++] = next_piece(&rest);
    *out = tpl;
    return TP_OK;
}

/* --- What a scope shows ----------------------------------------------------------------------- */

struct tp_template_scope *tp_template_scope_new(struct tp_request *req)
{
    struct tp_template_scope *scope = tp_arena_new_type(tp_request_arena(req), struct tp_template_scope);

    scope->req = req;
    return scope;
}

static void take_headers(struct tp_template_scope *scope)
{
    struct tp_arena *arena = tp_request_arena(scope->req);
    struct tp_header header, *headers;
    size_t i = 0, count = 0;

    while (tp_request_header_next(scope->req, &i, &header))
        count++;
    headers = tp_arena_new_array(arena, struct tp_header, count + 1);
    for (i = 0; scope->header_count < count && tp_request_header_next(scope->req, &i, &header);)
        headers[scope->header_count++] = header;
    scope->headers = headers;
}

/* One of several values of a name makes a list, with room for as many as the next power of two. */
static void add_value(struct tp_arena *arena, struct tp_lua_value *sum, struct tp_lua_value value)
{
    struct tp_lua_value *items;

    if (sum->kind == TP_LUA_NIL) {
        *sum = value;
        return;
    }
    if (sum->kind != TP_LUA_LIST) {
        items = tp_arena_new_array(arena, struct tp_lua_value, 2);
        items[0] = *sum;
        sum->count = 1;
    } else if ((sum->count & (sum->count - 1)) == 0) {
        items = tp_arena_new_array(arena, struct tp_lua_value, 2 * sum->count);
        memcpy(items, sum->items, sum->count * sizeof(*items));
    } else {
        items = (struct tp_lua_value *)sum->items;
    }
    items[sum->count++] = value;
    sum->kind = TP_LUA_LIST;
    sum->items = items;
}

static struct tp_lua_value text_value(struct tp_str text)
{
    return (struct tp_lua_value){ .kind = TP_LUA_TEXT, .text = text };
}

static struct tp_lua_value header_value(void *data, struct tp_str name)
{
    struct tp_template_scope *scope = data;
    struct tp_lua_value value = { .kind = TP_LUA_NIL };

    if (!scope->headers)
        take_headers(scope);
    for (size_t i = 0; i < scope->header_count; i++)
        if (tp_header_name_eq(scope->headers[i].name, name))
            add_value(tp_request_arena(scope->req), &value, text_value(scope->headers[i].value));
    return value;
}

static struct tp_lua_value query_value(void *data, struct tp_str name)
{
    struct tp_template_scope *scope = data;
    struct tp_lua_value value = { .kind = TP_LUA_NIL };

    if (!scope->has_args) {
        scope->arg_count = tp_request_query_args(scope->req, &scope->args);
        scope->has_args = true;
    }
    for (size_t i = 0; i < scope->arg_count; i++)
        if (tp_str_eq(scope->args[i].name, name))
            add_value(tp_request_arena(scope->req), &value,
                      scope->args[i].has_value ? text_value(scope->args[i].value)
                                               : (struct tp_lua_value){ .kind = TP_LUA_TRUE });
    return value;
}

static struct tp_lua_value capture_value(void *data, struct tp_str name)
{
    struct tp_template_scope *scope = data;
    struct tp_str text;

    if (!tp_request_capture(scope->req, name, &text))
        return (struct tp_lua_value){ .kind = TP_LUA_NIL };
    return text_value(text);
}

/* Without a group of its own the expression has no captures at all: also none for the whole match. */
static struct tp_lua_value capture_at_value(void *data, size_t index)
{
    struct tp_template_scope *scope = data;
    struct tp_str text;

    if (tp_request_capture_count(scope->req) <= 1 || !tp_request_capture_at(scope->req, index, &text))
        return (struct tp_lua_value){ .kind = TP_LUA_NIL };
    return text_value(text);
}

/* --- Rendering -------------------------------------------------------------------------------- */

static struct tp_lua_value look_up(struct tp_template_scope *scope, const struct piece *piece)
{
    switch (piece->variable) {
    case HEADERS: return header_value(scope, piece->name);
    case QUERY_PARAMS: return query_value(scope, piece->name);
    case URI_CAPTURES:
        return piece->name.data ? capture_value(scope, piece->name) : capture_at_value(scope, piece->index);
    case SHARED: break;
    }
    return (struct tp_lua_value){ .kind = TP_LUA_NIL };
}

static struct tp_str value_text(struct tp_lua_value value, struct tp_str otherwise)
{
    switch (value.kind) {
    case TP_LUA_NIL: return otherwise.data ? otherwise : TP_STR("");
    case TP_LUA_TEXT: return value.text;
    case TP_LUA_TRUE: return TP_STR("true");
    case TP_LUA_LIST: break;
    }
    return TP_STR("table: 0x000000000000");
}

static enum tp_err run_expression(struct tp_template_scope *scope, const struct piece *piece, struct tp_str *out)
{
    const struct tp_lua_source source = { header_value, query_value, capture_value, capture_at_value, scope };
    struct tp_gateway *gateway = tp_request_gateway(scope->req);
    struct tp_lua_result result = { .arena = tp_request_arena(scope->req) };

    if (!gateway->lua)
        gateway->lua = tp_lua_new();
    if (!gateway->lua) {
        tp_request_log(scope->req, TP_LOG_ERROR, "template: LuaJIT cannot be started");
        return TP_ERR_UNAVAILABLE;
    }
    if (tp_lua_eval(gateway->lua, piece->text, &source, &result) == TP_OK) {
        *out = result.text;
        return TP_OK;
    }
    tp_request_log(scope->req, TP_LOG_ERROR, "template: $(%.*s): %s", TP_STR_ARG(piece->text), result.message);
    return TP_ERR_INVALID;
}

static enum tp_err render_piece(struct tp_template_scope *scope, const struct piece *piece, struct tp_str *out)
{
    switch (piece->kind) {
    case LITERAL: *out = piece->text; return TP_OK;
    case LOOK_UP: *out = value_text(look_up(scope, piece), piece->otherwise); return TP_OK;
    case EXPRESSION: break;
    }
    return run_expression(scope, piece, out);
}

static enum tp_err join(struct tp_request *req, const struct tp_str *texts, size_t count, struct tp_str *out)
{
    size_t len = 0, at = 0;
    char *data;

    for (size_t i = 0; i < count; i++)
        len += texts[i].len;
    if (len > RESULT_MAX) {
        tp_request_log(req, TP_LOG_ERROR, "template: the result is longer than %d bytes", RESULT_MAX);
        return TP_ERR_INVALID;
    }
    data = tp_arena_alloc(tp_request_arena(req), len + 1);
    for (size_t i = 0; i < count; i++) {
        if (texts[i].len)
            memcpy(data + at, texts[i].data, texts[i].len);
        at += texts[i].len;
    }
    data[len] = '\0';
    *out = tp_str_make(data, len);
    return TP_OK;
}

enum tp_err tp_template_render_in(const struct tp_template *tpl, struct tp_template_scope *scope, struct tp_str *out)
{
    struct tp_str *texts;
    enum tp_err err = TP_OK;

    if (tpl->count == 1)
        return render_piece(scope, &tpl->pieces[0], out);
    texts = tp_arena_new_array(tp_request_arena(scope->req), struct tp_str, tpl->count + 1);
    for (size_t i = 0; i < tpl->count && !err; i++)
        err = render_piece(scope, &tpl->pieces[i], &texts[i]);
    return err ? err : join(scope->req, texts, tpl->count, out);
}

enum tp_err tp_template_render(const struct tp_template *tpl, struct tp_request *req, struct tp_str *out)
{
    return tp_template_render_in(tpl, tp_template_scope_new(req), out);
}
