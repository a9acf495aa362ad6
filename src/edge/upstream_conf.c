/*
 * nginx's settings of an upstream, as our targets need them: one copy for each combination of timeouts and TLS context,
 * made on first use. There are as many as services differ in them; above a bound each request makes its own.
 */
#include "edge/edge.h"

#include "base/mem.h"

enum {
    MAX_CONFS = 256,
    BUFFERS = 8,
};

struct conf {
    ngx_http_upstream_conf_t conf;
    struct conf *next;
};

struct tp_edge_upstream_confs {
    struct conf *first; /* the one used last is in front */
    size_t count;
};

static bool fits(const ngx_http_upstream_conf_t *conf, const struct tp_target *target, const ngx_ssl_t *ssl)
{
    return conf->connect_timeout == (ngx_msec_t)target->connect_timeout_ms &&
           conf->send_timeout == (ngx_msec_t)target->write_timeout_ms &&
           conf->read_timeout == (ngx_msec_t)target->read_timeout_ms && conf->ssl == ssl;
}

static void fill(ngx_http_upstream_conf_t *conf, struct tp_edge_worker *worker, const struct tp_target *target,
                 ngx_ssl_t *ssl)
{
    size_t size = (size_t)worker->settings->upstream_buffer_bytes;

    *conf = (ngx_http_upstream_conf_t){
        .upstream = &worker->conf->upstream,
        .connect_timeout = (ngx_msec_t)target->connect_timeout_ms,
        .send_timeout = (ngx_msec_t)target->write_timeout_ms,
        .read_timeout = (ngx_msec_t)target->read_timeout_ms,
        .buffer_size = size,
        .bufs = { BUFFERS, size },
        .busy_buffers_size = 2 * size,
        .max_temp_file_size = 0, /* an answer never waits on the disk: a slow client slows the upstream */
        .temp_file_write_size = 2 * size,
        .next_upstream = NGX_HTTP_UPSTREAM_FT_ERROR | NGX_HTTP_UPSTREAM_FT_TIMEOUT |
                         NGX_HTTP_UPSTREAM_FT_INVALID_HEADER,
        .request_buffering = 1,
        .buffering = 1,
        .pass_request_headers = 1,
        .pass_request_body = 1,
        .ssl = ssl,
        .ssl_session_reuse = 1, /* also makes nginx call peer.c's set_session, where verification is asked for */
        .ssl_server_name = 1,
        .module = ngx_string("turnpike"),
    };
}

static struct tp_edge_upstream_confs *confs_of(struct tp_edge_worker *worker)
{
    if (!worker->upstream_confs)
        worker->upstream_confs = tp_new(struct tp_edge_upstream_confs);
    return worker->upstream_confs;
}

static ngx_http_upstream_conf_t *make_own(struct tp_edge_request *er, ngx_ssl_t *ssl)
{
    ngx_http_upstream_conf_t *conf = ngx_palloc(er->r->pool, sizeof(*conf));

    if (conf)
        fill(conf, er->worker, &er->target, ssl);
    return conf;
}

ngx_http_upstream_conf_t *tp_edge_upstream_conf(struct tp_edge_request *er, ngx_ssl_t *ssl)
{
    struct tp_edge_upstream_confs *confs = confs_of(er->worker);
    struct conf **link, *found;

    for (link = &confs->first; *link; link = &(*link)->next) {
        if (!fits(&(*link)->conf, &er->target, ssl))
            continue;
        found = *link;
        *link = found->next;
        found->next = confs->first;
        confs->first = found;
        return &found->conf;
    }
    if (confs->count == MAX_CONFS)
        return make_own(er, ssl);
    found = tp_new(struct conf);
    fill(&found->conf, er->worker, &er->target, ssl);
    found->next = confs->first;
    confs->first = found;
    confs->count++;
    return &found->conf;
}

void tp_edge_upstream_confs_free(struct tp_edge_upstream_confs *confs)
{
    if (!confs)
        return;
    while (confs->first) {
        struct conf *next = confs->first->next;

        free(confs->first);
        confs->first = next;
    }
    free(confs);
}
