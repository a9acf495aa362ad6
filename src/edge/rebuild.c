/*
 * Building programs: rebuild.h.
 *
 * The thread touches the job only; of nginx it uses nothing. The program it starts from is held by a reference, and the
 * reader of the model gives each thread its own view.
 */
#include "edge/rebuild.h"

#include "base/clock.h"
#include "base/mem.h"

struct job {
    struct tp_read_model *read_model;
    struct tp_program_options options;
    struct tp_program *previous; /* a reference */
    struct tp_program *program;  /* the outcome, a reference; NULL: failed */
    struct tp_diag *diag;
    int64_t took_ms;
};

struct tp_edge_rebuild {
    struct tp_edge_worker *worker;
    void (*on_done)(void *data, bool ok);
    void *data;
    ngx_thread_task_t *task; /* its context is the job */
    ngx_msec_t took_ms;
    bool running;
};

static void prepare(struct job *job, const struct tp_edge_worker *worker)
{
    const struct tp_gateway *gateway = &worker->gateway;

    *job = (struct job){
        .read_model = gateway->read_model,
        .options = { .flavor = gateway->settings.flavor, .plugins = gateway->plugins },
        .previous = gateway->program ? tp_program_ref(gateway->program) : NULL,
        .diag = tp_diag_new(),
    };
}

/* In the thread. */
static void build(struct job *job)
{
    int64_t start = tp_clock_monotonic_ms();
    struct tp_view *view;
    enum tp_err err = tp_view_begin(job->read_model, &view);

    if (!err) {
        err = tp_program_build(&job->program, view, &job->options, job->previous, job->diag);
        tp_view_end(view);
    }
    if (err) {
        tp_diag_add(job->diag, NULL, "cannot build the plan: %s", tp_err_text(err));
        job->program = NULL;
    }
    job->took_ms = tp_clock_monotonic_ms() - start;
}

static bool finish(struct job *job, struct tp_edge_worker *worker)
{
    bool ok = job->program != NULL;

    if (tp_diag_count(job->diag))
        tp_edge_log_diag(worker, ok ? NGX_LOG_WARN : NGX_LOG_ERR, "plan", job->diag);
    if (ok)
        tp_gateway_set_program(&worker->gateway, job->program);
    tp_program_unref(job->previous);
    tp_diag_free(job->diag);
    return ok;
}

bool tp_edge_rebuild_now(struct tp_edge_worker *worker)
{
    struct job job;

    prepare(&job, worker);
    build(&job);
    return finish(&job, worker);
}

static void on_thread(void *data, ngx_log_t *log)
{
    (void)log;
    build(data);
}

static void on_finished(ngx_event_t *ev)
{
    struct tp_edge_rebuild *rebuild = ev->data;
    struct job *job = rebuild->task->ctx;

    rebuild->running = false;
    rebuild->took_ms = (ngx_msec_t)job->took_ms;
    rebuild->on_done(rebuild->data, finish(job, rebuild->worker));
}

struct tp_edge_rebuild *tp_edge_rebuild_new(struct tp_edge_worker *worker, void (*on_done)(void *data, bool ok),
                                            void *data)
{
    struct tp_edge_rebuild *rebuild = tp_new(struct tp_edge_rebuild);

    rebuild->worker = worker;
    rebuild->on_done = on_done;
    rebuild->data = data;
    rebuild->task = ngx_thread_task_alloc(worker->cycle->pool, sizeof(struct job));
    return rebuild;
}

/* A thread that is still building is waited for by nginx: it ends its pools in exit_process, before us. */
void tp_edge_rebuild_free(struct tp_edge_rebuild *rebuild)
{
    free(rebuild);
}

bool tp_edge_rebuild_is_running(const struct tp_edge_rebuild *rebuild)
{
    return rebuild->running;
}

ngx_msec_t tp_edge_rebuild_took_ms(const struct tp_edge_rebuild *rebuild)
{
    return rebuild->took_ms;
}

bool tp_edge_rebuild_start(struct tp_edge_rebuild *rebuild)
{
    if (!rebuild->task)
        return false;
    prepare(rebuild->task->ctx, rebuild->worker);
    rebuild->task->handler = on_thread;
    rebuild->task->event.handler = on_finished;
    rebuild->task->event.data = rebuild;
    rebuild->running = true;
    if (ngx_thread_task_post(rebuild->worker->conf->threads, rebuild->task) == NGX_OK)
        return true;
    rebuild->running = false;
    finish(rebuild->task->ctx, rebuild->worker);
    return false;
}
