/* /services/{services}: read, replace, change, delete. */
#include "control/admin/dispatch.h"
#include "control/admin/errors.h"
#include "control/admin/reply.h"
#include "control/admin/write.h"

static void on_get(struct tp_admin_call *call)
{
    json_t *value = NULL;

    if (tp_admin_param_read(call, call->endpoint->entity, 0, &value))
        tp_admin_reply_json(call, 200, value);
}

static bool replace(struct tp_admin_call *call)
{
    struct tp_admin_key key;
    json_t *value = NULL;

    if (!tp_admin_key_parse(call, call->endpoint->entity, call->params[0], &key) ||
        !tp_admin_upsert(call, &key, call->input, &value))
        return false;
    tp_admin_reply_json(call, 200, value);
    return true;
}

static void on_put(struct tp_admin_call *call)
{
    tp_admin_transaction(call, replace);
}

/* Kong looks a plugin up before it can check a change of it, unless the change names the plugin. */
static bool answer_missing(struct tp_admin_call *call, const struct tp_admin_key *key)
{
    if (strcmp(key->entity->name, "plugins") == 0 && !json_object_get(call->input, "name")) {
        tp_admin_not_found(call);
        return false;
    }
    return tp_admin_fail_missing(call, key->field, key->text);
}

static bool change(struct tp_admin_call *call)
{
    const struct tp_entity *entity = call->endpoint->entity;
    struct tp_admin_key key;
    json_t *stored = NULL;

    if (!tp_admin_key_parse(call, entity, call->params[0], &key) || !tp_admin_key_read(call, &key, &stored))
        return false;
    return stored ? tp_admin_change(call, entity, stored) : answer_missing(call, &key);
}

static void on_patch(struct tp_admin_call *call)
{
    tp_admin_transaction(call, change);
}

/* What is not there is deleted already: 204. */
static bool remove_row(struct tp_admin_call *call)
{
    struct tp_admin_key key;
    json_t *stored = NULL;
    bool fine = true;

    if (!tp_admin_key_parse(call, call->endpoint->entity, call->params[0], &key) ||
        !tp_admin_key_read(call, &key, &stored))
        return false;
    if (stored)
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

const struct tp_admin_handlers tp_admin_item = { .get = on_get, .put = on_put, .patch = on_patch, .del = on_delete };
