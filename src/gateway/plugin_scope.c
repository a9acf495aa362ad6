/*
 * What the running plugin's row is attached to. A slot knows the rank of its row's scope, and a row that is attached
 * to a route or service runs for that one only: so the request's own ids are the row's.
 */
#include "gateway/chain.h"
#include "gateway/request_priv.h"

void tp_request_plugin_scope(const struct tp_request *req, struct tp_plugin_scope *out)
{
    const struct tp_slot *slot = req->slot;
    const struct tp_uuid *route = tp_request_route_id(req);
    const struct tp_uuid *service = tp_request_service_id(req);

    memset(out, 0, sizeof(*out));
    out->plugin = TP_STR("");
    if (!slot)
        return;
    out->plugin = slot->name;
    if (route && tp_rank_has_route(slot->rank))
        out->route = *route;
    if (service && tp_rank_has_service(slot->rank))
        out->service = *service;
}
