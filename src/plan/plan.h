/*
 * The compiled plan's data: services, routes and plugin rows (those without consumer), decoded into C,
 * immutable and counted. The gateway builds its router and chains on top of it (gateway/gateway.h).
 *
 * Building reuses decoded objects of the previous plan whose revision is unchanged. It may run in a
 * thread of its own, with its own view.
 */
#ifndef TP_PLAN_PLAN_H
#define TP_PLAN_PLAN_H

#include "plan/read_model.h"
#include "turnpike/plugin.h"

struct tp_service {
    struct tp_uuid id;
    struct tp_str id_text;
    struct tp_str name;
    bool enabled;
    struct tp_str protocol; /* http https grpc grpcs tcp tls … */
    struct tp_str host;
    int64_t port;
    struct tp_str path;                                   /* absent: "/" */
    int64_t retries;                                      /* TP_INT_NULL: 5 */
    int64_t connect_timeout, write_timeout, read_timeout; /* ms */
    enum tp_tristate tls_verify;
    int64_t tls_verify_depth;
    struct tp_list ca_certificates; /* of struct tp_str */
    struct tp_uuid client_certificate;
    struct tp_str json; /* the entity as the Admin API shows it: for logs */
};

struct tp_route_ip {
    struct tp_str ip;
    int64_t port;
};

struct tp_route_header {
    struct tp_str name;
    struct tp_list values; /* of struct tp_str */
};

struct tp_route {
    struct tp_uuid id;
    struct tp_str id_text;
    struct tp_str name;
    struct tp_list protocols, methods, hosts, paths, snis; /* of struct tp_str; count 0: not set */
    struct tp_list headers;                                /* of struct tp_route_header */
    struct tp_list sources, destinations;                  /* of struct tp_route_ip */
    int64_t https_redirect_status_code;
    int64_t regex_priority;
    bool strip_path;
    bool path_handling_v1;
    bool preserve_host;
    bool request_buffering, response_buffering;
    int64_t created_at;
    struct tp_uuid service_id;        /* nil: none */
    const struct tp_service *service; /* NULL: none */
    struct tp_str json;
};

/* When an instance runs relative to others: the entity's `ordering` field. */
struct tp_ordering {
    struct tp_list before_access; /* of struct tp_str: plugin names */
    struct tp_list after_access;
};

struct tp_plugin_row {
    struct tp_uuid id;
    const struct tp_plugin *plugin;
    struct tp_str name;            /* as configured: clones differ from plugin->name */
    int priority;                  /* of the name: clones differ from plugin->priority */
    struct tp_uuid route, service; /* nil: any */
    const void *conf;              /* decoded, plugin->conf_size bytes */
    struct tp_ordering ordering;
    uint64_t revision;
};

struct tp_plan {
    uint64_t position; /* of the read model this was built from */
    const struct tp_service *const *services;
    size_t service_count;
    const struct tp_route *const *routes; /* routes of disabled services are left out */
    size_t route_count;
    const struct tp_plugin_row *const *plugins; /* enabled rows only */
    size_t plugin_count;
};

/*
 * The plugins of a node: bundled ones and clones, from the setting `plugins` ("bundled,request-transformer_1251").
 */
struct tp_plugin_set;
struct tp_enabled_plugin {
    const struct tp_plugin *plugin;
    struct tp_str name; /* "request-transformer_1251" for a clone */
    int priority;
};
/* TP_ERR_INVALID: an unknown name; the diag lists what there is. Owned. */
enum tp_err tp_plugin_set_new(struct tp_plugin_set **out, const struct tp_registry *registry, struct tp_str setting,
                              struct tp_diag *diag);
void tp_plugin_set_free(struct tp_plugin_set *set);
const struct tp_enabled_plugin *tp_plugin_set_find(const struct tp_plugin_set *set, struct tp_str name);
size_t tp_plugin_set_list(const struct tp_plugin_set *set, const struct tp_enabled_plugin **out);

/*
 * Build from what the view shows. `previous` may be NULL. A service or route that cannot be decoded is left out; an
 * enabled plugin row that cannot be configured has tp_plugin_unusable in its place. Both are named in `diag`; the
 * rest is served. *out has one reference.
 */
enum tp_err tp_plan_build(struct tp_plan **out, struct tp_view *view, const struct tp_plugin_set *plugins,
                          const struct tp_plan *previous, struct tp_diag *diag);
/* Answers 500: a route must not be open because the plugin that guards it cannot run. */
extern const struct tp_plugin tp_plugin_unusable;
#define TP_UNUSABLE_PRIORITY 1000000 /* of a row whose plugin this node does not have */

struct tp_plan *tp_plan_ref(struct tp_plan *plan);
void tp_plan_unref(struct tp_plan *plan); /* safe from any thread */

/*
 * Decoded configuration of a consumer-scoped row, from a bounded cache keyed by content (one for each worker).
 * The row's configuration is counted: release with tp_conf_unref when the request ends.
 */
struct tp_conf_cache;
struct tp_conf;
struct tp_conf_cache *tp_conf_cache_new(size_t max_entries);
void tp_conf_cache_free(struct tp_conf_cache *cache);
enum tp_err tp_conf_cache_get(struct tp_conf_cache *cache, const struct tp_plugin *plugin,
                              const struct tp_consumer_plugin *row, struct tp_conf **out);
const void *tp_conf_data(const struct tp_conf *conf);
void tp_conf_unref(struct tp_conf *conf);

#endif
