/*
 * Which handler answers a path and a method. Entities' endpoints are generated from the model's table and its
 * foreign keys; the rest stands in tables of its own, which also refine generated ones.
 */
#ifndef TP_CONTROL_ADMIN_DISPATCH_H
#define TP_CONTROL_ADMIN_DISPATCH_H

#include "control/admin/call.h"

typedef void (*tp_admin_fn)(struct tp_admin_call *call);

struct tp_admin_handlers {
    tp_admin_fn get; /* answers HEAD too */
    tp_admin_fn post;
    tp_admin_fn put;
    tp_admin_fn patch;
    tp_admin_fn del;
};

struct tp_admin_endpoint {
    const char *pattern; /* "/services/{services}/routes": a segment in braces is a parameter */
    struct tp_admin_handlers on;
    /* Generated ones: */
    const struct tp_entity *entity; /* what the handlers read and write */
    const struct tp_entity *parent; /* nested: whose children; shortcut: what the foreign key points to */
    const struct tp_field *foreign; /* the foreign key between them, a field of `entity` */
};

struct tp_admin_endpoints {
    struct tp_admin_endpoint *items; /* sorted as GET /endpoints shows them */
    size_t count;
    struct tp_arena *arena;
};

struct tp_admin_endpoints *tp_admin_endpoints_new(void);
void tp_admin_endpoints_free(struct tp_admin_endpoints *endpoints);

/* Tables of fixed endpoints; each ends with a pattern of NULL. */
extern const struct tp_admin_endpoint tp_admin_node_endpoints[];     /* node.c */
extern const struct tp_admin_endpoint tp_admin_status_endpoints[];   /* status.c */
extern const struct tp_admin_endpoint tp_admin_schema_endpoints[];   /* schemas.c */
extern const struct tp_admin_endpoint tp_admin_tag_endpoints[];      /* tags.c */
extern const struct tp_admin_endpoint tp_admin_consumer_endpoints[]; /* consumers.c */
extern const struct tp_admin_endpoint tp_admin_closed_endpoints[];   /* closed.c */

/* Handlers of generated endpoints. */
extern const struct tp_admin_handlers tp_admin_collection; /* collection.c: /services */
extern const struct tp_admin_handlers tp_admin_item;       /* item.c: /services/{services} */
extern const struct tp_admin_handlers tp_admin_children;   /* nested.c: /services/{services}/routes */
extern const struct tp_admin_handlers tp_admin_child;      /* nested.c: /services/{services}/routes/{routes} */
extern const struct tp_admin_handlers tp_admin_shortcut;   /* shortcut.c: /routes/{routes}/service */

#endif
