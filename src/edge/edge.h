/*
 * The nginx module's own types: what its files share. One worker object a process, one tp_edge_request a request.
 *
 * Rules that hold in this folder:
 * - The gateway never runs under its own feet: ops.send and ops.proxy only note what is wanted
 * (tp_edge_request.action), and whoever called the gateway calls tp_edge_act() afterwards, which may free the request.
 * So after tp_edge_act() neither the request nor `er` is touched.
 * - A request ends in the log phase (tp_request_on_done) and in its pool's clean-up (tp_request_free), in this order.
 * - Nothing here blocks but init_process, for at most TP_EDGE_HELLO_MS.
 */
#ifndef TP_EDGE_EDGE_H
#define TP_EDGE_EDGE_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>
#include <ngx_http.h>

#include "base/buf.h"
#include "edge/settings.h"
#include "edge/upstream_parse.h"
#include "gateway/request.h"

extern ngx_module_t ngx_http_turnpike_module;

struct tp_edge_worker;
struct tp_edge_pool;
struct tp_edge_tls;
struct tp_edge_link;
struct tp_edge_resolver;

struct tp_edge_main_conf {
    ngx_str_t settings_path; /* empty: the directive "turnpike" was not used */
    struct tp_edge_settings *settings;
    ngx_http_core_loc_conf_t *core; /* http{}'s: resolver and its timeout */
    ngx_http_upstream_srv_conf_t upstream;
    bool http2;                    /* without TLS too: accept.h */
    ngx_thread_pool_t *threads;    /* "thread_pool turnpike threads=1;" */
    struct tp_edge_worker *worker; /* NULL outside of a worker */
};

struct tp_edge_loc_conf {
    ngx_flag_t errors; /* nginx's own error pages are ours here, and the log is masked */
    ngx_str_t charset; /* for text that names none; empty: nginx's charset filter decides */
};

/* What is to be done when the gateway has returned: its wish, or the end of a request whose body is broken. */
enum tp_edge_action { TP_EDGE_NOTHING, TP_EDGE_SEND, TP_EDGE_PROXY, TP_EDGE_FAIL };

/* Where the head of the answer comes from. */
enum tp_edge_answer { TP_EDGE_NO_ANSWER, TP_EDGE_OWN, TP_EDGE_PROXIED, TP_EDGE_ERROR };

/* Reading the client's body. */
enum tp_edge_body { TP_EDGE_BODY_UNREAD, TP_EDGE_BODY_READING, TP_EDGE_BODY_READ };

struct tp_edge_request {
    ngx_http_request_t *r;
    struct tp_edge_worker *worker;
    struct tp_arena *arena; /* holds this struct; the gateway's request takes it */
    struct tp_request *req; /* NULL before the content phase */
    struct tp_str peer_ip;  /* the connecting address, before real-ip */
    enum tp_edge_action action;
    enum tp_edge_answer answer;

    ngx_event_t wake; /* posted by ops.wake */
    ngx_event_t timer;
    struct tp_edge_lookup *lookup; /* a name being resolved; NULL: none */

    /* The client's body. */
    enum tp_edge_body body_state;
    bool in_body_call;   /* nginx may call back before its function returns */
    bool body_for_proxy; /* what waits for the body: the proxy step, else the gateway */
    ngx_http_event_handler_pt nginx_body_handler; /* reads on when bytes came */
    uint64_t body_max;
    struct tp_str body_read; /* as given to the gateway */
    ngx_int_t body_status;   /* why it could not be read: for the client */
    uint64_t body_seen;      /* bytes so far, for the limit */

    /* Our own answer's body, or the one that replaces nginx's error page. */
    struct tp_str body;
    bool body_sent;  /* of an error page: what follows from nginx is dropped */
    bool wants_body; /* a plugin looks at the body */

    /* Proxying. */
    struct tp_target target;
    const struct tp_address *addresses;
    size_t address_count, address_next;
    struct tp_edge_head head;   /* parser of the upstream's answer */
    ngx_http_chunked_t chunked; /* of its body */
    bool head_request;          /* the upstream was asked with HEAD */
    bool sends_chunked;         /* towards the upstream */
    bool sends_head;            /* the next thing sent upstream is the head, unframed */
    ngx_chain_t *send_free, *send_busy;
    u_char *buffer; /* the upstream's answer is read into it; goes back to the worker */
    union {
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } peer_sockaddr;
    ngx_str_t peer_name;
    bool done; /* tp_request_on_done was called */
};

/* The last address that was turned to text: the same few come again and again. */
struct tp_edge_address_text {
    struct sockaddr_storage sockaddr;
    socklen_t socklen;
    u_char text[NGX_SOCKADDR_STRLEN];
    size_t len;
};

struct tp_edge_worker {
    struct tp_engine engine; /* first: the gateway's handle on us */
    struct tp_gateway gateway;
    const struct tp_edge_settings *settings;
    struct tp_edge_main_conf *conf;
    ngx_cycle_t *cycle;
    bool draining; /* drain.h: accepts nothing, keeps no client connection */
    struct tp_shm *shm;
    struct tp_edge_pool *pool; /* idle upstream connections */
    struct tp_edge_tls *tls;   /* contexts and sessions towards upstreams */
    struct tp_edge_link *link;
    struct tp_edge_resolver *resolver;
    struct tp_buf scratch; /* the upstream request's head is written here */
    struct tp_edge_upstream_confs *upstream_confs;
    struct tp_edge_address_text local, peer;
    void *free_buffers; /* of settings->upstream_buffer_bytes, each starts with the next's address */
    size_t free_buffer_count;
};

/* Text between nginx's world and ours. */
static inline struct tp_str tp_edge_str(ngx_str_t s)
{
    return tp_str_make((const char *)s.data, s.len);
}

static inline ngx_str_t tp_edge_ngx_str(struct tp_str s)
{
    return (ngx_str_t){ s.len, (u_char *)s.data };
}

static inline struct tp_edge_request *tp_edge_request_of(ngx_http_request_t *r)
{
    return ngx_http_get_module_ctx(r, ngx_http_turnpike_module);
}

static inline struct tp_edge_worker *tp_edge_worker_of(ngx_http_request_t *r)
{
    struct tp_edge_main_conf *conf = ngx_http_get_module_main_conf(r, ngx_http_turnpike_module);

    return conf->worker;
}

/* --- worker.c ---------------------------------------------------------------------------------- */
ngx_int_t tp_edge_init_process(ngx_cycle_t *cycle);
void tp_edge_exit_process(ngx_cycle_t *cycle);
/* Open the read model if it is not, or switch to its current environment. */
enum tp_err tp_edge_worker_refresh(struct tp_edge_worker *worker);
void tp_edge_log_diag(struct tp_edge_worker *worker, ngx_uint_t level, const char *what, struct tp_diag *diag);

/* An address as text (with its port if `port`), copied to the pool; empty: out of memory. */
ngx_str_t tp_edge_address_text(struct tp_edge_address_text *last, ngx_pool_t *pool, struct sockaddr *sa, socklen_t len,
                               bool port);
/* A buffer for an upstream's answer; give it back when nothing points into it. */
u_char *tp_edge_buffer_take(struct tp_edge_worker *worker);
void tp_edge_buffer_give(struct tp_edge_worker *worker, u_char *buffer);

/* --- content.c --------------------------------------------------------------------------------- */
ngx_int_t tp_edge_content_handler(ngx_http_request_t *r);
/* See to it that a client who leaves, or has left, ends the request while it waits. */
void tp_edge_watch_client(ngx_http_request_t *r);
/* The module's context of a request, made on first use; NULL: out of memory. */
struct tp_edge_request *tp_edge_request_get(ngx_http_request_t *r, struct tp_edge_worker *worker);
/* Make the gateway's request, if it is not made yet. */
void tp_edge_request_start(struct tp_edge_request *er);
/* Do what the gateway asked for. The request may be gone after. */
void tp_edge_act(struct tp_edge_request *er);
/* The same from an event handler: also runs what nginx posted on the connection. */
void tp_edge_act_from_event(struct tp_edge_request *er);
ngx_int_t tp_edge_post_read_handler(ngx_http_request_t *r);
ngx_int_t tp_edge_log_phase_handler(ngx_http_request_t *r);

/* --- engine.c ---------------------------------------------------------------------------------- */
extern const struct tp_engine_ops tp_edge_engine_ops;

/* --- request_input.c --------------------------------------------------------------------------- */
void tp_edge_request_input(struct tp_edge_request *er, struct tp_request_input *out);

/* --- body.c ------------------------------------------------------------------------------------ */
bool tp_edge_has_body(const ngx_http_request_t *r);
enum tp_err tp_edge_body_read(struct tp_request *req, uint64_t max, struct tp_str *out);
/* Read what the proxy step needs of the body, then go on with tp_edge_upstream_start. */
void tp_edge_body_then_proxy(struct tp_edge_request *er);
ngx_int_t tp_edge_body_filter_init(ngx_conf_t *cf);

/* --- upstream.c -------------------------------------------------------------------------------- */
void tp_edge_proxy(struct tp_edge_request *er);
/* --- upstream_body.c: the upstream's body on its way in */
ngx_int_t tp_edge_upstream_filter_init(void *data);
/* --- upstream_send.c: the request on its way out */
ngx_int_t tp_edge_upstream_create_request(ngx_http_request_t *r);
ngx_int_t tp_edge_upstream_send_filter(void *data, ngx_chain_t *in);
/* --- upstream_conf.c */
/* NULL: out of memory. */
ngx_http_upstream_conf_t *tp_edge_upstream_conf(struct tp_edge_request *er, ngx_ssl_t *ssl);
void tp_edge_upstream_confs_free(struct tp_edge_upstream_confs *confs);

/* --- peer.c ------------------------------------------------------------------------------------ */
ngx_int_t tp_edge_peer_init(ngx_http_request_t *r, ngx_http_upstream_srv_conf_t *us);

/* --- filters.c, errors.c ----------------------------------------------------------------------- */
ngx_int_t tp_edge_filters_init(ngx_conf_t *cf);
/* The request's gateway answer for an error that nginx made: fills er->body and tp_request_answer. */
void tp_edge_error_answer(struct tp_edge_request *er, ngx_uint_t status);

/* --- log.c ------------------------------------------------------------------------------------- */
/* What the error log says of a request: nothing that it carries but method, masked path and host. */
u_char *tp_edge_log_request(ngx_http_request_t *r, u_char *buf, size_t len);
ngx_int_t tp_edge_variables_init(ngx_conf_t *cf);

#endif
