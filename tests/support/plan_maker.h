/*
 * Plans by hand, for tests of the request path: services, routes and plugin rows from a few words.
 * Lists are words separated by spaces; headers are "name=value|value name=value".
 */
#ifndef TESTS_SUPPORT_PLAN_MAKER_H
#define TESTS_SUPPORT_PLAN_MAKER_H

#include "plan/plan.h"

#define PLAN_MAKER_MAX 4096

struct plan_maker {
    struct tp_arena *arena;
    struct tp_plan plan;
    const struct tp_service *services[PLAN_MAKER_MAX];
    const struct tp_route *routes[PLAN_MAKER_MAX];
    const struct tp_plugin_row *plugins[PLAN_MAKER_MAX];
};

struct route_words {
    const char *name;
    const char *paths, *hosts, *methods, *headers, *snis, *protocols;
    const struct tp_service *service;
    const char *id; /* NULL: counted up */
    int64_t regex_priority, created_at;
    int redirect; /* 0: 426 */
    bool keep_path, preserve_host, v1;
};

struct plan_maker *plan_maker_new(void);
void plan_maker_free(struct plan_maker *m);

/* "http://10.0.0.1:8080/base"; default ports as usual. Changeable until the plan is used. */
struct tp_service *plan_maker_service(struct plan_maker *m, const char *url);
struct tp_route *plan_maker_route(struct plan_maker *m, struct route_words words);
/* Scope by route and service, either NULL. Priority and name are the plugin's; changeable. */
struct tp_plugin_row *plan_maker_plugin(struct plan_maker *m, const struct tp_plugin *plugin, const void *conf,
                                        const struct tp_route *route, const struct tp_service *service);
struct tp_list plan_maker_words(struct plan_maker *m, const char *words);

#endif
