/*
 * The nginx module: its directives, and where it hooks in. What nginx.conf must hold (cli/nginx_conf.c renders it):
 *
 *   load_module <dir>/ngx_http_turnpike_module.so;   # after ngx_stream_module.so, once there is a stream part
 *   user <user>;                # when started as root: <prefix>/shared, read/ and sockets/ must be writable for it
 *   thread_pool turnpike threads=1 max_queue=8;      # main block; plans are compiled there
 *   events { worker_connections 16384; }
 *   http {
 *       turnpike <prefix>/run/settings.json;         # once, in http{}; relative to nginx's prefix (-p)
 *       resolver 10.0.0.2 ipv6=off;                  # the name servers; without it only literals and the hosts
 *       resolver_timeout 5s;                         #   file (dns_hostsfile) have addresses
 *       underscores_in_headers on;
 *       merge_slashes off;
 *       server_tokens off;
 *       default_type '';
 *       client_max_body_size 0;                      # plugins limit by themselves
 *       client_body_buffer_size 8k;
 *       client_header_buffer_size 1k;
 *       large_client_header_buffers 4 8k;
 *       keepalive_requests 10000;
 *       keepalive_timeout 75s;
 *       *_temp_path …;                               # all five, below the prefix: Debian's need root
 *       set_real_ip_from …; real_ip_header …; real_ip_recursive …;   # from trusted_ips and real_ip_*
 *       log_format kong '$remote_addr - $remote_user [$time_local] "$turnpike_request" $status $body_bytes_sent '
 *                       '"$turnpike_referer" "$http_user_agent" kong_request_id: "$turnpike_request_id"';
 *       server {                                     # one for all proxy listeners
 *           listen …;
 *           error_log … notice;                      # not lower at server level: while it reads a head nginx logs
 *                                                    #   what it sees, and keys travel in it
 *           turnpike_error;                          # at server level: nginx's own errors in Kong's shape
 *           charset off;                             # nginx's filter costs more than it does here, so:
 *           turnpike_charset UTF-8;                  # added to text types, as in Kong
 *           location / { turnpike_gateway; error_log … debug; }
 *       }
 *   }
 *
 * Log formats never use $request, $request_uri, $uri, $args or $http_referer: keys travel in them. Not wanted in a
 * proxy server: error_page (an internal redirect loses our context), proxy_* directives (they do not apply),
 * limits and rewrites of nginx's own.
 */
#include "edge/accept.h"

static char *set_settings(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *set_gateway(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *set_error(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

static ngx_command_t commands[] = {
    { ngx_string("turnpike"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1, set_settings, NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL },
    { ngx_string("turnpike_gateway"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, set_gateway, NGX_HTTP_LOC_CONF_OFFSET, 0,
      NULL },
    { ngx_string("turnpike_error"), NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, set_error,
      NGX_HTTP_LOC_CONF_OFFSET, 0, NULL },
    { ngx_string("turnpike_charset"), NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1, ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET, offsetof(struct tp_edge_loc_conf, charset), NULL },
    ngx_null_command,
};

static char *set_settings(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    struct tp_edge_main_conf *main_conf = conf;
    ngx_str_t *value = cf->args->elts;

    (void)cmd;
    if (main_conf->settings_path.data)
        return (char *)"is duplicate";
    main_conf->settings_path = value[1];
    if (ngx_conf_full_name(cf->cycle, &main_conf->settings_path, 0) != NGX_OK)
        return NGX_CONF_ERROR;
    return NGX_CONF_OK;
}

static char *set_gateway(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t *core = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    (void)cmd;
    (void)conf;
    core->handler = tp_edge_content_handler;
    return NGX_CONF_OK;
}

static char *set_error(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    struct tp_edge_loc_conf *loc_conf = conf;

    (void)cf;
    (void)cmd;
    loc_conf->errors = 1;
    return NGX_CONF_OK;
}

static void *create_main_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(struct tp_edge_main_conf));
}

static void free_settings(void *data)
{
    tp_edge_settings_free(data);
}

static char *load_settings(ngx_conf_t *cf, struct tp_edge_main_conf *conf)
{
    struct tp_diag *diag = tp_diag_new();
    ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(cf->pool, 0);
    char *result = NGX_CONF_OK;

    if (!cleanup) {
        result = NGX_CONF_ERROR;
    } else if (tp_edge_settings_load(&conf->settings, (const char *)conf->settings_path.data, diag) != TP_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "turnpike: %s", tp_diag_text(diag));
        result = NGX_CONF_ERROR;
    } else {
        cleanup->handler = free_settings;
        cleanup->data = conf->settings;
    }
    tp_diag_free(diag);
    return result;
}

static char *init_main_conf(ngx_conf_t *cf, void *data)
{
    static ngx_str_t pool_name = ngx_string("turnpike");
    struct tp_edge_main_conf *conf = data;

    if (!conf->settings_path.data)
        return NGX_CONF_OK;
    conf->upstream.host = pool_name;
    conf->upstream.peer.init = tp_edge_peer_init;
    conf->threads = ngx_thread_pool_add(cf, &pool_name);
    if (!conf->threads)
        return NGX_CONF_ERROR;
    return load_settings(cf, conf);
}

static void *create_loc_conf(ngx_conf_t *cf)
{
    struct tp_edge_loc_conf *conf = ngx_pcalloc(cf->pool, sizeof(*conf));

    if (conf)
        conf->errors = NGX_CONF_UNSET;
    return conf;
}

static char *merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    const struct tp_edge_loc_conf *prev = parent;
    struct tp_edge_loc_conf *conf = child;

    (void)cf;
    ngx_conf_merge_value(conf->errors, prev->errors, 0);
    ngx_conf_merge_str_value(conf->charset, prev->charset, "");
    return NGX_CONF_OK;
}

static ngx_int_t add_handler(ngx_conf_t *cf, ngx_http_phases phase, ngx_http_handler_pt handler)
{
    ngx_http_core_main_conf_t *core = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    ngx_http_handler_pt *slot = ngx_array_push(&core->phases[phase].handlers);

    if (!slot)
        return NGX_ERROR;
    *slot = handler;
    return NGX_OK;
}

static ngx_int_t preconfiguration(ngx_conf_t *cf)
{
    return tp_edge_variables_init(cf);
}

/*
 * Dynamic modules come last, so our post-read handler runs before real-ip's (nginx runs them last to first), our log
 * handler after the access log, and our filters before all others.
 */
static ngx_int_t postconfiguration(ngx_conf_t *cf)
{
    struct tp_edge_main_conf *conf = ngx_http_conf_get_module_main_conf(cf, ngx_http_turnpike_module);

    if (!conf->settings)
        return NGX_OK;
    conf->core = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    conf->http2 = tp_edge_accept_wants_http2(cf);
    if (add_handler(cf, NGX_HTTP_POST_READ_PHASE, tp_edge_post_read_handler) != NGX_OK ||
        add_handler(cf, NGX_HTTP_LOG_PHASE, tp_edge_log_phase_handler) != NGX_OK ||
        tp_edge_body_filter_init(cf) != NGX_OK)
        return NGX_ERROR;
    return tp_edge_filters_init(cf);
}

static ngx_http_module_t module_ctx = {
    .preconfiguration = preconfiguration,
    .postconfiguration = postconfiguration,
    .create_main_conf = create_main_conf,
    .init_main_conf = init_main_conf,
    .create_loc_conf = create_loc_conf,
    .merge_loc_conf = merge_loc_conf,
};

ngx_module_t ngx_http_turnpike_module = {
    NGX_MODULE_V1,
    .ctx = &module_ctx,
    .commands = commands,
    .type = NGX_HTTP_MODULE,
    .init_process = tp_edge_init_process,
    .exit_process = tp_edge_exit_process,
};

/* What nginx looks up in a dynamic module (ngx_load_module): the only exported names, see cmake/module.map. */
extern char *ngx_module_order[];
ngx_module_t *ngx_modules[] = { &ngx_http_turnpike_module, NULL };
char *ngx_module_names[] = { (char *)"ngx_http_turnpike_module", NULL };
char *ngx_module_order[] = { NULL };
