/*
 * Byte streams: conn.h.
 *
 *   resolving ──► connecting ──► (handshaking) ──► open ──► gone
 *
 * "Gone" is entered once, by tp_edge_conn_close (no callback) or by fail() (on_close is the last). A callback may close
 * the connection under our feet: whoever called it checks `gone` before touching anything else, and the memory is freed
 * by the outermost frame only.
 */
#include "edge/conn.h"

#include "base/mem.h"
#include "edge/pool.h"
#include "edge/resolver.h"
#include "edge/upstream_tls.h"

enum {
    MAX_UNSENT = 1 << 20,
    READ_BYTES = 16384,
};

struct tp_conn {
    struct tp_edge_worker *worker;
    const struct tp_conn_events *events;
    void *data;
    struct tp_edge_lookup *lookup;
    ngx_peer_connection_t peer;
    struct sockaddr_storage sockaddr;
    ngx_str_t name; /* for nginx's log */
    char *tls_name; /* NULL: no TLS */
    bool tls_verify;
    uint16_t port;
    ngx_msec_t connect_timeout_ms;
    ngx_connection_t *c;
    struct tp_buf unsent;
    size_t sent; /* of unsent */
    bool open, gone;
    int frames; /* of ours on the stack */
};

static void enter(struct tp_conn *conn)
{
    conn->frames++;
}

static void leave(struct tp_conn *conn)
{
    if (--conn->frames > 0 || !conn->gone)
        return;
    tp_buf_fini(&conn->unsent);
    free(conn->tls_name);
    free(conn->name.data);
    free(conn);
}

static void drop_connection(struct tp_conn *conn)
{
    ngx_connection_t *c = conn->c;

    tp_edge_lookup_cancel(conn->lookup);
    conn->lookup = NULL;
    conn->c = NULL;
    if (!c)
        return;
    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;
        ngx_ssl_shutdown(c);
    }
    if (c->pool)
        ngx_destroy_pool(c->pool);
    ngx_close_connection(c);
}

static void fail(struct tp_conn *conn, enum tp_err why)
{
    if (conn->gone)
        return;
    conn->gone = true;
    drop_connection(conn);
    conn->events->on_close(conn->data, why);
}

void tp_edge_conn_close(struct tp_conn *conn)
{
    if (!conn || conn->gone)
        return;
    enter(conn);
    conn->gone = true;
    drop_connection(conn);
    leave(conn);
}

/* --- Bytes --------------------------------------------------------------------------------------- */

static void flush(struct tp_conn *conn)
{
    ngx_connection_t *c = conn->c;

    while (conn->sent < conn->unsent.len && c->write->ready) {
        ssize_t n = c->send(c, (u_char *)conn->unsent.data + conn->sent, conn->unsent.len - conn->sent);

        if (n == NGX_AGAIN)
            break;
        if (n <= 0) {
            fail(conn, TP_ERR_CLOSED);
            return;
        }
        conn->sent += (size_t)n;
    }
    if (conn->sent == conn->unsent.len) {
        tp_buf_reset(&conn->unsent);
        conn->sent = 0;
    }
    if (ngx_handle_write_event(c->write, 0) != NGX_OK)
        fail(conn, TP_ERR_IO);
}

enum tp_err tp_edge_conn_write(struct tp_conn *conn, struct tp_str bytes)
{
    if (conn->gone)
        return TP_ERR_CLOSED;
    if (conn->unsent.len - conn->sent + bytes.len > MAX_UNSENT)
        return TP_ERR_FULL;
    if (conn->sent > MAX_UNSENT / 2) { /* what is sent makes room: the buffer has a ceiling */
        conn->unsent.len -= conn->sent;
        memmove(conn->unsent.data, conn->unsent.data + conn->sent, conn->unsent.len);
        conn->sent = 0;
    }
    tp_buf_add(&conn->unsent, bytes);
    if (conn->open) {
        ngx_post_event(conn->c->write, &ngx_posted_events); /* several writes of one step leave together */
    }
    return TP_OK;
}

static void on_read(ngx_event_t *ev)
{
    ngx_connection_t *c = ev->data;
    struct tp_conn *conn = c->data;
    u_char bytes[READ_BYTES];

    if (c->close) { /* the worker is leaving and this connection is idle */
        enter(conn);
        fail(conn, TP_ERR_CLOSED);
        leave(conn);
        return;
    }
    enter(conn);
    while (!conn->gone && c->read->ready) {
        ssize_t n = c->recv(c, bytes, sizeof(bytes));

        if (n == NGX_AGAIN)
            break;
        if (n <= 0)
            fail(conn, TP_ERR_CLOSED);
        else
            conn->events->on_data(conn->data, tp_str_make((const char *)bytes, (size_t)n));
    }
    if (!conn->gone && ngx_handle_read_event(c->read, 0) != NGX_OK)
        fail(conn, TP_ERR_IO);
    leave(conn);
}

static void on_write(ngx_event_t *ev)
{
    struct tp_conn *conn = ((ngx_connection_t *)ev->data)->data;

    enter(conn);
    flush(conn);
    leave(conn);
}

/* --- Opening ------------------------------------------------------------------------------------- */

static void opened(struct tp_conn *conn)
{
    ngx_connection_t *c = conn->c;

    if (c->write->timer_set)
        ngx_del_timer(c->write);
    conn->open = true;
    c->read->handler = on_read;
    c->write->handler = on_write;
    conn->events->on_open(conn->data);
    if (!conn->gone)
        flush(conn);
    if (!conn->gone && c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_events);
    }
}

static void on_handshake(ngx_connection_t *c)
{
    struct tp_conn *conn = c->data;

    enter(conn);
    if (!c->ssl->handshaked) {
        ngx_log_error(NGX_LOG_ERR, c->log, 0, "TLS handshake or verification failed with %V", &conn->name);
        fail(conn, TP_ERR_UNAVAILABLE);
    } else {
        opened(conn);
    }
    leave(conn);
}

static enum tp_err start_tls(struct tp_conn *conn)
{
    struct tp_target target = {
        .tls = true,
        .tls_verify = conn->tls_verify,
        .tls_verify_depth = (int)conn->worker->settings->tls_verify_depth,
    };
    ngx_ssl_t *ssl = tp_edge_tls_context(conn->worker->tls, &target, conn->c->log);
    ngx_int_t rc;

    if (!ssl || ngx_ssl_create_connection(ssl, conn->c, NGX_SSL_BUFFER | NGX_SSL_CLIENT) != NGX_OK)
        return TP_ERR_UNAVAILABLE;
    if (conn->tls_verify && tp_edge_tls_verify(conn->c, tp_str_from_cstr(conn->tls_name)) != NGX_OK)
        return TP_ERR_UNAVAILABLE;
    if (conn->tls_name[0] && SSL_set_tlsext_host_name(conn->c->ssl->connection, conn->tls_name) != 1)
        return TP_ERR_UNAVAILABLE;
    rc = ngx_ssl_handshake(conn->c);
    if (rc == NGX_AGAIN) {
        conn->c->ssl->handler = on_handshake;
        return TP_OK;
    }
    on_handshake(conn->c);
    return TP_OK;
}

static void on_connected(ngx_event_t *ev)
{
    ngx_connection_t *c = ev->data;
    struct tp_conn *conn = c->data;
    int error = 0;
    socklen_t len = sizeof(error);

    enter(conn);
    if (ev->timedout) {
        fail(conn, TP_ERR_TIMEOUT);
    } else if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error) {
        ngx_log_error(NGX_LOG_ERR, c->log, error, "connect() to %V failed", &conn->name);
        fail(conn, TP_ERR_UNAVAILABLE);
    } else if (!conn->tls_name) {
        opened(conn);
    } else if (start_tls(conn) != TP_OK) {
        fail(conn, TP_ERR_UNAVAILABLE);
    }
    leave(conn);
}

static enum tp_err connect_to(struct tp_conn *conn, const struct tp_address *address)
{
    ngx_int_t rc;

    if (address->family_v6) {
        struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&conn->sockaddr;

        *sin6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(conn->port) };
        memcpy(&sin6->sin6_addr, address->bytes, 16);
        conn->peer.socklen = sizeof(*sin6);
    } else {
        struct sockaddr_in *sin = (struct sockaddr_in *)&conn->sockaddr;

        *sin = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(conn->port) };
        memcpy(&sin->sin_addr, address->bytes, 4);
        conn->peer.socklen = sizeof(*sin);
    }
    conn->peer.sockaddr = (struct sockaddr *)&conn->sockaddr;
    conn->peer.name = &conn->name;
    conn->peer.get = ngx_event_get_peer;
    conn->peer.log = conn->worker->cycle->log;
    conn->peer.log_error = NGX_ERROR_ERR;

    rc = ngx_event_connect_peer(&conn->peer);
    if (rc == NGX_ERROR || rc == NGX_BUSY || rc == NGX_DECLINED) {
        if (conn->peer.connection)
            ngx_close_connection(conn->peer.connection);
        return TP_ERR_UNAVAILABLE;
    }
    conn->c = conn->peer.connection;
    conn->c->data = conn;
    conn->c->pool = ngx_create_pool(256, conn->worker->cycle->log); /* nginx's TLS wants one */
    if (!conn->c->pool)
        return TP_ERR_IO;
    conn->c->idle = 1; /* a worker that leaves closes it */
    conn->c->read->handler = on_connected;
    conn->c->write->handler = on_connected;
    if (rc == NGX_AGAIN) {
        ngx_add_timer(conn->c->write, conn->connect_timeout_ms);
    } else {
        ngx_post_event(conn->c->write, &ngx_posted_events); /* callbacks never come before open returns */
    }
    return TP_OK;
}

static void on_resolved(void *data, enum tp_err err, const struct tp_edge_addresses *addresses)
{
    struct tp_conn *conn = data;

    enter(conn);
    conn->lookup = NULL;
    if (!err)
        err = connect_to(conn, &addresses->items[0]);
    if (err)
        fail(conn, err == TP_ERR_NOT_FOUND ? TP_ERR_UNAVAILABLE : err);
    leave(conn);
}

static struct tp_conn *make_conn(struct tp_edge_worker *worker, const struct tp_conn_options *options)
{
    struct tp_conn *conn = tp_new(struct tp_conn);

    conn->worker = worker;
    conn->port = options->port;
    conn->tls_verify = options->tls_verify;
    conn->connect_timeout_ms = (ngx_msec_t)(options->connect_timeout_ms > 0 ? options->connect_timeout_ms : 1000);
    conn->name.data = (u_char *)tp_strndup(options->host);
    conn->name.len = options->host.len;
    if (options->tls)
        conn->tls_name = tp_strndup(options->tls_name.len ? options->tls_name : options->host);
    tp_buf_init(&conn->unsent, 2 * MAX_UNSENT);
    return conn;
}

enum tp_err tp_edge_conn_open(struct tp_engine *engine, struct tp_conn **out, const struct tp_conn_options *options,
                              const struct tp_conn_events *events, void *data)
{
    struct tp_edge_worker *worker = (struct tp_edge_worker *)engine;
    struct tp_conn *conn = make_conn(worker, options);
    struct tp_edge_addresses now;
    enum tp_err err;

    conn->events = events;
    conn->data = data;
    enter(conn);
    err = tp_edge_lookup_start(worker, options->host, &now, on_resolved, conn, &conn->lookup);
    if (err == TP_OK)
        err = connect_to(conn, &now.items[0]);
    else if (err == TP_ERR_AGAIN)
        err = TP_OK;
    if (err) {
        conn->gone = true;
        drop_connection(conn);
    } else {
        *out = conn;
    }
    leave(conn);
    return err;
}
