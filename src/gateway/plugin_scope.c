/*
 * What the running plugin's row is attached to. A slot knows the rank of its row's scope, and a row that is attached
 * to a route or service runs for that one only: so the request's own ids are the row's.
 */
#include "gateway/chain.h"
#include "gateway/request_priv.h"

static const struct tp_slot *running_slot(const struct tp_request *req)
{
    for (size_t i = 0; req->chain && i < req->chain->count; i++)
        if (req->chain->slots[i].conf == req->conf)
            return &req->chain->slots[i];
    return NULL;
}

static bool is_attached(unsigned rank, bool to_route)
{
    for (int other = 0; other < 4; other++) {
        bool second = other & 1, consumer = other & 2;

        if (rank == (to_route ? tp_scope_rank(true, second, consumer) : tp_scope_rank(second, true, consumer)))
            return true;
    }
    return false;
}

void tp_request_plugin_scope(const struct tp_request *req, struct tp_plugin_scope *out)
{
    const struct tp_slot *slot = running_slot(req);
    const struct tp_uuid *route = tp_request_route_id(req);
    const struct tp_uuid *service = tp_request_service_id(req);

    memset(out, 0, sizeof(*out));
    out->plugin = TP_STR("");
    if (!slot)
        return;
    out->plugin = slot->name;
    if (route && is_attached(slot->rank, true))
        out->route = *route;
    if (service && is_attached(slot->rank, false))
        out->service = *service;
}
