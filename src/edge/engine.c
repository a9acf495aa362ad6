/* What the gateway asks of its engine (gateway/engine.h), in nginx's terms. */
#include "edge/edge.h"

#include "base/mem.h"
#include "edge/conn.h"
#include "edge/resolver.h"

static struct tp_edge_request *edge_of(struct tp_request *req)
{
    return tp_request_engine_data(req);
}

static int64_t now_ms(struct tp_engine *engine)
{
    const ngx_time_t *t = ngx_timeofday();

    (void)engine;
    return (int64_t)t->sec * 1000 + (int64_t)t->msec;
}

static void wake(struct tp_request *req)
{
    struct tp_edge_request *er = edge_of(req);

    if (ngx_exiting && !er->wake.timer_set) {
        ngx_add_timer(&er->wake, 0); /* nginx ends when no timer is left, whatever is posted */
    } else if (!ngx_exiting) {
        ngx_post_event(&er->wake, &ngx_posted_events);
    }
}

static void timer_clear(struct tp_request *req)
{
    struct tp_edge_request *er = edge_of(req);

    if (er->timer.timer_set)
        ngx_del_timer(&er->timer);
}

static void timer_set(struct tp_request *req, int64_t delay_ms)
{
    timer_clear(req); /* ngx_add_timer keeps a set timer that differs by little */
    ngx_add_timer(&edge_of(req)->timer, (ngx_msec_t)delay_ms);
}

static void send_answer(struct tp_request *req, struct tp_str body)
{
    struct tp_edge_request *er = edge_of(req);

    er->body = body;
    er->action = TP_EDGE_SEND;
}

static enum tp_err resolve(struct tp_request *req, struct tp_str name, struct tp_address **out, size_t *count)
{
    return tp_edge_resolve_for_request(edge_of(req), name, out, count);
}

static void proxy(struct tp_request *req, const struct tp_target *target, const struct tp_address *addresses,
                  size_t count)
{
    struct tp_edge_request *er = edge_of(req);

    er->target = *target;
    er->addresses = addresses;
    er->address_count = count;
    er->action = TP_EDGE_PROXY;
}

static void log_line(struct tp_engine *engine, struct tp_request *req, enum tp_log_level level, struct tp_str line)
{
    static const ngx_uint_t levels[] = {
        [TP_LOG_DEBUG] = NGX_LOG_DEBUG, [TP_LOG_INFO] = NGX_LOG_INFO, [TP_LOG_NOTICE] = NGX_LOG_NOTICE,
        [TP_LOG_WARN] = NGX_LOG_WARN,   [TP_LOG_ERROR] = NGX_LOG_ERR, [TP_LOG_CRIT] = NGX_LOG_CRIT,
    };
    struct tp_edge_worker *worker = (struct tp_edge_worker *)engine;
    ngx_log_t *log = req ? edge_of(req)->r->connection->log : worker->cycle->log;

    ngx_log_error(levels[level], log, 0, "%*s", line.len, line.data);
}

/* --- Timers that belong to no request ---------------------------------------------------------- */

struct timer {
    ngx_event_t event;
    void (*fn)(void *data);
    void *data;
};

static void on_timer(ngx_event_t *ev)
{
    struct timer *timer = ev->data;
    void (*fn)(void *data) = timer->fn;
    void *data = timer->data;

    free(timer);
    fn(data);
}

static void *timer_start(struct tp_engine *engine, int64_t delay_ms, void (*fn)(void *data), void *data)
{
    struct timer *timer = tp_new(struct timer);

    timer->event = (ngx_event_t){
        .data = timer,
        .handler = on_timer,
        .log = ((struct tp_edge_worker *)engine)->cycle->log,
        .cancelable = 0, /* a worker that is leaving waits for it: requests wait for what it guards */
    };
    timer->fn = fn;
    timer->data = data;
    ngx_add_timer(&timer->event, (ngx_msec_t)delay_ms);
    return timer;
}

static void timer_stop(struct tp_engine *engine, void *data)
{
    struct timer *timer = data;

    (void)engine;
    ngx_del_timer(&timer->event);
    free(timer);
}

const struct tp_engine_ops tp_edge_engine_ops = {
    .now_ms = now_ms,
    .wake = wake,
    .timer_set = timer_set,
    .timer_clear = timer_clear,
    .body_read = tp_edge_body_read,
    .send = send_answer,
    .resolve = resolve,
    .proxy = proxy,
    .log = log_line,
    .conn_open = tp_edge_conn_open,
    .conn_write = tp_edge_conn_write,
    .conn_close = tp_edge_conn_close,
    .timer_start = timer_start,
    .timer_stop = timer_stop,
};
