/*
 * The gateway of one worker: the plan that new requests start with, and what all requests share.
 *
 * A tp_program is the compiled plan: data (plan/plan.h), router, plugin chains. It is immutable and
 * counted; a request keeps the one it started with. Building may run in a thread; everything else runs
 * in the worker's own.
 */
#ifndef TP_GATEWAY_GATEWAY_H
#define TP_GATEWAY_GATEWAY_H

#include "gateway/engine.h"
#include "plan/plan.h"
#include "quota/counters.h"

/* Which Kong flavour routes are matched by (routing.md). */
enum tp_router_flavor { TP_ROUTER_TRADITIONAL_COMPATIBLE, TP_ROUTER_TRADITIONAL };

struct tp_program;

/* What a thread needs to build one; copied. */
struct tp_program_options {
    enum tp_router_flavor flavor;
    const struct tp_plugin_set *plugins; /* outlives the program */
};
enum tp_err tp_program_build(struct tp_program **out, struct tp_view *view, const struct tp_program_options *options,
                             const struct tp_program *previous, struct tp_diag *diag);
struct tp_program *tp_program_ref(struct tp_program *program);
void tp_program_unref(struct tp_program *program); /* any thread */
const struct tp_plan *tp_program_plan(const struct tp_program *program);
/* The same from a plan that is there already; the plan is borrowed and must outlive the program (tests, fuzzers). */
enum tp_err tp_program_from_plan(struct tp_program **out, const struct tp_plan *plan, enum tp_router_flavor flavor,
                                 struct tp_diag *diag);

/* Settings that the request path reads (proxying.md §3, §4); text is borrowed and outlives the gateway. */
struct tp_gateway_settings {
    enum tp_router_flavor flavor;
    bool header_server_tokens;  /* Server and Via */
    bool header_latency_tokens; /* X-Kong-Proxy-Latency, … */
    bool header_upstream_latency, header_proxy_latency, header_response_latency;
    bool header_server, header_via;
    bool header_request_id;
    bool header_upstream_status;
    bool upstream_request_id; /* X-Kong-Request-Id to the upstream */
    bool allow_debug_header;
    bool flat_windows;                /* months of 30 and years of 365 days in rate limits' resets, as Kong */
    struct tp_list trusted_ips;       /* of struct tp_str */
    struct tp_list port_maps;         /* of struct tp_str, "80:8000" */
    struct tp_str error_default_type; /* of server-level errors when the client tells none; absent: text/plain */
    struct tp_str error_template[4];  /* html json xml plain with two %s; absent: built in */
};

struct tp_gateway {
    struct tp_engine *engine;
    struct tp_gateway_settings settings;
    struct tp_read_model *read_model;
    struct tp_plugin_set *plugins;
    struct tp_counters *counters;
    struct tp_conf_cache *conf_cache;
    struct tp_redis *redis;     /* gateway/redis.c's pool; made on first use, freed by tp_redis_free */
    struct tp_lua *lua;         /* gateway/template.c's state; made on first use, freed by tp_lua_free */
    struct tp_program *program; /* NULL until the first plan: 503 */
    struct tp_node *node;       /* what is derived from the settings (node.h); made by the first request */
};

/* The name in Server and Via. */
#define TP_SERVER_TOKEN "kong/3.9.1"

/* Give back what the gateway itself made (node, program); the other members are the engine's. */
void tp_gateway_fini(struct tp_gateway *gateway);

/* 32 hex digits and a NUL: the id of a request. */
void tp_gateway_draw_id(struct tp_gateway *gateway, char out[33]);

/* Swap in a program (takes the reference). */
void tp_gateway_set_program(struct tp_gateway *gateway, struct tp_program *program);

#endif
