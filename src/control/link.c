/*
 * The link's server: one thread around epoll.
 *
 * Everything about workers is guarded by one lock; only the link's own thread closes and frees them. Another
 * thread that finds one broken shuts its socket down, and epoll tells the thread. Buffers are bounded: a worker that
 * does not read, does not say hello, or does not acknowledge for long is dropped, so that nobody waits for it.
 *
 *   connected ──HELLO──► counted ──BYE──► leaving
 *       └───────────────────┴── error, too slow, closed ──► dropped
 */
#include "control/link.h"

#include "base/clock.h"
#include "base/frame.h"
#include "base/log.h"
#include "base/mem.h"
#include "control/socket.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_WORKERS 1024
#define MAX_UNSENT (64 * 1024) /* some two thousand states: it has stopped reading */
#define HELLO_LIMIT_MS 10000
#define ACK_LIMIT_MS 30000 /* to build a plan, however large */
#define TICK_MS 1000
#define EVENTS 64

struct worker {
    int fd;
    int pid;
    bool counted; /* said hello, and not bye */
    bool broken;  /* only waits to be dropped */
    uint64_t served;
    int64_t since_ms; /* connected, or behind since */
    bool wants_write; /* EPOLLOUT is asked for */
    struct tp_buf in, out;
    size_t sent; /* of out */
    struct worker *next;
};

struct tp_link {
    char *path;
    int listen_fd, epoll_fd, stop_fd;
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* an acknowledgement, or a worker left */
    struct worker *workers;
    size_t connections;
    bool has_state, stopping;
    struct tp_frame state;
};

/* --- One worker; the lock is held -------------------------------------------------------------- */

static void break_off(struct worker *w, const char *why)
{
    if (w->broken)
        return;
    w->broken = true;
    shutdown(w->fd, SHUT_RDWR); /* wakes the link's thread, which drops it */
    if (why)
        tp_log(TP_LOG_WARN, "link: worker %d is dropped: %s", w->pid, why);
}

static void ask_for_write(struct tp_link *link, struct worker *w, bool wanted)
{
    struct epoll_event event = { .events = EPOLLIN | (wanted ? EPOLLOUT : 0), .data.ptr = w };

    if (w->wants_write == wanted)
        return;
    w->wants_write = wanted;
    if (epoll_ctl(link->epoll_fd, EPOLL_CTL_MOD, w->fd, &event) != 0)
        break_off(w, "epoll");
}

static void flush(struct tp_link *link, struct worker *w)
{
    while (!w->broken && w->sent < w->out.len) {
        ssize_t n = send(w->fd, w->out.data + w->sent, w->out.len - w->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n > 0) {
            w->sent += (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            ask_for_write(link, w, true);
            return;
        } else if (n == 0 || errno != EINTR) {
            break_off(w, NULL);
        }
    }
    if (w->broken)
        return;
    tp_buf_reset(&w->out);
    w->sent = 0;
    ask_for_write(link, w, false);
}

static void send_frame(struct tp_link *link, struct worker *w, const struct tp_frame *frame)
{
    tp_frame_encode(&w->out, frame);
    if (w->out.failed)
        break_off(w, "it does not read");
    else
        flush(link, w);
}

static bool is_behind(const struct tp_link *link, const struct worker *w)
{
    return w->counted && link->has_state && w->served < link->state.position;
}

static void on_hello(struct tp_link *link, struct worker *w, const struct tp_frame *frame)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (w->counted) {
        break_off(w, "it said hello twice");
        return;
    }
    /* The kernel's word counts: somebody may send signals to this number. */
    w->pid = getsockopt(w->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 0 ? peer.pid : (int)frame->pid;
    w->counted = true;
    w->served = frame->position;
    w->since_ms = tp_clock_monotonic_ms();
    if (link->has_state)
        send_frame(link, w, &link->state);
}

static void on_frame(struct tp_link *link, struct worker *w, const struct tp_frame *frame)
{
    struct tp_frame reply = { .type = TP_FRAME_REPLY, .id = frame->id, .error = TP_ERR_NOT_FOUND };

    switch (frame->type) {
    case TP_FRAME_HELLO: on_hello(link, w, frame); break;
    case TP_FRAME_ACK:
        w->served = frame->position;
        w->since_ms = tp_clock_monotonic_ms();
        pthread_cond_broadcast(&link->changed);
        break;
    case TP_FRAME_BYE:
        w->counted = false;
        w->since_ms = tp_clock_monotonic_ms();
        pthread_cond_broadcast(&link->changed);
        break;
    case TP_FRAME_CALL:
        reply.text = TP_STR("control knows no such call");
        send_frame(link, w, &reply);
        break;
    case TP_FRAME_REPLY: /* nothing was asked */
    case TP_FRAME_STATE: break_off(w, "it sent what only control sends"); break;
    }
}

/* Frames that came whole; the rest stays. */
static void take_frames(struct tp_link *link, struct worker *w)
{
    struct tp_str rest = tp_buf_str(&w->in);
    struct tp_frame frame;
    size_t used;
    enum tp_err err = TP_OK;

    while (!w->broken && (err = tp_frame_decode(rest, &frame, &used)) == TP_OK) {
        on_frame(link, w, &frame);
        rest = tp_str_from(rest, used);
    }
    if (err == TP_ERR_DAMAGED)
        break_off(w, "it sent what is no frame");
    if (w->broken)
        return;
    memmove(w->in.data, rest.data, rest.len);
    w->in.len = rest.len;
}

static void receive(struct tp_link *link, struct worker *w)
{
    while (!w->broken) {
        char bytes[16384];
        ssize_t n = recv(w->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            break_off(w, NULL);
            return;
        }
        tp_buf_add(&w->in, tp_str_make(bytes, (size_t)n));
        take_frames(link, w);
    }
}

static void drop(struct tp_link *link, struct worker *w)
{
    struct worker **at = &link->workers;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    link->connections--;
    close(w->fd); /* leaves epoll, too */
    tp_buf_fini(&w->in);
    tp_buf_fini(&w->out);
    free(w);
    pthread_cond_broadcast(&link->changed);
}

/* --- The thread -------------------------------------------------------------------------------- */

static void accept_one(struct tp_link *link, int fd)
{
    struct worker *w;
    struct epoll_event event = { .events = EPOLLIN };

    if (link->connections == MAX_WORKERS) {
        close(fd);
        return;
    }
    w = tp_new(struct worker);
    w->fd = fd;
    w->since_ms = tp_clock_monotonic_ms();
    tp_buf_init(&w->in, TP_FRAME_MAX + 64 * 1024);
    tp_buf_init(&w->out, MAX_UNSENT);
    event.data.ptr = w;
    if (epoll_ctl(link->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        close(fd);
        free(w);
        return;
    }
    w->next = link->workers;
    link->workers = w;
    link->connections++;
}

static void accept_all(struct tp_link *link)
{
    int fd;

    while ((fd = accept4(link->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        accept_one(link, fd);
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
        usleep(10000); /* the waiting connection would spin us */
}

static void on_event(struct tp_link *link, const struct epoll_event *event)
{
    struct worker *w = event->data.ptr;

    if (event->events & EPOLLOUT)
        flush(link, w);
    if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        receive(link, w);
}

static void drop_broken_and_slow(struct tp_link *link)
{
    int64_t now = tp_clock_monotonic_ms();
    struct worker *next;

    for (struct worker *w = link->workers; w; w = next) {
        next = w->next;
        if (!w->counted && !w->pid && now - w->since_ms > HELLO_LIMIT_MS)
            break_off(w, "it did not say hello");
        if (is_behind(link, w) && now - w->since_ms > ACK_LIMIT_MS)
            break_off(w, "it does not acknowledge");
        if (w->broken)
            drop(link, w);
    }
}

static void *run(void *data)
{
    struct tp_link *link = data;
    struct epoll_event events[EVENTS];
    bool stopping = false;

    while (!stopping) {
        int n = epoll_wait(link->epoll_fd, events, EVENTS, TICK_MS);

        pthread_mutex_lock(&link->lock);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == link)
                accept_all(link);
            else if (events[i].data.ptr != &link->stop_fd)
                on_event(link, &events[i]);
        }
        drop_broken_and_slow(link); /* last: events of this round may name them */
        stopping = link->stopping;
        pthread_mutex_unlock(&link->lock);
    }
    return NULL;
}

/* --- Life -------------------------------------------------------------------------------------- */

static enum tp_err watch(struct tp_link *link, int fd, void *data)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = data };

    return fd >= 0 && epoll_ctl(link->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? TP_OK : TP_ERR_IO;
}

static enum tp_err start_thread(struct tp_link *link, struct tp_diag *diag)
{
    link->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    link->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (link->epoll_fd < 0 || watch(link, link->listen_fd, link) || watch(link, link->stop_fd, &link->stop_fd) ||
        pthread_create(&link->thread, NULL, run, link) != 0) {
        tp_diag_add(diag, link->path, "cannot start the link: %m");
        return TP_ERR_IO;
    }
    return TP_OK;
}

static void free_link(struct tp_link *link)
{
    if (link->listen_fd >= 0)
        close(link->listen_fd);
    if (link->epoll_fd >= 0)
        close(link->epoll_fd);
    if (link->stop_fd >= 0)
        close(link->stop_fd);
    pthread_cond_destroy(&link->changed);
    pthread_mutex_destroy(&link->lock);
    free(link->path);
    free(link);
}

enum tp_err tp_link_start(struct tp_link **out, const char *path, struct tp_diag *diag)
{
    struct tp_link *link = tp_new(struct tp_link);
    pthread_condattr_t attr;
    enum tp_err err;

    link->path = tp_strdup(path);
    link->listen_fd = link->epoll_fd = link->stop_fd = -1;
    pthread_mutex_init(&link->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&link->changed, &attr);
    pthread_condattr_destroy(&attr);
    err = tp_control_socket_listen(&link->listen_fd, path, diag);
    if (!err)
        err = start_thread(link, diag);
    if (err) {
        free_link(link);
        return err;
    }
    *out = link;
    return TP_OK;
}

void tp_link_stop(struct tp_link *link)
{
    uint64_t one = 1;

    if (!link)
        return;
    pthread_mutex_lock(&link->lock);
    link->stopping = true;
    pthread_mutex_unlock(&link->lock);
    if (write(link->stop_fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
        tp_log(TP_LOG_DEBUG, "link: the thread sees the end at its next tick");
    pthread_join(link->thread, NULL);
    while (link->workers)
        drop(link, link->workers);
    unlink(link->path);
    free_link(link);
}

/* --- For other threads ------------------------------------------------------------------------- */

void tp_link_set_state(struct tp_link *link, uint64_t epoch, uint64_t position, uint64_t plan)
{
    pthread_mutex_lock(&link->lock);
    for (struct worker *w = link->workers; w; w = w->next) {
        if (!is_behind(link, w))
            w->since_ms = tp_clock_monotonic_ms(); /* behind from now on */
    }
    link->state = (struct tp_frame){ .type = TP_FRAME_STATE, .epoch = epoch, .position = position, .plan = plan };
    link->has_state = true;
    for (struct worker *w = link->workers; w; w = w->next) {
        if (w->counted)
            send_frame(link, w, &link->state);
    }
    pthread_mutex_unlock(&link->lock);
}

static bool all_serve(const struct tp_link *link, uint64_t position)
{
    for (const struct worker *w = link->workers; w; w = w->next) {
        if (w->counted && !w->broken && w->served < position)
            return false;
    }
    return true;
}

enum tp_err tp_link_wait(struct tp_link *link, uint64_t position, int64_t timeout_ms)
{
    int64_t until = tp_clock_monotonic_ms() + timeout_ms;
    enum tp_err err = TP_OK;

    pthread_mutex_lock(&link->lock);
    while (!err && !all_serve(link, position)) {
        struct timespec at = { until / 1000, until % 1000 * 1000000 };

        if (timeout_ms <= 0 || pthread_cond_timedwait(&link->changed, &link->lock, &at) == ETIMEDOUT)
            err = all_serve(link, position) ? TP_OK : TP_ERR_TIMEOUT;
    }
    pthread_mutex_unlock(&link->lock);
    return err;
}

size_t tp_link_worker_pids(struct tp_link *link, int *out, size_t max)
{
    size_t n = 0;

    pthread_mutex_lock(&link->lock);
    for (const struct worker *w = link->workers; w; w = w->next) {
        if (!w->counted || w->broken)
            continue;
        if (n < max)
            out[n] = w->pid;
        n++;
    }
    pthread_mutex_unlock(&link->lock);
    return n;
}

size_t tp_link_worker_count(struct tp_link *link)
{
    return tp_link_worker_pids(link, NULL, 0);
}
