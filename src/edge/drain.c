/*
 * Draining: drain.h.
 *
 * QUIT comes in two ways: over the master's channel, which sets ngx_quit while events are processed; and as a signal,
 * when the master died. Both are looked at right after events were processed, which is before nginx's loop looks at
 * ngx_quit; the signal's handler is replaced because it could otherwise set ngx_quit in between.
 */
#include "edge/drain.h"

#include <signal.h>

enum { TICK_MS = 20 };

static struct {
    struct tp_edge_worker *worker;
    ngx_int_t (*process_events)(ngx_cycle_t *cycle, ngx_msec_t timer, ngx_uint_t flags);
    volatile sig_atomic_t signalled;
    bool over; /* nginx may have its QUIT */
    ngx_event_t start, tick;
    ngx_msec_t deadline;
} drain;

/* HTTP/2 says GOAWAY where keep-alive is off; it asks the server's settings, not the location's. */
static void turn_off_keepalive(ngx_cycle_t *cycle)
{
    ngx_http_core_main_conf_t *main_conf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_core_module);
    ngx_http_core_srv_conf_t **servers = main_conf->servers.elts;

    for (ngx_uint_t i = 0; i < main_conf->servers.nelts; i++) {
        ngx_http_core_loc_conf_t *conf = servers[i]->ctx->loc_conf[ngx_http_core_module.ctx_index];

        conf->keepalive_timeout = 0;
    }
}

static bool has_idle_clients(const ngx_cycle_t *cycle)
{
    const ngx_connection_t *c = cycle->connections;

    for (ngx_uint_t i = 0; i < cycle->connection_n; i++) {
        if (c[i].fd != (ngx_socket_t)-1 && c[i].idle && c[i].listening)
            return true;
    }
    return false;
}

static void on_tick(ngx_event_t *ev)
{
    if (has_idle_clients(drain.worker->cycle) && (ngx_msec_int_t)(drain.deadline - ngx_current_msec) > 0) {
        ngx_add_timer(ev, TICK_MS);
        return;
    }
    drain.over = true;
    ngx_quit = 1;
}

/* Posted, so that no accept event of this round comes after it. */
static void on_start(ngx_event_t *ev)
{
    struct tp_edge_worker *worker = drain.worker;

    ngx_log_error(NGX_LOG_NOTICE, ev->log, 0, "draining");
    ngx_setproctitle((char *)"worker process is shutting down");
    worker->draining = true;
    drain.deadline = ngx_current_msec + (ngx_msec_t)worker->settings->drain_idle_ms;
    ngx_close_listening_sockets(worker->cycle);
    turn_off_keepalive(worker->cycle);
    on_tick(&drain.tick);
}

static ngx_int_t process_events(ngx_cycle_t *cycle, ngx_msec_t timer, ngx_uint_t flags)
{
    ngx_int_t rc = drain.process_events(cycle, timer, flags);

    if ((!ngx_quit && !drain.signalled) || drain.over)
        return rc;
    ngx_quit = 0;
    drain.signalled = 0;
    if (!drain.worker->draining) {
        ngx_post_event(&drain.start, &ngx_posted_events);
    }
    return rc;
}

static void on_signal(int number)
{
    (void)number;
    drain.signalled = 1;
}

void tp_edge_drain_watch(struct tp_edge_worker *worker)
{
    struct sigaction action = { .sa_handler = on_signal };

    drain.worker = worker;
    drain.start = (ngx_event_t){ .handler = on_start, .log = worker->cycle->log };
    drain.tick = (ngx_event_t){ .handler = on_tick, .log = worker->cycle->log, .cancelable = 1 };
    drain.process_events = ngx_event_actions.process_events;
    ngx_event_actions.process_events = process_events;
    sigemptyset(&action.sa_mask);
    sigaction(SIGQUIT, &action, NULL);
}
