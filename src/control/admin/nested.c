/* /services/{services}/routes and /services/{services}/routes/{routes}: children through their foreign key. */
#include "control/admin/dispatch.h"
#include "control/admin/listing.h"
#include "control/admin/reply.h"
#include "control/admin/write.h"

/* --- All of a parent ------------------------------------------------------------------------------- */

static void on_list(struct tp_admin_call *call)
{
    const struct tp_admin_endpoint *endpoint = call->endpoint;
    json_t *parent = NULL;
    struct tp_uuid id;

    if (!tp_admin_param_read(call, endpoint->parent, 0, &parent))
        return;
    id = tp_admin_id_of(parent);
    json_decref(parent);
    tp_admin_list(call, endpoint->entity, endpoint->foreign, &id);
}

static bool create(struct tp_admin_call *call)
{
    const struct tp_admin_endpoint *endpoint = call->endpoint;
    json_t *parent = NULL, *value = NULL;

    if (!tp_admin_param_read(call, endpoint->parent, 0, &parent))
        return false;
    json_object_set_new(call->input, endpoint->foreign->name, tp_admin_reference_to(parent));
    json_decref(parent);
    if (!tp_admin_insert(call, endpoint->entity, call->input, &value))
        return false;
    tp_admin_reply_json(call, 201, value);
    return true;
}

static void on_create(struct tp_admin_call *call)
{
    tp_admin_transaction(call, create);
}

const struct tp_admin_handlers tp_admin_children = { .get = on_list, .post = on_create };

/* --- One of them ----------------------------------------------------------------------------------- */

/* The child, which must be the parent's. False: answered. */
static bool read_child(struct tp_admin_call *call, json_t **out)
{
    const struct tp_admin_endpoint *endpoint = call->endpoint;
    struct tp_uuid parent_id, owner;
    struct tp_admin_key key;
    json_t *parent = NULL;

    *out = NULL;
    if (!tp_admin_param_read(call, endpoint->parent, 0, &parent))
        return false;
    parent_id = tp_admin_id_of(parent);
    json_decref(parent);
    if (!tp_admin_child_key_parse(call, endpoint->entity, endpoint->foreign, &parent_id, call->params[1], &key) ||
        !tp_admin_key_read(call, &key, out))
        return false;
    if (tp_admin_foreign_id(*out, endpoint->foreign, &owner) && tp_uuid_eq(&owner, &parent_id))
        return true;
    json_decref(*out);
    *out = NULL;
    tp_admin_not_found(call);
    return false;
}

static void on_get(struct tp_admin_call *call)
{
    json_t *value = NULL;

    if (read_child(call, &value))
        tp_admin_reply_json(call, 200, value);
}

static bool replace(struct tp_admin_call *call)
{
    const struct tp_admin_endpoint *endpoint = call->endpoint;
    struct tp_admin_key key;
    struct tp_uuid parent_id;
    json_t *parent = NULL, *value = NULL;

    if (!tp_admin_param_read(call, endpoint->parent, 0, &parent))
        return false;
    parent_id = tp_admin_id_of(parent);
    json_object_set_new(call->input, endpoint->foreign->name, tp_admin_reference_to(parent));
    json_decref(parent);
    if (!tp_admin_child_key_parse(call, endpoint->entity, endpoint->foreign, &parent_id, call->params[1], &key) ||
        !tp_admin_upsert(call, &key, call->input, &value))
        return false;
    tp_admin_reply_json(call, 200, value);
    return true;
}

static void on_put(struct tp_admin_call *call)
{
    tp_admin_transaction(call, replace);
}

static bool change(struct tp_admin_call *call)
{
    json_t *stored = NULL;

    return read_child(call, &stored) && tp_admin_change(call, call->endpoint->entity, stored);
}

static void on_patch(struct tp_admin_call *call)
{
    tp_admin_transaction(call, change);
}

/* Unlike at the top level, deleting what is not there is a 404. */
static bool remove_row(struct tp_admin_call *call)
{
    json_t *stored = NULL;
    bool fine;

    if (!read_child(call, &stored))
        return false;
    fine = tp_admin_remove(call, call->endpoint->entity, stored);
    json_decref(stored);
    if (fine)
        tp_admin_reply_empty(call, 204);
    return fine;
}

static void on_delete(struct tp_admin_call *call)
{
    tp_admin_transaction(call, remove_row);
}

const struct tp_admin_handlers tp_admin_child = { .get = on_get, .put = on_put, .patch = on_patch, .del = on_delete };
