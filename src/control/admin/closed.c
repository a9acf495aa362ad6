/* Endpoints of Kong that are there only in modes which this node is not in: they say so. */
#include "control/admin/dispatch.h"
#include "control/admin/reply.h"

static void on_hybrid(struct tp_admin_call *call)
{
    tp_admin_reply_message(
        call, 400, "this endpoint is only available when Kong is configured to run as Control Plane for the cluster");
}

static void on_wasm(struct tp_admin_call *call)
{
    tp_admin_reply_message(call, 400, "this endpoint is only available when wasm is enabled");
}

static void on_config(struct tp_admin_call *call)
{
    tp_admin_reply_message(call, 400, "this endpoint is only available when Kong is configured to not use a database");
}

/* clang-format takes an initialiser in a macro for a block. */
/* clang-format off */
#define EVERY(fn) { .get = (fn), .post = (fn), .put = (fn), .patch = (fn), .del = (fn) }
/* clang-format on */

const struct tp_admin_endpoint tp_admin_closed_endpoints[] = {
    { .pattern = "/config", .on = { .get = on_config, .post = on_config } },
    { .pattern = "/clustering/data-planes", .on = { .get = on_hybrid } },
    { .pattern = "/clustering/status", .on = { .get = on_hybrid } },
    { .pattern = "/filter-chains", .on = { .get = on_wasm, .post = on_wasm } },
    { .pattern = "/filter-chains/{filter_chains}", .on = EVERY(on_wasm) },
    { .pattern = "/filter-chains/{filter_chains}/route", .on = EVERY(on_wasm) },
    { .pattern = "/filter-chains/{filter_chains}/service", .on = EVERY(on_wasm) },
    { .pattern = "/routes/{routes}/filter-chains", .on = { .get = on_wasm, .post = on_wasm } },
    { .pattern = "/routes/{routes}/filter-chains/{filter_chains}", .on = EVERY(on_wasm) },
    { .pattern = "/routes/{routes}/filters/all", .on = { .get = on_wasm } },
    { .pattern = "/routes/{routes}/filters/disabled", .on = { .get = on_wasm } },
    { .pattern = "/routes/{routes}/filters/enabled", .on = { .get = on_wasm } },
    { .pattern = "/services/{services}/filter-chains", .on = { .get = on_wasm, .post = on_wasm } },
    { .pattern = "/services/{services}/filter-chains/{filter_chains}", .on = EVERY(on_wasm) },
    { 0 },
};
