/*
 * A gateway in memory with plugins on one route: for unit tests of plugins. Their configuration is given as JSON and
 * goes through the field tables; consumers and keys lie in a read model of their own.
 */
#ifndef TESTS_SUPPORT_PLUGIN_RIG_H
#define TESTS_SUPPORT_PLUGIN_RIG_H

#include "base/shm.h"
#include "support/engine_mem.h"
#include "support/plan_maker.h"
#include "support/temp_dir.h"

#define RIG_BOB "00000014-0000-4000-8000-000000000014"
#define RIG_BOB_KEY_ID "0000001e-0000-4000-8000-00000000001e"
#define RIG_AMY "00000015-0000-4000-8000-000000000015"

struct plugin_rig {
    struct plan_maker *plan;
    const struct tp_service *service;
    const struct tp_route *route;
    struct engine_mem *engine; /* made by the first request */
    struct tp_shm *shm;
    char dir[TEMP_DIR_SIZE];
};

/* The route takes `path`; its service is http://10.0.0.1:80. */
struct plugin_rig *plugin_rig_new(const char *path);
void plugin_rig_free(struct plugin_rig *rig);
/* A row on the route; before the first request. `config` lacks only what has a default. */
struct tp_plugin_row *plugin_rig_add(struct plugin_rig *rig, const struct tp_plugin *plugin, const char *config);
/* The engine: with consumers bob (custom_id cust-bob, key K1) and amy (key K2), and counters. */
struct engine_mem *plugin_rig_engine(struct plugin_rig *rig);

/* GET, answered 200 by the upstream where it gets there. */
struct mem_request *plugin_rig_get(struct plugin_rig *rig, const char *target, const char *headers);
struct mem_request *plugin_rig_send(struct plugin_rig *rig, struct mem_input input);

/* What the upstream got: its request line, a header (data NULL: none), its body. */
struct tp_str plugin_rig_line(const struct mem_request *r);
struct tp_str plugin_rig_header(const struct mem_request *r, const char *name);
size_t plugin_rig_header_count(const struct mem_request *r, const char *name);
struct tp_str plugin_rig_body(const struct mem_request *r);
/* The answer's body holds this text. */
bool plugin_rig_says(const struct mem_request *r, const char *text);

#endif
