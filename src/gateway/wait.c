/*
 * Stopping and going on. A request stops for one reason at a time, and goes on exactly once:
 *
 *   plugin calls tp_request_wait ── TP_STOP_PLUGIN ── tp_request_resume ── ops.wake ── tp_request_run ── fn
 *                tp_request_sleep ─ TP_STOP_TIMER ─── tp_request_on_timer ─────────────────────────────── fn
 *                tp_request_read_body  TP_STOP_BODY ─ tp_request_on_body ──────────────────────────────── fn
 *
 * A completion that comes for another reason than the one waited for is late, and dropped.
 */
#include "gateway/request_priv.h"

#include "turnpike/err.h"

enum tp_verdict tp_request_stop(struct tp_request *req, enum tp_stop why)
{
    if (req->stop == TP_STOP_TIMER && why != TP_STOP_TIMER)
        req->gateway->engine->ops->timer_clear(req);
    req->stop = why;
    return TP_WAIT;
}

void tp_request_abandon(struct tp_request *req)
{
    req->abandoned = req->stop == TP_STOP_PLUGIN;
    req->resume = NULL;
    tp_request_stop(req, TP_STOP_NONE);
}

void tp_request_continue(struct tp_request *req, enum tp_stop why)
{
    if (req->stop != why)
        return;
    tp_request_stop(req, TP_STOP_NONE);
    tp_request_run(req);
}

enum tp_verdict tp_request_call(struct tp_request *req, enum tp_verdict (*handler)(struct tp_request *, const void *),
                                const struct tp_slot *slot)
{
    tp_resume_fn resume = req->resume;

    req->slot = slot;
    if (!resume)
        return handler(req, slot->conf);
    req->resume = NULL;
    return resume(req, slot->conf, req->resume_state);
}

static enum tp_verdict wait_for(struct tp_request *req, enum tp_stop why, tp_resume_fn fn, void *state)
{
    TP_ASSERT(req->stop == TP_STOP_NONE); /* a handler waits once */
    req->resume = fn;
    req->resume_state = state;
    return tp_request_stop(req, why);
}

enum tp_verdict tp_request_wait(struct tp_request *req, tp_resume_fn fn, void *state)
{
    return wait_for(req, TP_STOP_PLUGIN, fn, state);
}

void tp_request_resume(struct tp_request *req)
{
    if (req->abandoned || req->stop == TP_STOP_OVER) {
        req->abandoned = false; /* the client left, or was answered meanwhile */
        return;
    }
    TP_ASSERT(req->stop == TP_STOP_PLUGIN); /* a second resume is a bug of the caller */
    tp_request_stop(req, TP_STOP_NONE);
    req->gateway->engine->ops->wake(req);
}

enum tp_verdict tp_request_sleep(struct tp_request *req, int64_t delay_ms, tp_resume_fn fn, void *state)
{
    enum tp_verdict verdict = wait_for(req, TP_STOP_TIMER, fn, state);

    req->gateway->engine->ops->timer_set(req, delay_ms < 0 ? 0 : delay_ms);
    return verdict;
}

void tp_request_on_timer(struct tp_request *req)
{
    tp_request_continue(req, TP_STOP_TIMER);
}

enum tp_verdict tp_request_read_body(struct tp_request *req, uint64_t max_bytes, tp_resume_fn fn, void *state)
{
    enum tp_err err = TP_OK;

    if (req->body_replaced || (req->body_read && req->body_known))
        return fn(req, req->slot->conf, state);
    req->body = TP_STR("");
    if (req->input.has_body)
        err = req->gateway->engine->ops->body_read(req, max_bytes, &req->body);
    if (err == TP_ERR_AGAIN)
        return wait_for(req, TP_STOP_BODY, fn, state);
    req->body_read = true;
    req->body_known = err == TP_OK;
    return fn(req, req->slot->conf, state);
}

void tp_request_on_body(struct tp_request *req, enum tp_err err, struct tp_str body)
{
    if (req->stop != TP_STOP_BODY)
        return;
    req->body_read = true;
    req->body_known = err == TP_OK;
    req->body = body;
    tp_request_continue(req, TP_STOP_BODY);
}
