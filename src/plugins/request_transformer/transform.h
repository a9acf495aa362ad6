/* One run over one request: the parts of it that are changed. */
#ifndef REQUEST_TRANSFORMER_TRANSFORM_H
#define REQUEST_TRANSFORMER_TRANSFORM_H

#include "conf.h"
#include "turnpike/body.h"

#define BODY_MAX (8u * 1024 * 1024) /* longer bodies go on unchanged */

struct run {
    struct tp_request *req;
    const struct transformer_conf *conf;
    struct tp_template_scope *scope;
};

/* The value of a rule for this request. Fails when its template does. */
enum tp_err tp_transform_value(struct run *run, const struct rule *rule, struct tp_str *out);

enum tp_err tp_transform_headers(struct run *run);
enum tp_err tp_transform_query(struct run *run);
enum tp_err tp_transform_body(struct run *run);

/* --- Arguments of a query or a form (args.c) ---------------------------------------------------- */

struct arg_list {
    struct tp_arg *items;
    size_t count, capacity;
};

/* A copy of `args` with room to grow. */
void tp_args_start(struct tp_arena *arena, struct arg_list *list, const struct tp_arg *args, size_t count);
/* All five verbs; `adds_only`: add and append alone. Sorts. */
enum tp_err tp_args_edit(struct run *run, const struct edits *edits, bool adds_only, struct arg_list *list);

#endif
