/*
 * The publisher's thread.
 *
 *              ┌──────────── nothing new ───────────┐
 *   start ──► round: connect ─► follow the feed ────┴──► sleep until kicked, or polled, or retried
 *                        └► rebuild (no read model, damaged, another database, feed pruned, re-read)
 *
 * What a round follows, publish_batch.c reads. A round that fails leaves everything as it was; its reason is
 * the fault that status shows, and it is tried again with growing pauses, or at once when somebody kicks. Only this
 * thread touches the store and the read model; `shared` is what others see.
 */
#include "control/publish.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "control/publish_batch.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#define RETRY_FIRST_MS 100
#define RETRY_MAX_MS 5000
#define SWEEP_MS 1000
#define SWEEP_ROWS 1000
#define PRUNE_MS 60000
#define PRUNE_KEEP_ROWS 1000000
#define PRUNE_AGE_S 86400

enum start_state { STARTING, SERVING, FAILED };

struct tp_publisher {
    struct tp_publisher_options options;
    char *dir;
    pthread_t thread;

    struct tp_store *store;      /* NULL: not connected */
    struct tp_read_model *model; /* NULL: none, or not usable */
    struct tp_read_model_meta meta;
    bool must_rebuild;
    int64_t retry_ms, sweep_at_ms, prune_at_ms;
    char logged[sizeof(((struct tp_publisher_status *)0)->fault)]; /* the fault that the log knows of */

    pthread_mutex_t lock;
    pthread_cond_t wake;     /* for the thread */
    pthread_cond_t finished; /* for waiters: the position moved, or a round ended */
    struct {
        struct tp_publisher_status status;
        enum tp_err fault;
        enum start_state start;
        bool stopping;
        uint64_t kicks, answered; /* `answered`: kicks that a round which ended has seen at its beginning */
    } shared;
};

/* --- What others see --------------------------------------------------------------------------- */

/* The read model moved: there is no fault any more, whatever the rest of the round brings. */
static void tell_state(struct tp_publisher *p)
{
    pthread_mutex_lock(&p->lock);
    p->shared.status.epoch = p->meta.epoch;
    p->shared.status.position = p->meta.position;
    p->shared.status.plan = p->meta.plan;
    p->shared.status.fault[0] = '\0';
    p->shared.fault = TP_OK;
    pthread_cond_broadcast(&p->finished); /* waiters need not see the end of the round */
    pthread_mutex_unlock(&p->lock);
    tp_link_set_state(p->options.link, p->meta.epoch, p->meta.position, p->meta.plan);
}

static void tell_reachable(struct tp_publisher *p, bool reachable)
{
    pthread_mutex_lock(&p->lock);
    p->shared.status.database_reachable = reachable;
    pthread_mutex_unlock(&p->lock);
}

/* The end of a round. Logs a fault when it is new, and its end. */
static void tell_result(struct tp_publisher *p, enum tp_err err, struct tp_diag *diag, uint64_t kicks)
{
    char fault[sizeof(p->logged)] = "";
    bool changed;

    if (err)
        snprintf(fault, sizeof(fault), "%s", tp_diag_count(diag) ? tp_diag_text(diag) : tp_err_text(err));
    changed = strcmp(fault, p->logged) != 0;
    memcpy(p->logged, fault, sizeof(fault));
    pthread_mutex_lock(&p->lock);
    memcpy(p->shared.status.fault, fault, sizeof(fault));
    p->shared.fault = err;
    p->shared.answered = kicks;
    if (p->model)
        p->shared.start = SERVING;
    else if (p->shared.start == STARTING)
        p->shared.start = FAILED;
    pthread_cond_broadcast(&p->finished);
    pthread_mutex_unlock(&p->lock);
    if (changed && err)
        tp_log(TP_LOG_ERROR, "read model: %s", fault);
    else if (changed)
        tp_log(TP_LOG_NOTICE, "read model: follows the database again");
}

/* --- The database ------------------------------------------------------------------------------ */

/* The connection is of no use any more; `diag` hears why. */
static void disconnect(struct tp_publisher *p, struct tp_diag *diag)
{
    if (tp_store_error(p->store)[0])
        tp_diag_add(diag, NULL, "the database: %s", tp_store_error(p->store));
    tp_store_free(p->store);
    p->store = NULL;
    tell_reachable(p, false);
}

static enum tp_err connect_store(struct tp_publisher *p, struct tp_diag *diag)
{
    enum tp_err err;

    if (p->store)
        return TP_OK;
    err = p->options.open_store(p->options.open_data, &p->store, diag);
    if (err) {
        p->store = NULL;
        return err;
    }
    tp_store_show_expiry(p->store, true);
    tell_reachable(p, true);
    return TP_OK;
}

/* --- Rebuilding -------------------------------------------------------------------------------- */

struct copy {
    struct tp_publisher *publisher;
    struct tp_read_model_builder *builder;
    const char *entity;
    size_t rows;
    struct tp_diag *diag;
    enum tp_err build_err; /* of the builder, to tell it from one of the store */
};

static bool is_stopping(struct tp_publisher *p)
{
    bool stopping;

    pthread_mutex_lock(&p->lock);
    stopping = p->shared.stopping;
    pthread_mutex_unlock(&p->lock);
    return stopping;
}

static enum tp_err on_row(void *data, const json_t *value)
{
    struct copy *copy = data;

    if (++copy->rows % 10000 == 0 && is_stopping(copy->publisher))
        copy->build_err = TP_ERR_CLOSED;
    if (!copy->build_err)
        copy->build_err = tp_read_model_build_add(copy->builder, copy->entity, value, copy->diag);
    return copy->build_err;
}

static enum tp_err copy_entities(struct tp_publisher *p, struct copy *copy)
{
    enum tp_err err = TP_OK;

    for (size_t i = 0; i < tp_entity_count && !err; i++) {
        if (!tp_read_model_keeps(tp_entities[i]->name))
            continue;
        copy->entity = tp_entities[i]->name;
        err = tp_store_each(p->store, tp_entities[i], on_row, copy);
    }
    return err;
}

/* Everything from one snapshot, its position included. The store's transaction is open. */
static enum tp_err build_from_snapshot(struct tp_publisher *p, struct copy *copy)
{
    struct tp_uuid database;
    uint64_t position;
    enum tp_err err = tp_store_identity(p->store, &database);

    if (!err)
        err = tp_store_position(p->store, &position);
    if (err)
        return err;
    copy->build_err = tp_read_model_build_begin(&copy->builder, p->dir, p->options.map_bytes, &database, position,
                                                copy->diag);
    return copy->build_err ? copy->build_err : copy_entities(p, copy);
}

/* Read what the environment in use says about itself. */
static enum tp_err load_meta(struct tp_publisher *p)
{
    struct tp_view *view;
    enum tp_err err = tp_view_begin(p->model, &view);

    if (err)
        return err;
    err = tp_view_meta(view, &p->meta);
    tp_view_end(view);
    return err;
}

static enum tp_err use_new_environment(struct tp_publisher *p, struct tp_diag *diag)
{
    enum tp_err err = p->model ? tp_read_model_refresh(p->model, diag)
                               : tp_read_model_open(&p->model, p->dir, p->options.map_bytes, diag);

    if (!err)
        err = load_meta(p);
    if (err)
        return err;
    p->must_rebuild = false;
    tell_state(p);
    tp_read_model_drop_old(p->dir);
    return TP_OK;
}

static enum tp_err rebuild(struct tp_publisher *p, struct tp_diag *diag)
{
    struct copy copy = { .publisher = p, .diag = diag };
    int64_t began = tp_clock_monotonic_ms();
    enum tp_err err = tp_store_begin_read(p->store);

    if (err) {
        disconnect(p, diag);
        return err;
    }
    err = build_from_snapshot(p, &copy);
    tp_store_rollback(p->store);
    if (err) {
        tp_read_model_build_abort(copy.builder);
        if (!copy.build_err)
            disconnect(p, diag);
        return err;
    }
    err = tp_read_model_build_end(copy.builder, diag);
    if (!err)
        err = use_new_environment(p, diag);
    if (!err)
        tp_log(TP_LOG_NOTICE, "read model: rebuilt from %zu rows in %lld ms, at position %llu", copy.rows,
               (long long)(tp_clock_monotonic_ms() - began), (unsigned long long)p->meta.position);
    return err;
}

/* --- Following the feed ------------------------------------------------------------------------ */

static enum tp_err apply_batch(struct tp_publisher *p, const struct tp_batch *batch, struct tp_diag *diag)
{
    uint64_t position = batch->rows[batch->count - 1].seq;
    bool plan_changed;
    enum tp_err err = tp_read_model_apply(p->model, batch->changes, batch->change_count, position, &plan_changed, diag);

    if (err == TP_ERR_DAMAGED) {
        tp_log(TP_LOG_ERROR, "read model: %s", tp_diag_text(diag));
        p->must_rebuild = true;
        return TP_OK;
    }
    if (err)
        return err;
    p->meta.position = position;
    if (plan_changed)
        p->meta.plan = position;
    tell_state(p);
    return TP_OK;
}

/* Until nothing is left, or a rebuild has to do it. */
static enum tp_err follow(struct tp_publisher *p, struct tp_diag *diag)
{
    enum tp_err err = TP_OK;
    bool more = true;

    while (!err && more && !p->must_rebuild && !is_stopping(p)) {
        struct tp_batch batch;

        err = tp_batch_read(&batch, p->store, p->meta.position);
        more = batch.count > 0;
        if (err == TP_ERR_NOT_FOUND) {
            p->must_rebuild = true;
            err = TP_OK;
        } else if (err) {
            disconnect(p, diag);
        } else if (more) {
            err = apply_batch(p, &batch, diag);
        }
        tp_batch_fini(&batch);
    }
    return err;
}

/* --- Rounds ------------------------------------------------------------------------------------ */

/* Is the read model this database's, and not ahead of it (a database restored from a backup)? */
static enum tp_err compare_with_database(struct tp_publisher *p, struct tp_diag *diag)
{
    struct tp_uuid database;
    uint64_t position;
    enum tp_err err = tp_store_identity(p->store, &database);

    if (!err)
        err = tp_store_position(p->store, &position);
    if (err) {
        disconnect(p, diag);
        return err;
    }
    if (!tp_uuid_eq(&database, &p->meta.database)) {
        tp_log(TP_LOG_NOTICE, "read model: it is another database's");
        p->must_rebuild = true;
    } else if (position < p->meta.position) {
        tp_log(TP_LOG_NOTICE, "read model: it is ahead of the database");
        p->must_rebuild = true;
    }
    return TP_OK;
}

static enum tp_err play_round(struct tp_publisher *p, struct tp_diag *diag)
{
    bool fresh = !p->store;
    enum tp_err err = connect_store(p, diag);

    if (!err && fresh && p->model)
        err = compare_with_database(p, diag);
    if (!err && !p->must_rebuild)
        err = follow(p, diag);
    if (!err && p->must_rebuild)
        err = rebuild(p, diag);
    if (err && tp_diag_count(diag) == 0)
        tp_diag_add(diag, NULL, "%s: %s", p->store ? "the read model cannot be brought up to date" : "the database",
                    tp_err_text(err));
    return err;
}

/* Housekeeping of the store, between rounds; what it deletes comes back through the feed. */
static void keep_house(struct tp_publisher *p)
{
    int64_t now = tp_clock_monotonic_ms();
    size_t swept = 0;
    enum tp_err err = TP_OK;

    if (p->store && now >= p->sweep_at_ms) {
        p->sweep_at_ms = now + SWEEP_MS;
        err = tp_store_sweep(p->store, SWEEP_ROWS, &swept);
    }
    if (!err && p->store && now >= p->prune_at_ms) {
        p->prune_at_ms = now + PRUNE_MS;
        err = tp_store_prune(p->store, PRUNE_KEEP_ROWS, PRUNE_AGE_S);
    }
    if (err)
        tp_log(TP_LOG_WARN, "store: clearing out old rows: %s",
               tp_store_error(p->store)); /* the next round tells more */
    if (swept)
        tp_publisher_kick(p);
}

static int64_t pause_ms(struct tp_publisher *p, enum tp_err err)
{
    int64_t pause = p->options.poll_ms > 0 ? p->options.poll_ms : SWEEP_MS;

    if (err) {
        p->retry_ms = p->retry_ms ? p->retry_ms * 2 : RETRY_FIRST_MS;
        if (p->retry_ms > RETRY_MAX_MS)
            p->retry_ms = RETRY_MAX_MS;
        return p->retry_ms;
    }
    p->retry_ms = 0;
    return pause < SWEEP_MS ? pause : SWEEP_MS;
}

/* Sleep until somebody kicks or the time has passed. False: stop. */
static bool sleep_until_kicked(struct tp_publisher *p, int64_t pause, uint64_t *kicks)
{
    int64_t until = tp_clock_monotonic_ms() + pause;
    struct timespec at = { until / 1000, until % 1000 * 1000000 };
    bool go_on;

    pthread_mutex_lock(&p->lock);
    while (!p->shared.stopping && p->shared.kicks == *kicks) {
        if (pthread_cond_timedwait(&p->wake, &p->lock, &at) == ETIMEDOUT)
            break;
    }
    *kicks = p->shared.kicks;
    go_on = !p->shared.stopping;
    pthread_mutex_unlock(&p->lock);
    return go_on;
}

/* What is on the disk, walked before it is used: a damaged one is as good as none. */
static void open_existing(struct tp_publisher *p)
{
    struct tp_diag *diag = tp_diag_new();
    enum tp_err err = tp_read_model_check(p->dir, diag);

    if (!err)
        err = tp_read_model_open(&p->model, p->dir, p->options.map_bytes, diag);
    if (!err)
        err = load_meta(p);
    if (err) {
        if (err != TP_ERR_NOT_FOUND)
            tp_log(TP_LOG_ERROR, "read model: set aside: %s",
                   tp_diag_count(diag) ? tp_diag_text(diag) : tp_err_text(err));
        tp_read_model_close(p->model);
        p->model = NULL;
        p->must_rebuild = true;
    } else {
        tell_state(p);
    }
    tp_diag_free(diag);
}

static void *run(void *data)
{
    struct tp_publisher *p = data;
    uint64_t kicks = 0;
    enum tp_err err;

    open_existing(p);
    do {
        struct tp_diag *diag = tp_diag_new();

        err = play_round(p, diag);
        tell_result(p, err, diag, kicks);
        tp_diag_free(diag);
        keep_house(p);
    } while (sleep_until_kicked(p, pause_ms(p, err), &kicks));
    return NULL;
}

/* --- Life -------------------------------------------------------------------------------------- */

static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attr);
    pthread_condattr_destroy(&attr);
}

enum tp_err tp_publisher_start(struct tp_publisher **out, const struct tp_publisher_options *options,
                               struct tp_diag *diag)
{
    struct tp_publisher *p = tp_new(struct tp_publisher);
    enum tp_err err = TP_OK;

    p->options = *options;
    p->dir = tp_strdup(options->read_model_dir);
    p->options.read_model_dir = p->dir;
    pthread_mutex_init(&p->lock, NULL);
    init_condition(&p->wake);
    init_condition(&p->finished);
    TP_ASSERT(pthread_create(&p->thread, NULL, run, p) == 0);
    pthread_mutex_lock(&p->lock);
    while (p->shared.start == STARTING)
        pthread_cond_wait(&p->finished, &p->lock);
    if (p->shared.start == FAILED) {
        err = p->shared.fault;
        tp_diag_add(diag, NULL, "there is no read model, and none can be built: %s", p->shared.status.fault);
    }
    pthread_mutex_unlock(&p->lock);
    if (err)
        tp_publisher_stop(p);
    else
        *out = p;
    return err;
}

void tp_publisher_stop(struct tp_publisher *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->shared.stopping = true;
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    tp_store_free(p->store);
    tp_read_model_close(p->model);
    pthread_cond_destroy(&p->wake);
    pthread_cond_destroy(&p->finished);
    pthread_mutex_destroy(&p->lock);
    free(p->dir);
    free(p);
}

/* --- For other threads ------------------------------------------------------------------------- */

static uint64_t kick_locked(struct tp_publisher *p)
{
    pthread_cond_signal(&p->wake);
    return ++p->shared.kicks;
}

void tp_publisher_kick(struct tp_publisher *p)
{
    pthread_mutex_lock(&p->lock);
    kick_locked(p);
    pthread_mutex_unlock(&p->lock);
}

/* Until the position is applied, or a round that began after our kick has failed. The lock is held. */
static enum tp_err wait_applied(struct tp_publisher *p, uint64_t position, int64_t until)
{
    struct timespec at = { until / 1000, until % 1000 * 1000000 };
    uint64_t kick = kick_locked(p);

    while (p->shared.status.position < position) {
        if (p->shared.answered >= kick && p->shared.fault)
            return p->shared.fault;
        if (pthread_cond_timedwait(&p->finished, &p->lock, &at) == ETIMEDOUT && p->shared.status.position < position)
            return p->shared.fault ? p->shared.fault : TP_ERR_TIMEOUT;
    }
    return TP_OK;
}

enum tp_err tp_publisher_wait(struct tp_publisher *p, uint64_t position, int64_t timeout_ms, char *fault,
                              size_t fault_size)
{
    int64_t until = tp_clock_monotonic_ms() + timeout_ms;
    enum tp_err err;

    pthread_mutex_lock(&p->lock);
    err = wait_applied(p, position, until);
    if (fault_size)
        snprintf(fault, fault_size, "%s", err ? p->shared.status.fault : "");
    pthread_mutex_unlock(&p->lock);
    return err ? err : tp_link_wait(p->options.link, position, until - tp_clock_monotonic_ms());
}

void tp_publisher_get_status(struct tp_publisher *p, struct tp_publisher_status *out)
{
    pthread_mutex_lock(&p->lock);
    *out = p->shared.status;
    pthread_mutex_unlock(&p->lock);
}
