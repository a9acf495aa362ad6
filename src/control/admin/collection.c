/* /services: list and create. */
#include "control/admin/dispatch.h"
#include "control/admin/listing.h"
#include "control/admin/reply.h"
#include "control/admin/write.h"

static void on_get(struct tp_admin_call *call)
{
    tp_admin_list(call, call->endpoint->entity, NULL, NULL);
}

static bool create(struct tp_admin_call *call)
{
    json_t *value = NULL;

    if (!tp_admin_insert(call, call->endpoint->entity, call->input, &value))
        return false;
    tp_admin_reply_json(call, 201, value);
    return true;
}

static void on_post(struct tp_admin_call *call)
{
    tp_admin_transaction(call, create);
}

const struct tp_admin_handlers tp_admin_collection = { .get = on_get, .post = on_post };
