/* Foreign keys by name: foreign.h. */
#include "control/admin/foreign.h"

#include "control/admin/errors.h"
#include "control/admin/keys.h"

#include <stdlib.h>

/* The unique text field of `parent` that `reference` gives; NULL: none. */
static const struct tp_field *given_key(const struct tp_entity *parent, const json_t *reference)
{
    for (const struct tp_field *field = parent->fields; field->type != TP_TYPE_END; field++) {
        if (field->unique && field->type == TP_TYPE_STRING && json_is_string(json_object_get(reference, field->name)))
            return field;
    }
    return NULL;
}

static json_t *unresolved(const struct tp_entity *parent, const struct tp_field *key, json_t *value)
{
    json_t *named = json_pack("{s:O}", key->name, value);
    char *literal = tp_lua_literal(named);
    json_t *error = json_pack("{s:o}", key->name,
                              json_sprintf("the foreign key cannot be resolved with '%s' for an existing '%s' entity",
                                           literal, parent->name));

    free(literal);
    json_decref(named);
    return error;
}

/* One foreign key. What cannot be found goes into *errors. False: the store failed. */
static bool resolve(struct tp_admin_call *call, const struct tp_field *foreign, json_t *input, json_t **errors)
{
    const struct tp_entity *parent = tp_entity_by_name(tp_str_from_cstr(foreign->reference));
    json_t *reference = json_object_get(input, foreign->name), *found = NULL, *value;
    const struct tp_field *field;
    struct tp_admin_key key;

    if (!parent || !json_is_object(reference) || json_object_get(reference, "id"))
        return true;
    field = given_key(parent, reference);
    if (!field)
        return true; /* the schema says what is missing */
    value = json_object_get(reference, field->name);
    key = (struct tp_admin_key){ .entity = parent,
                                 .field = field->name,
                                 .text = tp_str_make(json_string_value(value), json_string_length(value)) };
    if (!tp_admin_key_read(call, &key, &found))
        return false;
    if (found) {
        json_object_set_new(input, foreign->name, tp_admin_reference_to(found));
        json_decref(found);
        return true;
    }
    if (!*errors)
        *errors = json_object();
    json_object_set_new(*errors, foreign->name, unresolved(parent, field, value));
    return true;
}

bool tp_admin_resolve_foreign(struct tp_admin_call *call, const struct tp_entity *entity, json_t *input)
{
    json_t *errors = NULL;

    for (const struct tp_field *field = entity->fields; field->type != TP_TYPE_END; field++) {
        if (field->type == TP_TYPE_FOREIGN && !resolve(call, field, input, &errors)) {
            json_decref(errors);
            return false;
        }
    }
    return errors ? tp_admin_fail_unresolved(call, errors) : true;
}
