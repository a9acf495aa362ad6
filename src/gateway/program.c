/* Building and counting programs: gateway.h. */
#include "gateway/program.h"

#include "base/mem.h"
#include "gateway/target.h"

static bool has_protocol(const struct tp_route *route, struct tp_str name)
{
    for (size_t i = 0; i < route->protocols.count; i++) {
        if (tp_str_eq(*TP_LIST_AT(route->protocols, struct tp_str, i), name))
            return true;
    }
    return false;
}

static void prepare_route(struct tp_program *program, struct tp_chain_rows *rows, size_t i)
{
    const struct tp_route *route = program->plan->routes[i];
    struct tp_route_info *info = &program->routes[i];

    info->chain = tp_chain_build(program->arena, rows, route, route->service);
    info->https_only = has_protocol(route, TP_STR("https")) && !has_protocol(route, TP_STR("http"));
    info->grpc = has_protocol(route, TP_STR("grpc")) || has_protocol(route, TP_STR("grpcs"));
    info->grpcs_only = has_protocol(route, TP_STR("grpcs")) && !has_protocol(route, TP_STR("grpc"));
    if (route->service)
        tp_target_prepare(program->arena, route, route->service, info);
}

enum tp_err tp_program_from_plan(struct tp_program **out, const struct tp_plan *plan, enum tp_router_flavor flavor,
                                 struct tp_diag *diag)
{
    struct tp_arena *arena = tp_arena_new();
    struct tp_program *program = tp_arena_new_type(arena, struct tp_program);
    struct tp_chain_rows *rows;
    enum tp_err err;

    atomic_init(&program->refs, 1);
    program->arena = arena;
    program->plan = plan;
    err = tp_router_compile(&program->router, plan, flavor, diag);
    if (err) {
        tp_arena_free(arena);
        return err;
    }
    rows = tp_chain_rows_new(arena, plan);
    program->global = tp_chain_build(arena, rows, NULL, NULL);
    program->routes = tp_arena_new_array(arena, struct tp_route_info, plan->route_count);
    for (size_t i = 0; i < plan->route_count; i++)
        prepare_route(program, rows, i);
    *out = program;
    return TP_OK;
}

enum tp_err tp_program_build(struct tp_program **out, struct tp_view *view, const struct tp_program_options *options,
                             const struct tp_program *previous, struct tp_diag *diag)
{
    struct tp_plan *plan;
    enum tp_err err;

    err = tp_plan_build(&plan, view, options->plugins, previous ? previous->plan : NULL, diag);
    if (err)
        return err;
    err = tp_program_from_plan(out, plan, options->flavor, diag);
    if (err) {
        tp_plan_unref(plan);
        return err;
    }
    (*out)->owned = plan;
    return TP_OK;
}

struct tp_program *tp_program_ref(struct tp_program *program)
{
    atomic_fetch_add_explicit(&program->refs, 1, memory_order_relaxed);
    return program;
}

void tp_program_unref(struct tp_program *program)
{
    if (!program || atomic_fetch_sub_explicit(&program->refs, 1, memory_order_acq_rel) != 1)
        return;
    tp_router_free(program->router);
    if (program->owned)
        tp_plan_unref(program->owned);
    tp_arena_free(program->arena);
}

const struct tp_plan *tp_program_plan(const struct tp_program *program)
{
    return program->plan;
}

void tp_gateway_set_program(struct tp_gateway *gateway, struct tp_program *program)
{
    struct tp_program *old = gateway->program;

    gateway->program = program;
    tp_program_unref(old);
}
