/* TLS towards upstreams: upstream_tls.h. */
#include "edge/upstream_tls.h"

#include "base/mem.h"

enum {
    SESSION_SLOTS = 1024, /* each holds one; a collision forgets the older */
};

struct context {
    ngx_ssl_t ssl;
    bool verify;
    int depth;
    struct context *next;
};

struct session {
    struct tp_edge_pool_key *key;
    ngx_ssl_session_t *session;
};

struct tp_edge_tls {
    ngx_log_t *log;
    const char *trusted_file; /* NULL: the system's store */
    struct context *contexts;
    struct session sessions[SESSION_SLOTS];
};

struct tp_edge_tls *tp_edge_tls_new(const struct tp_edge_settings *settings, ngx_log_t *log)
{
    struct tp_edge_tls *tls = tp_new(struct tp_edge_tls);

    tls->log = log;
    tls->trusted_file = settings->trusted_certificates.data;
    return tls;
}

static void forget(struct session *s)
{
    if (s->session)
        ngx_ssl_free_session(s->session);
    free(s->key);
    *s = (struct session){ NULL, NULL };
}

void tp_edge_tls_free(struct tp_edge_tls *tls)
{
    if (!tls)
        return;
    while (tls->contexts) {
        struct context *next = tls->contexts->next;

        SSL_CTX_free(tls->contexts->ssl.ctx);
        free(tls->contexts);
        tls->contexts = next;
    }
    for (size_t i = 0; i < SESSION_SLOTS; i++)
        forget(&tls->sessions[i]);
    free(tls);
}

static bool load_trust(const struct tp_edge_tls *tls, SSL_CTX *ctx)
{
    if (tls->trusted_file)
        return SSL_CTX_load_verify_locations(ctx, tls->trusted_file, NULL) == 1;
    return SSL_CTX_set_default_verify_paths(ctx) == 1;
}

static struct context *make_context(struct tp_edge_tls *tls, const struct tp_target *target, ngx_log_t *log)
{
    struct context *context = tp_new(struct context);

    context->verify = target->tls_verify;
    context->depth = target->tls_verify_depth;
    context->ssl.log = tls->log;
    if (ngx_ssl_create(&context->ssl, NGX_SSL_TLSv1_2 | NGX_SSL_TLSv1_3, NULL) != NGX_OK) {
        free(context);
        return NULL;
    }
    SSL_CTX_set_mode(context->ssl.ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER); /* conn.c's buffer grows meanwhile */
    if (target->tls_verify) {
        SSL_CTX_set_verify_depth(context->ssl.ctx, target->tls_verify_depth);
        if (!load_trust(tls, context->ssl.ctx)) {
            ngx_ssl_error(NGX_LOG_ERR, log, 0, (char *)"cannot load the trusted certificates");
            SSL_CTX_free(context->ssl.ctx);
            free(context);
            return NULL;
        }
    }
    /* sessions reach save_session through nginx's callback on this context */
    if (ngx_ssl_client_session_cache(NULL, &context->ssl, 1) != NGX_OK) {
        SSL_CTX_free(context->ssl.ctx);
        free(context);
        return NULL;
    }
    context->next = tls->contexts;
    tls->contexts = context;
    return context;
}

ngx_ssl_t *tp_edge_tls_context(struct tp_edge_tls *tls, const struct tp_target *target, ngx_log_t *log)
{
    struct context *context;

    /* NEEDSWORK: ca_certificates and client_certificate come with their entities; until then such a service
     * must not be reached under another trust or name than it asks for. (#2) */
    if (target->ca_digest.len || target->client_certificate.len) {
        ngx_log_error(NGX_LOG_ERR, log, 0, "the service's own CA or client certificates are not supported yet");
        return NULL;
    }
    for (context = tls->contexts; context; context = context->next) {
        if (context->verify == target->tls_verify && (!context->verify || context->depth == target->tls_verify_depth))
            return &context->ssl;
    }
    context = make_context(tls, target, log);
    return context ? &context->ssl : NULL;
}

/* OpenSSL's verdict on each certificate of the chain; it fails the handshake, and we say why. */
static int on_verified(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    ngx_connection_t *c = ngx_ssl_get_connection(ssl);
    int error = X509_STORE_CTX_get_error(store);

    if (!ok)
        ngx_log_error(NGX_LOG_ERR, c->log, 0, "the upstream's certificate is refused: (%d: %s)", error,
                      X509_verify_cert_error_string(error));
    return ok;
}

/* nginx itself compares DNS names only, so it is told not to verify, and OpenSSL does all of it. */
ngx_int_t tp_edge_tls_verify(ngx_connection_t *c, struct tp_str name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(c->ssl->connection);
    char text[256];
    int done;

    if (name.len >= 2 && name.data[0] == '[' && name.data[name.len - 1] == ']')
        name = tp_str_make(name.data + 1, name.len - 2);
    if (name.len == 0 || name.len >= sizeof(text)) {
        ngx_log_error(NGX_LOG_ERR, c->log, 0, "there is no name to verify the upstream's certificate with");
        return NGX_ERROR;
    }
    snprintf(text, sizeof(text), "%.*s", TP_STR_ARG(name));
    done = X509_VERIFY_PARAM_set1_ip_asc(param, text);
    if (!done) {
        ERR_clear_error(); /* it is no address */
        done = X509_VERIFY_PARAM_set1_host(param, text, name.len);
    }
    if (!done) {
        ngx_ssl_error(NGX_LOG_ERR, c->log, 0, (char *)"cannot verify the name of an upstream");
        return NGX_ERROR;
    }
    SSL_set_verify(c->ssl->connection, SSL_VERIFY_PEER, on_verified);
    return NGX_OK;
}

static struct session *slot_of(struct tp_edge_tls *tls, const struct tp_edge_pool_key *key)
{
    return &tls->sessions[tp_edge_pool_key_hash(key) % SESSION_SLOTS];
}

ngx_int_t tp_edge_tls_set_session(struct tp_edge_tls *tls, const struct tp_edge_pool_key *key, ngx_connection_t *c)
{
    const struct session *s = slot_of(tls, key);

    if (!s->session || !tp_edge_pool_key_eq(s->key, key))
        return NGX_OK;
    return ngx_ssl_set_session(c, s->session);
}

void tp_edge_tls_save_session(struct tp_edge_tls *tls, const struct tp_edge_pool_key *key, ngx_connection_t *c)
{
    struct session *s = slot_of(tls, key);
    ngx_ssl_session_t *session = ngx_ssl_get_session(c);

    if (!session)
        return;
    forget(s);
    s->key = tp_edge_pool_key_copy(key);
    s->session = session;
}
