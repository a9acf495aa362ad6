/* A compiled plan (gateway.h): data, router, and what every route needs, made before the first request. */
#ifndef TP_GATEWAY_PROGRAM_H
#define TP_GATEWAY_PROGRAM_H

#include "gateway/chain.h"
#include "gateway/router.h"

#include <stdatomic.h>

/* What a request on a route needs, by its index in the plan. */
struct tp_route_info {
    const struct tp_chain *chain;
    bool https_only; /* answer the redirect or 426 on plain http */
    bool grpc;       /* a gRPC route */
    bool grpcs_only;
    bool has_target;           /* false: no service */
    bool grpc_service;         /* the path goes upstream as it came */
    struct tp_target target;   /* but for what the client decides */
    struct tp_address address; /* when the host is a literal */
    bool literal;
};

struct tp_program {
    atomic_uint refs;
    struct tp_arena *arena;
    struct tp_plan *owned; /* NULL: the plan is borrowed */
    const struct tp_plan *plan;
    struct tp_router *router;
    struct tp_route_info *routes;
    const struct tp_chain *global;
};

#endif
