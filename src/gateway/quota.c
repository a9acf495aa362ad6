/*
 * Quotas for plugins: the worker's counters and the engine's clock behind turnpike/quota.h.
 */
#include "turnpike/quota.h"
#include "gateway/request.h"

void tp_quota_take(struct tp_request *req, const struct tp_quota_key *key, bool flat, struct tp_quota_state *state)
{
    tp_counters_take(tp_request_gateway(req)->counters, key, flat, tp_request_now_ms(req) / 1000, state);
}

void tp_quota_peek(struct tp_request *req, const struct tp_quota_key *key, bool flat, struct tp_quota_state *state)
{
    tp_counters_peek(tp_request_gateway(req)->counters, key, flat, tp_request_now_ms(req) / 1000, state);
}

bool tp_quota_flat_by_default(const struct tp_request *req)
{
    return tp_request_gateway(req)->settings.flat_windows;
}
