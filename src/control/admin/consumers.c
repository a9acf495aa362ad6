/* What only consumers have: GET /consumers?custom_id=… */
#include "control/admin/dispatch.h"
#include "control/admin/errors.h"
#include "control/admin/keys.h"
#include "control/admin/listing.h"
#include "control/admin/reply.h"

static void on_get(struct tp_admin_call *call)
{
    struct tp_str custom_id = tp_admin_pairs_get(&call->args, "custom_id", NULL);
    struct tp_admin_key key = { .entity = call->endpoint->entity, .field = "custom_id", .text = custom_id };
    json_t *found = NULL, *rows;

    if (!custom_id.data) {
        tp_admin_list(call, call->endpoint->entity, NULL, NULL);
        return;
    }
    if (!custom_id.len) {
        tp_admin_reply_message(call, 400, "custom_id must be an unempty string");
        return;
    }
    if (!tp_admin_key_read(call, &key, &found))
        return;
    rows = json_array();
    if (found)
        json_array_append_new(rows, found);
    tp_admin_reply_json(call, 200, json_pack("{s:o,s:n}", "data", rows, "next"));
}

const struct tp_admin_endpoint tp_admin_consumer_endpoints[] = {
    { .pattern = "/consumers", .on = { .get = on_get } },
    { 0 },
};
