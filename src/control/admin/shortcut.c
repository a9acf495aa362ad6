/* /routes/{routes}/service: what a foreign key points to, as if it were addressed itself. */
#include "control/admin/dispatch.h"
#include "control/admin/reply.h"
#include "control/admin/write.h"

/*
 * Read the child and, when its foreign key is set, the parent; *parent stays NULL otherwise. False: answered.
 */
static bool read_both(struct tp_admin_call *call, json_t **child, json_t **parent)
{
    const struct tp_admin_endpoint *endpoint = call->endpoint;
    struct tp_admin_key key = { .entity = endpoint->parent };

    *parent = NULL;
    if (!tp_admin_param_read(call, endpoint->entity, 0, child))
        return false;
    if (tp_admin_foreign_id(*child, endpoint->foreign, &key.id) && !tp_admin_key_read(call, &key, parent)) {
        json_decref(*child);
        *child = NULL;
        return false;
    }
    return true;
}

/* The parent alone; a null foreign key is a 404. */
static bool read_parent(struct tp_admin_call *call, json_t **parent)
{
    json_t *child = NULL;

    if (!read_both(call, &child, parent))
        return false;
    json_decref(child);
    if (!*parent)
        tp_admin_not_found(call);
    return *parent != NULL;
}

static void on_get(struct tp_admin_call *call)
{
    json_t *parent = NULL;

    if (read_parent(call, &parent))
        tp_admin_reply_json(call, 200, parent);
}

static bool change(struct tp_admin_call *call)
{
    json_t *stored = NULL;

    return read_parent(call, &stored) && tp_admin_change(call, call->endpoint->parent, stored);
}

static void on_patch(struct tp_admin_call *call)
{
    tp_admin_transaction(call, change);
}

/* Write the parent under its id; a child without one gets it. */
static bool put_parent(struct tp_admin_call *call, const json_t *child, const json_t *parent)
{
    const struct tp_admin_endpoint *endpoint = call->endpoint;
    struct tp_admin_key key = { .entity = endpoint->parent };
    json_t *value = NULL, *link, *linked = NULL;
    bool fine = true;

    key.id = parent ? tp_admin_id_of(parent) : tp_uuid_random();
    if (!tp_admin_upsert(call, &key, call->input, &value))
        return false;
    if (!parent) {
        link = json_pack("{s:o}", endpoint->foreign->name, tp_admin_reference_to(value));
        fine = tp_admin_update(call, endpoint->entity, link, child, &linked);
        json_decref(link);
        json_decref(linked);
    }
    if (fine)
        tp_admin_reply_json(call, 200, json_incref(value));
    json_decref(value);
    return fine;
}

static bool replace(struct tp_admin_call *call)
{
    json_t *child = NULL, *parent = NULL;
    bool fine;

    if (!read_both(call, &child, &parent))
        return false;
    fine = put_parent(call, child, parent);
    json_decref(child);
    json_decref(parent);
    return fine;
}

static void on_put(struct tp_admin_call *call)
{
    tp_admin_transaction(call, replace);
}

static void on_delete(struct tp_admin_call *call)
{
    json_t *parent = NULL;

    if (!read_parent(call, &parent))
        return;
    json_decref(parent);
    tp_admin_method_not_allowed(call);
}

const struct tp_admin_handlers tp_admin_shortcut = {
    .get = on_get, .put = on_put, .patch = on_patch, .del = on_delete
};
