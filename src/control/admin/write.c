/* Writes: write.h. */
#include "control/admin/write.h"

#include "base/clock.h"
#include "base/log.h"
#include "control/admin/errors.h"
#include "control/admin/foreign.h"
#include "control/admin/plugins.h"
#include "control/admin/reply.h"

/* --- Transactions -------------------------------------------------------------------------------- */

static void wait_until_served(struct tp_admin_call *call, uint64_t position)
{
    struct tp_publisher *publisher = call->context->options.publisher;
    char fault[256] = "";
    enum tp_err err;

    if (!publisher)
        return;
    err = tp_publisher_wait(publisher, position, TP_ADMIN_SERVED_WAIT_MS, fault, sizeof(fault));
    if (err == TP_OK)
        return;
    if (err == TP_ERR_TIMEOUT) {
        tp_admin_reply_header(call, "X-Turnpike-Served", TP_STR("pending"));
        return;
    }
    tp_log(TP_LOG_ERROR, "admin: position %llu was written, but is not served: %s", (unsigned long long)position,
           fault[0] ? fault : tp_err_text(err));
    tp_admin_reply_header(call, "X-Turnpike-Served", TP_STR("failed"));
    tp_admin_reply_header(call, "X-Turnpike-Fault", tp_str_from_cstr(fault[0] ? fault : tp_err_text(err)));
}

void tp_admin_transaction(struct tp_admin_call *call, tp_admin_write_fn fn)
{
    uint64_t position = 0;
    enum tp_err err;

    if (!tp_admin_has_store(call))
        return;
    err = tp_store_begin(call->store);
    if (err) {
        tp_admin_fail_store(call, NULL, err, NULL);
        return;
    }
    if (!fn(call) || !call->wrote) {
        tp_store_rollback(call->store);
        return;
    }
    err = tp_store_commit(call->store, &position);
    if (err) {
        tp_store_rollback(call->store);
        tp_admin_fail_commit(call, err);
        return;
    }
    wait_until_served(call, position);
}

/* --- Preparing ----------------------------------------------------------------------------------- */

/* What Kong calls options of a write: checked before the fields. */
static bool check_options(struct tp_admin_call *call, const struct tp_entity *entity, const json_t *input)
{
    json_t *options = NULL;

    return tp_entity_options_valid(entity, input, &options) ? true : tp_admin_fail_options(call, options);
}

/* From what the client sent to a complete value. */
static bool prepare(struct tp_admin_call *call, const struct tp_entity *entity, enum tp_write kind, json_t *input,
                    const json_t *stored, json_t **out)
{
    const struct tp_registry *plugins = &call->context->plugins;
    struct tp_draft draft = { entity, plugins, kind, input, stored, tp_clock_now_ms() / 1000 };
    json_t *errors = NULL;
    enum tp_err err;

    *out = NULL;
    if (call->input_is_text)
        tp_entity_infer(entity, plugins, json_string_value(json_object_get(stored, "name")), input);
    if (!check_options(call, entity, input) || !tp_admin_check_enabled(call, entity, input) ||
        !tp_admin_resolve_foreign(call, entity, input))
        return false;
    err = tp_entity_prepare(&draft, out, &errors);
    if (err == TP_ERR_INVALID && errors)
        return tp_admin_fail_schema(call, errors);
    if (err)
        return tp_admin_fail_store(call, entity, err, NULL);
    if (tp_admin_check_protocols(call, entity, *out))
        return true;
    json_decref(*out);
    *out = NULL;
    return false;
}

/* After a write: note it, or answer for its failure and drop the value. */
static bool finish(struct tp_admin_call *call, const struct tp_entity *entity, enum tp_err err,
                   struct tp_store_fault *fault, json_t **value)
{
    if (!err) {
        call->wrote = true;
    } else {
        tp_admin_fail_store(call, entity, err, fault);
        if (value) {
            json_decref(*value);
            *value = NULL;
        }
    }
    tp_store_fault_fini(fault);
    return !err;
}

bool tp_admin_insert(struct tp_admin_call *call, const struct tp_entity *entity, json_t *input, json_t **out)
{
    struct tp_store_fault fault = { 0 };

    if (!prepare(call, entity, TP_INSERT, input, NULL, out))
        return false;
    return finish(call, entity, tp_store_insert(call->store, entity, *out, &fault), &fault, out);
}

/* Write the key's values into the input: the path wins over the body. */
static bool put_key(struct tp_admin_call *call, const struct tp_admin_key *key, json_t *input)
{
    json_t *stored = NULL;

    if (!key->field) {
        char text[TP_UUID_TEXT_LEN + 1];

        tp_uuid_format(&key->id, text);
        json_object_set_new(input, "id", json_string(text));
        return true;
    }
    if (!tp_admin_key_read(call, key, &stored))
        return false;
    json_object_set_new(input, key->field, tp_admin_json_text(key->text));
    if (stored)
        json_object_set(input, "id", json_object_get(stored, "id"));
    json_decref(stored);
    return true;
}

bool tp_admin_upsert(struct tp_admin_call *call, const struct tp_admin_key *key, json_t *input, json_t **out)
{
    struct tp_store_fault fault = { 0 };
    enum tp_err err;

    *out = NULL;
    if (!put_key(call, key, input) || !prepare(call, key->entity, TP_UPSERT, input, NULL, out))
        return false;
    err = tp_store_update(call->store, key->entity, *out, &fault);
    if (err == TP_ERR_NOT_FOUND) {
        tp_store_fault_fini(&fault);
        fault = (struct tp_store_fault){ 0 };
        err = tp_store_insert(call->store, key->entity, *out, &fault);
    }
    return finish(call, key->entity, err, &fault, out);
}

bool tp_admin_update(struct tp_admin_call *call, const struct tp_entity *entity, json_t *input, const json_t *stored,
                     json_t **out)
{
    struct tp_store_fault fault = { 0 };

    json_object_del(input, "id"); /* the path says which one it is; an id never changes */
    if (!prepare(call, entity, TP_UPDATE, input, stored, out))
        return false;
    return finish(call, entity, tp_store_update(call->store, entity, *out, &fault), &fault, out);
}

bool tp_admin_change(struct tp_admin_call *call, const struct tp_entity *entity, json_t *stored)
{
    json_t *value = NULL;
    bool fine = tp_admin_update(call, entity, call->input, stored, &value);

    if (fine)
        tp_admin_reply_json(call, 200, value);
    json_decref(stored);
    return fine;
}

bool tp_admin_remove(struct tp_admin_call *call, const struct tp_entity *entity, const json_t *stored)
{
    struct tp_store_fault fault = { 0 };
    struct tp_uuid id = tp_admin_id_of(stored);

    return finish(call, entity, tp_store_delete(call->store, entity, &id, &fault), &fault, NULL);
}
