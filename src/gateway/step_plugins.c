/*
 * Steps that run plugins. In rewrite and access a plugin may wait; req->turn tells whose turn it is, and a step that
 * is entered again goes on there. Header, body and log handlers run at once, in the order of priority.
 */
#include "gateway/request_priv.h"

#include "turnpike/err.h"

enum tp_verdict tp_step_rewrite(struct tp_request *req)
{
    const struct tp_chain *chain = req->chain;

    if (!chain || !chain->has_rewrite)
        return TP_NEXT;
    for (; req->turn < chain->count; req->turn++) {
        const struct tp_slot *slot = &chain->slots[req->turn];
        enum tp_verdict verdict;

        if (!slot->plugin->on_rewrite)
            continue;
        verdict = tp_request_call(req, slot->plugin->on_rewrite, slot);
        if (verdict != TP_NEXT)
            return verdict;
    }
    return TP_NEXT;
}

static enum tp_err read_consumer_rows(struct tp_request *req, struct tp_consumer_plugin **rows, size_t *count)
{
    struct tp_view *view;
    enum tp_err err = tp_view_begin(req->gateway->read_model, &view);

    if (!err) {
        err = tp_view_consumer_plugins(view, &req->consumer->id, req->arena, rows, count);
        tp_view_end(view);
    }
    if (err)
        tp_request_log(req, TP_LOG_ERROR, "plugins of the consumer cannot be read: %s", tp_err_text(err));
    return err;
}

/*
 * The caller is known: choose the plugins whose turn is still to come by its own rows too. False: they cannot be read,
 * and the request must not go on without what may be the caller's limits.
 */
static bool choose_for_caller(struct tp_request *req)
{
    struct tp_consumer_plugin *rows = NULL;
    size_t count = 0;

    req->caller_changed = false;
    if (!req->gateway->read_model || !req->consumer)
        return true;
    if (req->consumer != req->without_rows && read_consumer_rows(req, &rows, &count))
        return false;
    if (count || req->chain != req->route_info->chain)
        req->chain = tp_chain_specialise(req, req->route_info->chain, req->chain, req->turn, rows, count);
    return true;
}

/* An early answer: the remaining configurations are still chosen, for their header, body and log handlers. */
static enum tp_verdict leave_access(struct tp_request *req, enum tp_verdict verdict)
{
    if (verdict == TP_WAIT)
        return verdict;
    req->turn++; /* this plugin has run */
    if (req->caller_changed)
        choose_for_caller(req);
    return verdict;
}

enum tp_verdict tp_step_access(struct tp_request *req)
{
    if (!req->access_begun) {
        req->access_begun = true;
        req->chain = req->route_info->chain;
    }
    while (req->turn < req->chain->count) {
        const struct tp_slot *slot = &req->chain->slots[req->chain->access[req->turn]];

        if (slot->plugin->on_access) {
            enum tp_verdict verdict = tp_request_call(req, slot->plugin->on_access, slot);

            if (verdict != TP_NEXT)
                return leave_access(req, verdict);
        }
        req->turn++;
        if (req->caller_changed && !choose_for_caller(req))
            return TP_FAIL;
    }
    return TP_NEXT;
}

enum tp_verdict tp_step_header(struct tp_request *req)
{
    tp_answer_begin(req);
    for (size_t i = 0; req->chain && req->chain->has_header && i < req->chain->count; i++) {
        const struct tp_slot *slot = &req->chain->slots[i];

        req->slot = slot;
        if (slot->plugin->on_header)
            slot->plugin->on_header(req, slot->conf);
    }
    tp_answer_finish(req);
    return TP_NEXT;
}

enum tp_verdict tp_step_log(struct tp_request *req)
{
    for (size_t i = 0; req->chain && req->chain->has_log && i < req->chain->count; i++) {
        const struct tp_slot *slot = &req->chain->slots[i];

        req->slot = slot;
        if (slot->plugin->on_log)
            slot->plugin->on_log(req, slot->conf);
    }
    return TP_NEXT;
}
