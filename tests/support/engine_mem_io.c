/* Connections and timers of the memory engine: engine_mem_io.h. */
#include "support/engine_mem_io.h"

#include "base/mem.h"

struct mem_timer {
    struct mem_timer *next;
    int64_t at;
    void (*fn)(void *data);
    void *data;
};

static struct engine_mem *of_engine(struct tp_engine *engine)
{
    return (struct engine_mem *)engine;
}

enum tp_err mem_conn_open(struct tp_engine *engine, struct tp_conn **out, const struct tp_conn_options *options,
                          const struct tp_conn_events *events, void *data)
{
    struct engine_mem *e = of_engine(engine);
    struct tp_conn *conn;

    if (e->refuse_conns || e->conn_count == MEM_MAX)
        return TP_ERR_UNAVAILABLE;
    conn = tp_new(struct tp_conn);
    *conn = (struct tp_conn){ .engine = e, .options = *options, .events = events, .data = data };
    tp_buf_init(&conn->sent, 1 << 20);
    e->conns[e->conn_count++] = conn;
    *out = conn;
    return TP_OK;
}

enum tp_err mem_conn_write(struct tp_conn *conn, struct tp_str bytes)
{
    if (conn->closed)
        return TP_ERR_CLOSED;
    tp_buf_add(&conn->sent, bytes);
    return conn->sent.failed ? TP_ERR_FULL : TP_OK;
}

void mem_conn_close(struct tp_conn *conn)
{
    conn->closed = true;
}

void *mem_timer_start(struct tp_engine *engine, int64_t delay_ms, void (*fn)(void *data), void *data)
{
    struct engine_mem *e = of_engine(engine);
    struct mem_timer *timer = tp_new(struct mem_timer);

    *timer = (struct mem_timer){ .next = e->timers, .at = e->now_ms + delay_ms, .fn = fn, .data = data };
    e->timers = timer;
    return timer;
}

void mem_timer_stop(struct tp_engine *engine, void *timer)
{
    struct mem_timer **at = &of_engine(engine)->timers;

    while (*at && *at != timer)
        at = &(*at)->next;
    if (*at) {
        *at = (*at)->next;
        free(timer);
    }
}

/* A timer whose time has come, off the list; NULL: none. */
static struct mem_timer *take_due(struct engine_mem *e)
{
    for (struct mem_timer **at = &e->timers; *at; at = &(*at)->next) {
        struct mem_timer *timer = *at;

        if (timer->at > e->now_ms)
            continue;
        *at = timer->next;
        return timer;
    }
    return NULL;
}

/* What runs may start and stop timers. */
void mem_timers_fire(struct engine_mem *e)
{
    struct mem_timer *due;

    while ((due = take_due(e))) {
        struct mem_timer fire = *due;

        free(due);
        fire.fn(fire.data);
    }
}

void mem_conns_free(struct engine_mem *e)
{
    for (size_t i = 0; i < e->conn_count; i++) {
        tp_buf_fini(&e->conns[i]->sent);
        free(e->conns[i]);
    }
}

void mem_conn_opened(struct tp_conn *conn)
{
    conn->events->on_open(conn->data);
}

void mem_conn_data(struct tp_conn *conn, struct tp_str bytes)
{
    conn->events->on_data(conn->data, bytes);
}

void mem_conn_lost(struct tp_conn *conn, enum tp_err why)
{
    conn->closed = true;
    conn->events->on_close(conn->data, why);
}
