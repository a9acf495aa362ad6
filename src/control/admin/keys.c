/* Keys in paths: keys.h. */
#include "control/admin/keys.h"

#include "control/admin/errors.h"
#include "control/admin/reply.h"

bool tp_admin_key_parse(struct tp_admin_call *call, const struct tp_entity *entity, struct tp_str text,
                        struct tp_admin_key *key)
{
    char message[512];

    *key = (struct tp_admin_key){ .entity = entity, .text = text };
    if (tp_uuid_parse(text, &key->id))
        return true;
    if (!entity->endpoint_key)
        return tp_admin_fail_primary_key(call);
    key->field = entity->endpoint_key;
    if (!tp_entity_key_valid(entity, key->field, text, message, sizeof(message)))
        return tp_admin_fail_unique_key(call, key->field, message);
    return true;
}

static bool lists(const char *const *names, const char *name)
{
    for (; names && *names; names++) {
        if (strcmp(*names, name) == 0)
            return true;
    }
    return false;
}

/* The one text field that is unique together with `foreign` alone; NULL: none. */
static const char *key_below(const struct tp_entity *entity, const struct tp_field *foreign)
{
    const char *const *names = entity->composite_unique;
    const char *found = NULL;

    if (!lists(names, foreign->name))
        return NULL;
    for (; *names; names++) {
        const struct tp_field *field = tp_entity_field(entity, *names);

        if (strcmp(*names, foreign->name) == 0)
            continue;
        if (found || !field || field->type != TP_TYPE_STRING)
            return NULL;
        found = field->name;
    }
    return found;
}

bool tp_admin_child_key_parse(struct tp_admin_call *call, const struct tp_entity *entity,
                              const struct tp_field *foreign, const struct tp_uuid *parent, struct tp_str text,
                              struct tp_admin_key *key)
{
    const char *field = key_below(entity, foreign);

    *key = (struct tp_admin_key){ .entity = entity, .text = text };
    if (tp_uuid_parse(text, &key->id))
        return true;
    if (!field)
        return tp_admin_key_parse(call, entity, text, key);
    key->field = field;
    key->foreign = foreign;
    key->parent = *parent;
    return true;
}

/* Go through the parent's children: they are few. */
static enum tp_err find_child(struct tp_store *store, const struct tp_admin_key *key, json_t **out)
{
    struct tp_page_query query = { .foreign_field = key->foreign->name, .foreign = &key->parent, .size = 1000 };
    struct tp_uuid last;
    bool more = true;

    while (more) {
        json_t *rows = NULL, *row;
        enum tp_err err = tp_store_page(store, key->entity, &query, &rows, &more);
        size_t i;

        if (err)
            return err;
        json_array_foreach(rows, i, row) {
            const json_t *value = json_object_get(row, key->field);

            last = tp_admin_id_of(row);
            if (!*out && tp_str_eq(tp_str_make(json_string_value(value), json_string_length(value)), key->text))
                *out = json_incref(row);
        }
        json_decref(rows);
        query.after = &last;
        more = more && i && !*out;
    }
    return *out ? TP_OK : TP_ERR_NOT_FOUND;
}

bool tp_admin_has_store(struct tp_admin_call *call)
{
    return call->store ? true : tp_admin_fail_store(call, NULL, TP_ERR_UNAVAILABLE, NULL);
}

bool tp_admin_key_read(struct tp_admin_call *call, const struct tp_admin_key *key, json_t **out)
{
    enum tp_err err;

    *out = NULL;
    if (!tp_admin_has_store(call))
        return false;
    if (key->foreign)
        err = find_child(call->store, key, out);
    else if (key->field)
        err = tp_store_get_by(call->store, key->entity, key->field, key->text, out);
    else
        err = tp_store_get(call->store, key->entity, &key->id, out);
    if (err && err != TP_ERR_NOT_FOUND)
        return tp_admin_fail_store(call, key->entity, err, NULL);
    return true;
}

bool tp_admin_param_read(struct tp_admin_call *call, const struct tp_entity *entity, size_t param, json_t **out)
{
    struct tp_admin_key key;

    *out = NULL;
    if (!tp_admin_key_parse(call, entity, call->params[param], &key) || !tp_admin_key_read(call, &key, out))
        return false;
    if (!*out)
        tp_admin_not_found(call);
    return *out != NULL;
}

struct tp_uuid tp_admin_id_of(const json_t *value)
{
    struct tp_uuid id = { { 0 } };

    tp_uuid_parse(tp_str_from_cstr(json_string_value(json_object_get(value, "id"))), &id);
    return id;
}

bool tp_admin_foreign_id(const json_t *value, const struct tp_field *foreign, struct tp_uuid *out)
{
    const json_t *reference = json_object_get(value, foreign->name);

    return tp_uuid_parse(tp_str_from_cstr(json_string_value(json_object_get(reference, "id"))), out);
}

json_t *tp_admin_reference_to(const json_t *value)
{
    return json_pack("{s:O}", "id", json_object_get(value, "id"));
}
