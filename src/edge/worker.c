/*
 * What a worker process holds, from init_process to exit_process. Nothing of it exists in the master, in nginx's helper
 * processes, or under `nginx -t`: the read model must be opened once, and only where it is read.
 */
#include "edge/edge.h"

#include "base/mem.h"
#include "base/paths.h"
#include "base/shm.h"
#include "edge/accept.h"
#include "edge/drain.h"
#include "edge/link_client.h"
#include "edge/pool.h"
#include "edge/rebuild.h"
#include "edge/resolver.h"
#include "edge/upstream_tls.h"
#include "plugins/registry.h"

#include <signal.h>
#include <sys/prctl.h>

enum {
    MAX_FREE_BUFFERS = 64,
    CONF_CACHE_ENTRIES = 4096,
    MAX_HEAD_BYTES = 1 << 20, /* of an upstream request */
    PATH_BYTES = 4096,
};

void tp_edge_log_diag(struct tp_edge_worker *worker, ngx_uint_t level, const char *what, struct tp_diag *diag)
{
    ngx_log_error(level, worker->cycle->log, 0, "turnpike %s: %s", what, tp_diag_text(diag));
}

ngx_str_t tp_edge_address_text(struct tp_edge_address_text *last, ngx_pool_t *pool, struct sockaddr *sa, socklen_t len,
                               bool port)
{
    ngx_str_t copy = ngx_null_string;

    if (last->socklen != len || memcmp(&last->sockaddr, sa, len) != 0) {
        memcpy(&last->sockaddr, sa, len);
        last->socklen = len;
        last->len = ngx_sock_ntop(sa, len, last->text, sizeof(last->text), port);
    }
    copy.data = ngx_pnalloc(pool, last->len);
    if (copy.data) {
        memcpy(copy.data, last->text, last->len);
        copy.len = last->len;
    }
    return copy;
}

static u_char *pop_buffer(struct tp_edge_worker *worker)
{
    void **buffer = worker->free_buffers;

    worker->free_buffers = *buffer;
    worker->free_buffer_count--;
    return (u_char *)buffer;
}

u_char *tp_edge_buffer_take(struct tp_edge_worker *worker)
{
    if (worker->free_buffers)
        return pop_buffer(worker);
    return tp_malloc((size_t)worker->settings->upstream_buffer_bytes);
}

void tp_edge_buffer_give(struct tp_edge_worker *worker, u_char *buffer)
{
    if (worker->free_buffer_count >= MAX_FREE_BUFFERS) {
        free(buffer);
        return;
    }
    *(void **)(void *)buffer = worker->free_buffers;
    worker->free_buffers = buffer;
    worker->free_buffer_count++;
}

/* A worker whose master died must not hold the ports for ever; nor may others look into its memory. */
static void guard_process(ngx_log_t *log)
{
    if (ngx_process != NGX_PROCESS_WORKER)
        return;
    if (prctl(PR_SET_PDEATHSIG, SIGQUIT) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0)
        ngx_log_error(NGX_LOG_WARN, log, ngx_errno, "prctl() failed");
    if (getppid() != ngx_parent)
        raise(SIGQUIT); /* it died before we asked to be told */
}

static void path_of(const struct tp_edge_worker *worker, const char *name, char out[PATH_BYTES])
{
    snprintf(out, PATH_BYTES, "%s/%s", worker->settings->prefix.data, name);
}

static enum tp_err open_shared_file(struct tp_edge_worker *worker, struct tp_diag *diag)
{
    const struct tp_edge_settings *settings = worker->settings;
    char path[PATH_BYTES];
    enum tp_err err;

    path_of(worker, TP_PATH_SHM, path);
    err = tp_counters_open_file(&worker->shm, path, settings->quota_identities, settings->quota_addresses, diag);
    if (!err)
        worker->gateway.counters = tp_counters_new(worker->shm);
    return err;
}

enum tp_err tp_edge_worker_refresh(struct tp_edge_worker *worker)
{
    struct tp_gateway *gateway = &worker->gateway;
    struct tp_diag *diag = tp_diag_new();
    char path[PATH_BYTES];
    enum tp_err err;

    if (gateway->read_model) {
        err = tp_read_model_refresh(gateway->read_model, diag);
    } else {
        path_of(worker, TP_PATH_READ_MODEL, path);
        err = tp_read_model_open(&gateway->read_model, path, worker->settings->read_model_map_bytes, diag);
    }
    if (err)
        tp_edge_log_diag(worker, NGX_LOG_ERR, err == TP_ERR_NOT_FOUND ? "has no read model yet" : "read model", diag);
    tp_diag_free(diag);
    return err;
}

static enum tp_err open_parts(struct tp_edge_worker *worker, struct tp_diag *diag)
{
    const struct tp_edge_settings *settings = worker->settings;
    enum tp_err err = tp_plugin_set_new(&worker->gateway.plugins, &tp_bundled_plugins, settings->plugins, diag);

    if (!err)
        err = open_shared_file(worker, diag);
    if (err)
        return err;
    worker->gateway.conf_cache = tp_conf_cache_new(CONF_CACHE_ENTRIES);
    worker->pool = tp_edge_pool_new(settings);
    worker->tls = tp_edge_tls_new(settings, worker->cycle->log);
    worker->resolver = tp_edge_resolver_new(settings, worker->cycle->log);
    tp_buf_init(&worker->scratch, MAX_HEAD_BYTES);
    return TP_OK;
}

static struct tp_edge_worker *make_worker(ngx_cycle_t *cycle, struct tp_edge_main_conf *conf)
{
    struct tp_edge_worker *worker = tp_new(struct tp_edge_worker);

    worker->cycle = cycle;
    worker->conf = conf;
    worker->settings = conf->settings;
    worker->engine.ops = &tp_edge_engine_ops;
    worker->gateway.engine = &worker->engine;
    worker->gateway.settings = conf->settings->gateway;
    return worker;
}

static void free_worker(struct tp_edge_worker *worker)
{
    struct tp_gateway *gateway = &worker->gateway;

    tp_edge_link_free(worker->link);
    tp_gateway_fini(gateway); /* Redis, Lua and the program too */
    tp_edge_pool_free(worker->pool);
    tp_edge_upstream_confs_free(worker->upstream_confs);
    tp_edge_tls_free(worker->tls);
    tp_edge_resolver_free(worker->resolver);
    tp_conf_cache_free(gateway->conf_cache);
    tp_counters_free(gateway->counters);
    tp_shm_close(worker->shm);
    tp_plugin_set_free(gateway->plugins);
    tp_read_model_close(gateway->read_model);
    tp_buf_fini(&worker->scratch);
    while (worker->free_buffers)
        free(pop_buffer(worker));
    free(worker);
}

ngx_int_t tp_edge_init_process(ngx_cycle_t *cycle)
{
    struct tp_edge_main_conf *conf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_turnpike_module);
    struct tp_edge_worker *worker;
    struct tp_diag *diag;
    enum tp_err err;

    if (!conf || !conf->settings || (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE))
        return NGX_OK;
    guard_process(cycle->log);
    worker = make_worker(cycle, conf);
    diag = tp_diag_new();
    err = open_parts(worker, diag);
    if (err)
        tp_edge_log_diag(worker, NGX_LOG_EMERG, "cannot start", diag);
    tp_diag_free(diag);
    if (err) {
        free_worker(worker);
        return NGX_ERROR;
    }
    /* hello first: control then waits for this worker from before the moment it reads */
    worker->link = tp_edge_link_new(worker);
    tp_edge_link_greet(worker->link);
    if (tp_edge_worker_refresh(worker) == TP_OK)
        (void)tp_edge_rebuild_now(worker);
    tp_edge_link_start(worker->link);
    if (ngx_process == NGX_PROCESS_WORKER)
        tp_edge_drain_watch(worker);
    tp_edge_accept_watch(cycle);
    conf->worker = worker;
    return NGX_OK;
}

void tp_edge_exit_process(ngx_cycle_t *cycle)
{
    struct tp_edge_main_conf *conf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_turnpike_module);
    struct tp_edge_worker *worker = conf ? conf->worker : NULL;

    if (!worker)
        return;
    conf->worker = NULL;
    free_worker(worker);
}
