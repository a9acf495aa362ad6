/*
 * The link to control: link_client.h.
 *
 *   start: connect, HELLO, up to 50 ms for the first STATE ──► connected ◄──► waiting to connect again (backoff)
 *
 * What STATE says is wanted; what the worker serves follows: another epoch → switch the read model; a plan newer than
 * the built one → rebuild in a thread; else nothing to do. ACK when nothing is left to do. A build that ends finds the
 * newest wish: changes that come while one runs cost one more build, not one each.
 */
#include "edge/link_client.h"

#include "base/frame.h"
#include "base/mem.h"
#include "base/paths.h"
#include "edge/rebuild.h"

#include <poll.h>
#include <sys/un.h>

enum {
    BACKOFF_MIN_MS = 50,
    BACKOFF_MAX_MS = 1000,
    RETRY_BUILD_MS = 1000,
    READ_BYTES = 4096,
};

struct state {
    uint64_t epoch, position, plan;
};

struct tp_edge_link {
    struct tp_edge_worker *worker;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    int greeted_fd;      /* between greet and start; -1: none */
    ngx_connection_t *c; /* NULL: not connected */
    struct tp_buf in, out;
    size_t sent; /* of out */
    ngx_event_t reconnect;
    ngx_msec_t backoff_ms;

    struct tp_edge_rebuild *rebuild;
    ngx_event_t pause; /* before the next build */
    ngx_msec_t built_at;
    bool wants; /* a STATE came since the link was made */
    struct state wanted;
    struct state building; /* what was wanted when the build began */
    uint64_t epoch, plan;  /* served */
    uint64_t acked;
};

static void settle(struct tp_edge_link *link);
static void disconnect(struct tp_edge_link *link);

/* --- Sending ------------------------------------------------------------------------------------- */

static void flush(struct tp_edge_link *link)
{
    ngx_connection_t *c = link->c;

    while (link->sent < link->out.len && c->write->ready) {
        ssize_t n = c->send(c, (u_char *)link->out.data + link->sent, link->out.len - link->sent);

        if (n == NGX_AGAIN)
            break;
        if (n <= 0) {
            disconnect(link);
            return;
        }
        link->sent += (size_t)n;
    }
    if (link->sent == link->out.len) {
        tp_buf_reset(&link->out);
        link->sent = 0;
    }
    if (ngx_handle_write_event(c->write, 0) != NGX_OK)
        disconnect(link);
}

static void send_frame(struct tp_edge_link *link, const struct tp_frame *frame)
{
    if (!link->c)
        return;
    tp_frame_encode(&link->out, frame);
    flush(link);
}

static void acknowledge(struct tp_edge_link *link)
{
    struct tp_frame frame = { .type = TP_FRAME_ACK, .position = link->wanted.position };

    link->acked = frame.position;
    send_frame(link, &frame);
}

/* --- Following what is wanted --------------------------------------------------------------------- */

static bool is_behind(const struct tp_edge_link *link)
{
    return !link->worker->gateway.program || link->wanted.epoch != link->epoch || link->wanted.plan > link->plan;
}

static void retry_later(struct tp_edge_link *link, ngx_msec_t delay_ms)
{
    if (!link->pause.timer_set)
        ngx_add_timer(&link->pause, delay_ms);
}

static void start_build(struct tp_edge_link *link)
{
    /* as long a pause as the last build took: building has at most half of its thread's time */
    ngx_msec_t rest_ms = tp_edge_rebuild_took_ms(link->rebuild);
    ngx_msec_t since_ms = ngx_current_msec - link->built_at;

    if (rest_ms > since_ms) {
        retry_later(link, rest_ms - since_ms);
        return;
    }
    if (link->wanted.epoch != link->epoch && tp_edge_worker_refresh(link->worker) != TP_OK) {
        retry_later(link, RETRY_BUILD_MS);
        return;
    }
    link->building = link->wanted;
    if (!tp_edge_rebuild_start(link->rebuild))
        retry_later(link, RETRY_BUILD_MS);
}

static void settle(struct tp_edge_link *link)
{
    if (!link->wants || tp_edge_rebuild_is_running(link->rebuild))
        return;
    if (is_behind(link))
        start_build(link);
    else
        acknowledge(link);
}

static void take_served(struct tp_edge_link *link, const struct state *state)
{
    const struct tp_plan *plan = tp_program_plan(link->worker->gateway.program);

    link->epoch = state->epoch;
    link->plan = plan->position > state->plan ? plan->position : state->plan;
}

static void on_built(void *data, bool ok)
{
    struct tp_edge_link *link = data;

    link->built_at = ngx_current_msec;
    if (!ok) {
        retry_later(link, RETRY_BUILD_MS);
        return;
    }
    take_served(link, &link->building);
    settle(link);
}

static void on_pause_over(ngx_event_t *ev)
{
    settle(ev->data);
}

/* --- Receiving ----------------------------------------------------------------------------------- */

/* False: the peer does not speak our language. */
static bool take_frames(struct tp_edge_link *link, bool *got_state)
{
    struct tp_str rest = tp_buf_str(&link->in);
    struct tp_frame frame;
    enum tp_err err;
    size_t used;

    while ((err = tp_frame_decode(rest, &frame, &used)) == TP_OK) {
        if (frame.type == TP_FRAME_STATE) {
            link->wanted = (struct state){ frame.epoch, frame.position, frame.plan };
            link->wants = true;
            *got_state = true;
        }
        rest = tp_str_from(rest, used);
    }
    if (err != TP_ERR_AGAIN)
        return false;
    memmove(link->in.data, rest.data, rest.len);
    link->in.len = rest.len;
    return true;
}

static bool receive(struct tp_edge_link *link, bool *got_state)
{
    ngx_connection_t *c = link->c;

    while (c->read->ready) {
        char *room = tp_buf_reserve(&link->in, READ_BYTES);
        ssize_t n = room ? c->recv(c, (u_char *)room, READ_BYTES) : NGX_ERROR;

        if (n == NGX_AGAIN)
            break;
        if (n <= 0)
            return false;
        link->in.len += (size_t)n;
        if (!take_frames(link, got_state))
            return false;
    }
    return ngx_handle_read_event(c->read, 0) == NGX_OK;
}

static void say_bye(struct tp_edge_link *link)
{
    struct tp_frame frame = { .type = TP_FRAME_BYE };

    send_frame(link, &frame);
    disconnect(link);
}

static void on_read(ngx_event_t *ev)
{
    ngx_connection_t *c = ev->data;
    struct tp_edge_link *link = c->data;
    bool got_state = false;

    if (c->close) { /* nginx closes idle connections when the worker begins to exit */
        say_bye(link);
        return;
    }
    if (!receive(link, &got_state)) {
        disconnect(link);
        return;
    }
    if (got_state)
        settle(link);
}

static void on_write(ngx_event_t *ev)
{
    flush(((ngx_connection_t *)ev->data)->data);
}

/* --- Connecting ---------------------------------------------------------------------------------- */

/* A unix socket connects at once or not at all. -1: nobody listens. */
static int connect_socket(const struct tp_edge_link *link)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    memcpy(address.sun_path, link->path, sizeof(address.sun_path));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

static void encode_hello(struct tp_edge_link *link)
{
    struct tp_frame frame = { .type = TP_FRAME_HELLO, .pid = (uint32_t)ngx_pid, .position = link->acked };

    tp_buf_reset(&link->out);
    tp_buf_reset(&link->in);
    link->sent = 0;
    tp_frame_encode(&link->out, &frame);
}

static bool adopt(struct tp_edge_link *link, int fd)
{
    ngx_connection_t *c = ngx_get_connection(fd, link->worker->cycle->log);

    if (!c) {
        close(fd);
        return false;
    }
    c->data = link;
    c->recv = ngx_recv;
    c->send = ngx_send;
    c->log = c->read->log = c->write->log = link->worker->cycle->log;
    c->read->handler = on_read;
    c->write->handler = on_write;
    c->write->ready = 1;
    c->idle = 1;
    link->c = c;
    if (ngx_add_event(c->read, NGX_READ_EVENT, NGX_CLEAR_EVENT) != NGX_OK) {
        disconnect(link);
        return false;
    }
    return true;
}

static void wait_to_reconnect(struct tp_edge_link *link)
{
    if (ngx_exiting || ngx_terminate || link->reconnect.timer_set)
        return;
    ngx_add_timer(&link->reconnect, link->backoff_ms);
    link->backoff_ms = ngx_min(link->backoff_ms * 2, BACKOFF_MAX_MS);
}

static void disconnect(struct tp_edge_link *link)
{
    ngx_connection_t *c = link->c;

    if (!c)
        return;
    link->c = NULL;
    ngx_close_connection(c);
    wait_to_reconnect(link);
}

static void on_reconnect(ngx_event_t *ev)
{
    struct tp_edge_link *link = ev->data;
    int fd = connect_socket(link);

    if (fd < 0) {
        wait_to_reconnect(link);
        return;
    }
    encode_hello(link);
    if (!adopt(link, fd)) {
        wait_to_reconnect(link);
        return;
    }
    link->backoff_ms = BACKOFF_MIN_MS;
    flush(link);
}

/* --- Life ---------------------------------------------------------------------------------------- */

struct tp_edge_link *tp_edge_link_new(struct tp_edge_worker *worker)
{
    struct tp_edge_link *link = tp_new(struct tp_edge_link);
    ngx_event_t event = { .data = link, .log = worker->cycle->log, .cancelable = 1 };

    link->worker = worker;
    link->greeted_fd = -1;
    link->backoff_ms = BACKOFF_MIN_MS;
    link->reconnect = event;
    link->reconnect.handler = on_reconnect;
    link->pause = event;
    link->pause.handler = on_pause_over;
    link->rebuild = tp_edge_rebuild_new(worker, on_built, link);
    tp_buf_init(&link->in, 2 * TP_FRAME_MAX);
    tp_buf_init(&link->out, TP_FRAME_MAX);
    snprintf(link->path, sizeof(link->path), "%s/%s", worker->settings->prefix.data, TP_PATH_LINK);
    return link;
}

/* The only place that blocks: nothing is served yet. */
void tp_edge_link_greet(struct tp_edge_link *link)
{
    int fd = connect_socket(link);
    struct pollfd ready = { .fd = fd, .events = POLLIN };

    if (fd < 0)
        return;
    encode_hello(link);
    if (send(fd, link->out.data, link->out.len, MSG_NOSIGNAL) != (ssize_t)link->out.len) {
        close(fd);
        return;
    }
    tp_buf_reset(&link->out);
    (void)poll(&ready, 1, TP_EDGE_HELLO_MS); /* the state itself is read by the event loop */
    link->greeted_fd = fd;
}

void tp_edge_link_start(struct tp_edge_link *link)
{
    struct tp_read_model_meta meta;
    struct tp_view *view;

    if (link->worker->gateway.program && tp_view_begin(link->worker->gateway.read_model, &view) == TP_OK) {
        if (tp_view_meta(view, &meta) == TP_OK) {
            link->epoch = meta.epoch;
            link->plan = tp_program_plan(link->worker->gateway.program)->position;
        }
        tp_view_end(view);
    }
    if (link->greeted_fd >= 0 && adopt(link, link->greeted_fd)) {
        ngx_post_event(link->c->read, &ngx_posted_events);
    } else {
        wait_to_reconnect(link);
    }
    link->greeted_fd = -1;
}

void tp_edge_link_free(struct tp_edge_link *link)
{
    if (!link)
        return;
    if (link->c)
        ngx_close_connection(link->c);
    tp_edge_rebuild_free(link->rebuild);
    tp_buf_fini(&link->in);
    tp_buf_fini(&link->out);
    free(link);
}
