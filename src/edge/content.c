/*
 * A request's life in nginx: context made at post-read, gateway run in the content phase, counted and logged at the
 * end.
 *
 *   post-read ──► content handler ──► tp_request_run ──► nothing asked: wait for wake, timer, body, name
 *                                          │  ▲                │
 *                                          ▼  └────────────────┘
 *                                     tp_edge_act: send (below) or proxy (upstream.c)
 *   log phase: tp_request_on_done         pool clean-up: tp_request_free
 */
#include "edge/edge.h"

#include "edge/resolver.h"

static void on_wake(ngx_event_t *ev)
{
    struct tp_edge_request *er = ev->data;

    tp_request_run(er->req);
    tp_edge_act_from_event(er);
}

static void on_timer(ngx_event_t *ev)
{
    struct tp_edge_request *er = ev->data;

    tp_request_on_timer(er->req);
    tp_edge_act_from_event(er);
}

/* Before the request's memory goes: nothing of nginx may call back into it. */
static void stop_events(struct tp_edge_request *er)
{
    if (er->wake.posted) {
        ngx_delete_posted_event(&er->wake);
    }
    if (er->wake.timer_set)
        ngx_del_timer(&er->wake);
    if (er->timer.timer_set)
        ngx_del_timer(&er->timer);
    tp_edge_lookup_cancel(er->lookup);
    er->lookup = NULL;
}

static void on_pool_cleanup(void *data)
{
    struct tp_edge_request *er = data;
    struct tp_edge_worker *worker = er->worker;
    u_char *buffer = er->buffer;

    stop_events(er);
    if (er->req)
        tp_request_free(er->req); /* and with it er, whose memory it took */
    else
        tp_arena_free(er->arena);
    if (buffer)
        tp_edge_buffer_give(worker, buffer);
}

struct tp_edge_request *tp_edge_request_get(ngx_http_request_t *r, struct tp_edge_worker *worker)
{
    struct tp_edge_request *er = tp_edge_request_of(r);
    ngx_pool_cleanup_t *cleanup;
    struct tp_arena *arena;

    if (er)
        return er;
    cleanup = ngx_pool_cleanup_add(r->pool, 0);
    if (!cleanup)
        return NULL;
    arena = tp_request_begin_arena(&worker->gateway);
    er = tp_arena_new_type(arena, struct tp_edge_request);
    er->arena = arena;
    er->r = r;
    er->worker = worker;
    er->peer_ip = tp_edge_str(r->connection->addr_text);
    er->wake = (ngx_event_t){ .data = er, .handler = on_wake, .log = r->connection->log };
    er->timer = (ngx_event_t){ .data = er, .handler = on_timer, .log = r->connection->log };
    cleanup->handler = on_pool_cleanup;
    cleanup->data = er;
    ngx_http_set_ctx(r, er, ngx_http_turnpike_module);
    return er;
}

void tp_edge_request_start(struct tp_edge_request *er)
{
    struct tp_request_input input;

    if (er->req)
        return;
    tp_edge_request_input(er, &input);
    er->req = tp_request_new_in(er->arena, &er->worker->gateway, &input, er);
}

/* Real-ip runs after this handler, so the connection still has the address of who connected. */
ngx_int_t tp_edge_post_read_handler(ngx_http_request_t *r)
{
    const struct tp_edge_loc_conf *conf = ngx_http_get_module_loc_conf(r, ngx_http_turnpike_module);
    struct tp_edge_worker *worker = tp_edge_worker_of(r);

    if (!conf->errors || !worker || r != r->main)
        return NGX_DECLINED;
    if (!tp_edge_request_get(r, worker))
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    return NGX_DECLINED;
}

/* epoll tells once: an end that came together with the request is not told again, so it is looked for now. */
void tp_edge_watch_client(ngx_http_request_t *r)
{
    r->read_event_handler = ngx_http_test_reading;
    if (r->connection->read->ready) {
        ngx_post_event(r->connection->read, &ngx_posted_events);
    }
}

ngx_int_t tp_edge_content_handler(ngx_http_request_t *r)
{
    struct tp_edge_worker *worker = tp_edge_worker_of(r);
    struct tp_edge_request *er;

    if (!worker)
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    er = tp_edge_request_get(r, worker);
    if (!er)
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    tp_edge_request_start(er);
    if (r->connection->log->log_level > NGX_LOG_DEBUG)
        r->connection->log->log_level = NGX_LOG_DEBUG; /* our lines; nginx's own would print what the request carries */

    r->main->count++; /* ours until the answer is finished; NGX_DONE gives nginx's back */
    tp_edge_watch_client(r);
    tp_request_run(er->req);
    tp_edge_act(er);
    return NGX_DONE;
}

/* The gateway's own answer: its head is made by the header filter. */
static void send_answer(struct tp_edge_request *er)
{
    ngx_http_request_t *r = er->r;
    ngx_chain_t out = { NULL, NULL };
    ngx_buf_t *b;
    ngx_int_t rc;

    er->answer = TP_EDGE_OWN;
    rc = ngx_http_discard_request_body(r);
    if (rc == NGX_OK)
        rc = ngx_http_send_header(r);
    if (rc != NGX_OK || r->header_only) {
        ngx_http_finalize_request(r, rc);
        return;
    }
    b = ngx_calloc_buf(r->pool);
    if (!b) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }
    b->pos = tp_edge_ngx_str(er->body).data;
    b->last = b->pos + er->body.len;
    b->memory = er->body.len > 0;
    b->last_buf = 1;
    b->last_in_chain = 1;
    out.buf = b;
    ngx_http_finalize_request(r, ngx_http_output_filter(r, &out));
}

void tp_edge_act(struct tp_edge_request *er)
{
    enum tp_edge_action action = er->action;

    er->action = TP_EDGE_NOTHING;
    switch (action) {
    case TP_EDGE_NOTHING: break;
    case TP_EDGE_SEND: send_answer(er); break;
    case TP_EDGE_PROXY: tp_edge_proxy(er); break;
    case TP_EDGE_FAIL: ngx_http_finalize_request(er->r, er->body_status); break;
    }
}

void tp_edge_act_from_event(struct tp_edge_request *er)
{
    ngx_connection_t *c = er->r->connection;

    ngx_http_set_log_request(c->log, er->r);
    tp_edge_act(er);
    ngx_http_run_posted_requests(c);
}

static void measure(struct tp_edge_request *er)
{
    struct tp_measures *m = tp_request_measures(er->req);
    const ngx_http_request_t *r = er->r;
    const ngx_http_upstream_state_t *states;

    m->request_bytes = (uint64_t)r->request_length;
    m->response_bytes = (uint64_t)r->connection->sent;
    m->done_ms = er->worker->engine.ops->now_ms(&er->worker->engine);
    if (!r->upstream_states)
        return;
    states = r->upstream_states->elts;
    for (size_t i = 0; i < m->try_count && i < r->upstream_states->nelts; i++)
        m->tries[i].status = (int)states[i].status;
}

ngx_int_t tp_edge_log_phase_handler(ngx_http_request_t *r)
{
    struct tp_edge_request *er = tp_edge_request_of(r);

    if (er && er->req && !er->done) {
        er->done = true;
        measure(er);
        tp_request_on_done(er->req);
    }
    return NGX_OK;
}
