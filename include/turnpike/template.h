/*
 * Templates: text with $(expression) parts, in Kong's Lua syntax (plugins/request-transformer.md).
 *
 * Compiled once, when the plan is built; rendered per request.
 */
#ifndef TURNPIKE_TEMPLATE_H
#define TURNPIKE_TEMPLATE_H

#include "turnpike/request.h"

struct tp_template;

/*
 * Compile `source`. On success *out lives in `arena`. On failure the message says what is wrong and
 * where, without the field's name.
 */
enum tp_err tp_template_compile(struct tp_str source, struct tp_arena *arena, struct tp_template **out, char *message,
                                size_t size);

/* Whether `source` compiles; needs no arena, for checks of configuration. */
bool tp_template_check(struct tp_str source, char *message, size_t size);

/*
 * What the templates of one run of a plugin see: each of `headers`, `query_params` and `uri_captures` as it was when
 * one of them first asked for it. Lives in the request's arena.
 */
struct tp_template_scope;
struct tp_template_scope *tp_template_scope_new(struct tp_request *req);

/* As tp_template_render, among others of the same scope. */
enum tp_err tp_template_render_in(const struct tp_template *tpl, struct tp_template_scope *scope, struct tp_str *out);

/*
 * Render for this request, alone; *out lives in its arena. Fails with TP_ERR_INVALID (and a line in the log)
 * when an expression fails at run time, is too long or takes too many steps.
 */
enum tp_err tp_template_render(const struct tp_template *tpl, struct tp_request *req, struct tp_str *out);

#endif
