/*
 * The configuration of request-transformer: as decoded, and as compiled for the request path.
 */
#ifndef REQUEST_TRANSFORMER_CONF_H
#define REQUEST_TRANSFORMER_CONF_H

#include "turnpike/plugin.h"
#include "turnpike/template.h"

/* One "name:value" entry. For rename the value is the new name. */
struct rule {
    struct tp_str name;
    struct tp_str value;           /* as configured; empty: nothing behind the colons */
    const struct tp_template *tpl; /* NULL: `value` is plain text */
    bool broken;                   /* a template that cannot be compiled */
};

struct rules {
    const struct rule *items;
    size_t count;
};

/* The five verbs over one part of the request. */
struct edits {
    struct rules remove, rename, replace, add, append;
    bool any;
};

struct lists {
    struct tp_list body, headers, querystring; /* of struct tp_str */
};

struct replace_lists {
    struct tp_list body, headers, querystring; /* as in struct lists */
    struct tp_str uri;
};

struct transformer_conf {
    struct tp_str http_method;
    struct lists remove, rename;
    struct replace_lists replace;
    struct lists add, append;

    /* Made by tp_request_transformer_configure. */
    struct edits headers, query, body;
    struct rule uri;           /* nameless; of replace.uri when that is set */
    bool sets_content_type;    /* so that a body without a type may get one */
    bool method_is_form_query; /* GET, HEAD, TRACE: a form body joins the query */
};

extern const struct tp_field tp_request_transformer_fields[];

/* Compile rules and templates: struct tp_plugin's on_configure. */
enum tp_err tp_request_transformer_configure(void *conf, struct tp_arena *arena, struct tp_diag *diag);

#endif
