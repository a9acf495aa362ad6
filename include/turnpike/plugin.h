/*
 * The plugin contract: one folder under src/plugins, one exported `const struct tp_plugin` named
 * tp_plugin_<folder>. See CONTRIBUTING.md; `make new-plugin NAME=x` makes a working one.
 */
#ifndef TURNPIKE_PLUGIN_H
#define TURNPIKE_PLUGIN_H

#include "turnpike/check.h"
#include "turnpike/field.h"
#include "turnpike/request.h"

struct tp_entity; /* model/entity.h: entities that a plugin owns */

/* What an `on_configure` may report: the configuration cannot be used. */
struct tp_diag;

struct tp_plugin {
    const char *name; /* API name, with dashes */
    int priority;     /* high first; equal: name descending */
    size_t conf_size; /* sizeof the decoded configuration */
    const struct tp_field *fields;
    const struct tp_check *checks; /* paths start with "config." */
    const char *const *protocols;  /* accepted and default; NULL: grpc grpcs http https */
    bool any_protocol;             /* tcp, tls, tls_passthrough and udp are accepted too, not default */
    bool no_consumer;              /* the entity's consumer must be null */

    /*
     * Derive from the decoded `conf` what should not be derived per request (compiled templates, hashes).
     * Runs when the plan is built, maybe in a thread of its own: no request, no engine. Memory from
     * `arena`, which lives as long as `conf`. Optional.
     */
    enum tp_err (*on_configure)(void *conf, struct tp_arena *arena, struct tp_diag *diag);

    /* Phases; all optional. `conf` is conf_size bytes, constant, shared by requests. */
    enum tp_verdict (*on_rewrite)(struct tp_request *req, const void *conf); /* global rows only */
    /* The route is known and nothing is answered or logged yet: name what is secret (tp_request_protect_…). */
    void (*on_match)(struct tp_request *req, const void *conf);
    enum tp_verdict (*on_access)(struct tp_request *req, const void *conf);
    void (*on_header)(struct tp_request *req, const void *conf);
    /*
     * A piece of the answer's body passes. May replace *chunk (memory of the request's arena, or the
     * given bytes); `last` is true once. Answers that it may change go without
     * Content-Length.
     */
    void (*on_body)(struct tp_request *req, const void *conf, struct tp_str *chunk, bool last);
    void (*on_log)(struct tp_request *req, const void *conf);
};

/* Every plugin that this build contains, by name ascending; made from the folders by the build. */
struct tp_registry {
    const struct tp_plugin *const *plugins;
    size_t count;
};

/* NULL when there is none of that name. */
const struct tp_plugin *tp_registry_find(const struct tp_registry *registry, struct tp_str name);

#endif
