/*
 * The pool of idle upstream connections: pool.h. A hash of shelves, one shelf a key; each holds its connections, the
 * one used last in front, and at most `max_idle` of them.
 */
#include "edge/pool.h"

#include "base/mem.h"

enum {
    BUCKETS = 256,
    MAX_SHELVES = 1024, /* above it, empty ones go: names of TLS upstreams may come from clients (preserve_host) */
};

struct shelf {
    struct tp_edge_pool *pool;
    struct tp_edge_pool_key *key;
    ngx_queue_t idle; /* of struct item */
    size_t count;
    struct shelf *next;
};

struct item {
    ngx_queue_t queue;
    ngx_connection_t *c;
    struct shelf *shelf;
};

struct tp_edge_pool {
    ngx_queue_t free_items; /* as many as were ever idle at once */
    struct shelf *buckets[BUCKETS];
    size_t shelves;
    size_t max_idle, max_requests;
    ngx_msec_t idle_ms;
};

struct tp_edge_pool *tp_edge_pool_new(const struct tp_edge_settings *settings)
{
    struct tp_edge_pool *pool = tp_new(struct tp_edge_pool);

    ngx_queue_init(&pool->free_items);
    pool->max_idle = (size_t)settings->keepalive_pool_size;
    pool->max_requests = (size_t)settings->keepalive_max_requests;
    pool->idle_ms = (ngx_msec_t)settings->keepalive_idle_ms;
    return pool;
}

static void close_connection(ngx_connection_t *c)
{
#if (NGX_HTTP_SSL)
    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;
        ngx_ssl_shutdown(c);
    }
#endif
    ngx_destroy_pool(c->pool);
    ngx_close_connection(c);
}

static struct item *make_item(struct tp_edge_pool *pool)
{
    struct item *item;

    if (ngx_queue_empty(&pool->free_items))
        return tp_new(struct item);
    item = ngx_queue_data(ngx_queue_head(&pool->free_items), struct item, queue);
    ngx_queue_remove(&item->queue);
    return item;
}

static void drop_item(struct item *item)
{
    struct shelf *shelf = item->shelf;

    ngx_queue_remove(&item->queue);
    shelf->count--;
    ngx_queue_insert_head(&shelf->pool->free_items, &item->queue);
}

static void free_shelf(struct shelf *shelf)
{
    while (!ngx_queue_empty(&shelf->idle)) {
        struct item *item = ngx_queue_data(ngx_queue_head(&shelf->idle), struct item, queue);
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not see that drop_item takes the item off the queue */
        ngx_connection_t *c = item->c;

        drop_item(item);
        close_connection(c);
    }
    free(shelf->key);
    free(shelf);
}

void tp_edge_pool_free(struct tp_edge_pool *pool)
{
    if (!pool)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (pool->buckets[i]) {
            struct shelf *next = pool->buckets[i]->next;

            free_shelf(pool->buckets[i]);
            pool->buckets[i] = next;
        }
    }
    while (!ngx_queue_empty(&pool->free_items))
        free(make_item(pool));
    free(pool);
}

static struct shelf **find(struct tp_edge_pool *pool, const struct tp_edge_pool_key *key)
{
    struct shelf **link = &pool->buckets[tp_edge_pool_key_hash(key) % BUCKETS];

    while (*link && !tp_edge_pool_key_eq((*link)->key, key))
        link = &(*link)->next;
    return link;
}

static void sweep(struct tp_edge_pool *pool)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        struct shelf **link = &pool->buckets[i];

        while (*link) {
            struct shelf *shelf = *link;

            if (shelf->count) {
                link = &shelf->next;
                continue;
            }
            *link = shelf->next;
            free_shelf(shelf);
            pool->shelves--;
        }
    }
}

static struct shelf *find_or_add(struct tp_edge_pool *pool, const struct tp_edge_pool_key *key)
{
    struct shelf **link = find(pool, key), *shelf;

    if (*link)
        return *link;
    if (pool->shelves >= MAX_SHELVES) {
        sweep(pool);
        link = find(pool, key);
    }
    shelf = tp_new(struct shelf);
    shelf->pool = pool;
    shelf->key = tp_edge_pool_key_copy(key);
    ngx_queue_init(&shelf->idle);
    *link = shelf;
    pool->shelves++;
    return shelf;
}

static void set_log(ngx_connection_t *c, ngx_log_t *log)
{
    c->log = log;
    c->read->log = log;
    c->write->log = log;
    c->pool->log = log;
}

ngx_connection_t *tp_edge_pool_take(struct tp_edge_pool *pool, const struct tp_edge_pool_key *key, ngx_log_t *log)
{
    struct shelf *shelf = *find(pool, key);
    struct item *item;
    ngx_connection_t *c;

    if (!shelf || ngx_queue_empty(&shelf->idle))
        return NULL;
    item = ngx_queue_data(ngx_queue_head(&shelf->idle), struct item, queue);
    c = item->c;
    drop_item(item);
    c->idle = 0;
    c->sent = 0;
    c->data = NULL;
    set_log(c, log);
    if (c->read->timer_set)
        ngx_del_timer(c->read);
    return c;
}

static void on_write(ngx_event_t *ev)
{
    (void)ev;
}

/* The upstream closed, said something unasked, the time is over, or the worker is leaving: all the same. */
static void on_read(ngx_event_t *ev)
{
    ngx_connection_t *c = ev->data;
    struct item *item = c->data;
    char byte;

    if (!c->close && !c->read->timedout) {
        ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK);

        if (n == -1 && ngx_socket_errno == NGX_EAGAIN) {
            ev->ready = 0;
            if (ngx_handle_read_event(c->read, 0) == NGX_OK)
                return;
        }
    }
    drop_item(item);
    close_connection(c);
}

static bool is_usable(const struct tp_edge_pool *pool, const ngx_connection_t *c)
{
    if (c->read->eof || c->read->error || c->read->timedout || c->write->error || c->write->timedout)
        return false;
    if (ngx_terminate || ngx_exiting)
        return false;
    return pool->max_idle > 0 && (pool->max_requests == 0 || c->requests < pool->max_requests);
}

bool tp_edge_pool_put(struct tp_edge_pool *pool, const struct tp_edge_pool_key *key, ngx_connection_t *c)
{
    struct shelf *shelf;
    struct item *item;

    if (!is_usable(pool, c) || ngx_handle_read_event(c->read, 0) != NGX_OK)
        return false;
    shelf = find_or_add(pool, key);
    if (shelf->count >= pool->max_idle) {
        struct item *oldest = ngx_queue_data(ngx_queue_last(&shelf->idle), struct item, queue);
        ngx_connection_t *old = oldest->c;

        drop_item(oldest);
        close_connection(old);
    }
    item = make_item(pool);
    item->c = c;
    item->shelf = shelf;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): as above */
    ngx_queue_insert_head(&shelf->idle, &item->queue);
    shelf->count++;

    c->read->delayed = 0;
    if (pool->idle_ms)
        ngx_add_timer(c->read, pool->idle_ms);
    else if (c->read->timer_set)
        ngx_del_timer(c->read);
    if (c->write->timer_set)
        ngx_del_timer(c->write);
    c->write->handler = on_write;
    c->read->handler = on_read;
    c->data = item;
    c->idle = 1; /* nginx calls on_read with c->close when the worker leaves */
    set_log(c, ngx_cycle->log);
    if (c->read->ready)
        on_read(c->read);
    return true;
}
