/*
 * A request's way: the table of steps, the loop, and what the engine calls. docs/request-path.md tells it.
 *
 * A step's verdict moves the loop: on, to the answer, or out until something comes back. After TP_WAIT the request
 * may be gone already (the engine may finish inside ops.send), so nothing is touched then.
 */
#include "gateway/request_priv.h"

#include "turnpike/err.h"

/* The engine does the work; it comes back with tp_request_on_response_head or tp_request_on_proxy_failed. */
static enum tp_verdict step_proxy(struct tp_request *req)
{
    const struct tp_engine_ops *ops = req->gateway->engine->ops;

    req->answer.proxied = true;
    req->measures.upstream_start_ms = ops->now_ms(req->gateway->engine);
    tp_request_stop(req, TP_STOP_ENGINE);
    ops->proxy(req, &req->target, req->addresses, req->address_count);
    return TP_WAIT;
}

/* Our own answer; the engine calls tp_request_on_response_head, perhaps at once, then sends head and body. */
static enum tp_verdict step_send(struct tp_request *req)
{
    TP_ASSERT(req->responded);
    tp_request_stop(req, TP_STOP_ENGINE);
    req->gateway->engine->ops->send(req, req->answer_body);
    return TP_WAIT;
}

/* Pieces pass through tp_request_on_body_chunk until tp_request_on_done. */
static enum tp_verdict step_body(struct tp_request *req)
{
    return tp_request_stop(req, TP_STOP_ENGINE);
}

enum {
    STEP_MATCH,
    STEP_REWRITE,
    STEP_GATE,
    STEP_ACCESS,
    STEP_TARGET,
    STEP_PROXY,
    STEP_SEND, /* instead of target and proxy, when the answer is made here */
    STEP_HEADER,
    STEP_BODY,
    STEP_LOG,
    STEP_COUNT,
};

static enum tp_verdict (*const steps[STEP_COUNT])(struct tp_request *req) = {
    [STEP_MATCH] = tp_step_match,     /* which route? */
    [STEP_REWRITE] = tp_step_rewrite, /* global plugins, also when there is no route */
    [STEP_GATE] = tp_step_gate,       /* 404, redirect to https, gRPC manners */
    [STEP_ACCESS] = tp_step_access,   /* the route's plugins */
    [STEP_TARGET] = tp_step_target,   /* where to, and its addresses */
    [STEP_PROXY] = step_proxy,        [STEP_SEND] = step_send,
    [STEP_HEADER] = tp_step_header, /* the answer's head, proxied or our own */
    [STEP_BODY] = step_body,          [STEP_LOG] = tp_step_log,
};

static void loop(struct tp_request *req)
{
    while (req->step < STEP_COUNT) {
        switch (steps[req->step](req)) {
        case TP_NEXT:
            req->step++;
            req->turn = 0;
            break;
        case TP_WAIT: return; /* perhaps without `req` */
        case TP_FAIL:
            tp_respond_failed(req);
            req->step = STEP_SEND;
            break;
        case TP_RESPONDED: req->step = STEP_SEND; break;
        }
    }
}

static void go_to(struct tp_request *req, unsigned step)
{
    tp_request_abandon(req);
    req->step = step;
    req->turn = 0;
    loop(req);
}

void tp_request_run(struct tp_request *req)
{
    if (req->stop == TP_STOP_NONE)
        loop(req);
}

void tp_request_on_response_head(struct tp_request *req)
{
    TP_ASSERT(req->step == STEP_PROXY || req->step == STEP_SEND);
    go_to(req, STEP_HEADER);
}

void tp_request_on_proxy_failed(struct tp_request *req, int status)
{
    TP_ASSERT(req->step <= STEP_SEND);
    tp_respond_upstream_failed(req, status);
    go_to(req, STEP_SEND);
}

void tp_request_on_body_too_large(struct tp_request *req)
{
    if (req->step > STEP_PROXY)
        return; /* answered already */
    tp_respond(req, 413, NULL);
    go_to(req, STEP_SEND);
}

bool tp_request_wants_body(const struct tp_request *req)
{
    return req->chain && req->chain->has_body;
}

void tp_request_on_body_chunk(struct tp_request *req, struct tp_str *chunk, bool last)
{
    if (!tp_request_wants_body(req))
        return;
    for (size_t i = 0; i < req->chain->count; i++) {
        const struct tp_slot *slot = &req->chain->slots[i];

        req->slot = slot;
        if (slot->plugin->on_body)
            slot->plugin->on_body(req, slot->conf, chunk, last);
    }
}

void tp_request_on_done(struct tp_request *req)
{
    if (req->stop == TP_STOP_OVER)
        return;
    go_to(req, STEP_LOG);
    tp_request_stop(req, TP_STOP_OVER);
}

/* --- Life --------------------------------------------------------------------------------------- */

/* "http://host/x" → "/x": proxies' form of a target; the host counts as in Host. */
static struct tp_str origin_form(struct tp_str target)
{
    ptrdiff_t start;

    if (target.len && target.data[0] == '/')
        return target;
    start = tp_str_find(target, TP_STR("://"));
    if (start < 0)
        return target;
    target = tp_str_from(target, (size_t)start + 3);
    for (size_t i = 0; i < target.len; i++) {
        if (target.data[i] == '/' || target.data[i] == '?')
            return tp_str_from(target, i);
    }
    return TP_STR("/");
}

static void split_target(struct tp_request *req)
{
    struct tp_str target = origin_form(req->input.target);
    ptrdiff_t mark = tp_str_chr(target, '?');

    req->raw_path = mark < 0 ? target : tp_str_head(target, (size_t)mark);
    if (mark >= 0)
        req->raw_query = tp_str_from(target, (size_t)mark + 1);
    req->upstream_query = req->raw_query;
}

/* The port in Host, or the one that the client connected to. */
static void split_host(struct tp_request *req)
{
    struct tp_str host = req->input.host_header;
    int64_t port;
    size_t colon = host.len;

    req->host = host;
    req->port = tp_node_public_port(req->node, req->input.server_port);
    while (colon > 0 && host.data[colon - 1] >= '0' && host.data[colon - 1] <= '9')
        colon--;
    if (colon == 0 || colon == host.len || host.data[colon - 1] != ':')
        return;
    if (!tp_str_to_i64(tp_str_from(host, colon), &port) || port > 65535)
        return;
    req->host = tp_str_head(host, colon - 1);
    req->port = (uint16_t)port;
}

static void take_id(struct tp_request *req)
{
    if (req->input.request_id.len == 32) {
        memcpy(req->id, req->input.request_id.data, 32);
        req->id[32] = '\0';
    } else {
        tp_gateway_draw_id(req->gateway, req->id);
    }
}

struct tp_arena *tp_request_begin_arena(struct tp_gateway *gateway)
{
    return tp_arena_new_from(tp_gateway_node(gateway)->arenas);
}

struct tp_request *tp_request_new(struct tp_gateway *gateway, const struct tp_request_input *input, void *engine_data)
{
    return tp_request_new_in(tp_request_begin_arena(gateway), gateway, input, engine_data);
}

struct tp_request *tp_request_new_in(struct tp_arena *arena, struct tp_gateway *gateway,
                                     const struct tp_request_input *input, void *engine_data)
{
    struct tp_request *req = tp_arena_new_type(arena, struct tp_request);

    req->arena = arena;
    req->gateway = gateway;
    req->node = tp_gateway_node(gateway);
    req->engine_data = engine_data;
    req->input = *input;
    req->method = input->method;
    req->trusted = -1;
    if (gateway->program) {
        req->program = tp_program_ref(gateway->program);
        req->chain = req->program->global;
    }
    take_id(req);
    split_target(req);
    split_host(req);
    tp_header_table_init(&req->headers, arena, input->headers, input->header_count);
    return req;
}

void tp_request_free(struct tp_request *req)
{
    struct tp_program *program;

    if (!req)
        return;
    program = req->program;
    tp_request_stop(req, TP_STOP_OVER);
    tp_arena_free(req->arena); /* and with it the request; destructors cancel what waits */
    tp_program_unref(program); /* last: destructors may look at configurations */
}

void *tp_request_engine_data(const struct tp_request *req)
{
    return req->engine_data;
}

struct tp_gateway *tp_request_gateway(const struct tp_request *req)
{
    return req->gateway;
}

struct tp_measures *tp_request_measures(struct tp_request *req)
{
    return &req->measures;
}
