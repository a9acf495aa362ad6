/*
 * What a path segment names: an entity by its id or by its endpoint key.
 */
#ifndef TP_CONTROL_ADMIN_KEYS_H
#define TP_CONTROL_ADMIN_KEYS_H

#include "control/admin/call.h"

struct tp_admin_key {
    const struct tp_entity *entity;
    const char *field; /* NULL: `id` counts */
    struct tp_uuid id;
    struct tp_str text;
    const struct tp_field *foreign; /* `field` is unique only among the children of `parent`; NULL: everywhere */
    struct tp_uuid parent;
};

/* False: the text can name no such entity, and the call is answered (codes 1 and 10). */
bool tp_admin_key_parse(struct tp_admin_call *call, const struct tp_entity *entity, struct tp_str text,
                        struct tp_admin_key *key);

/*
 * The same below a parent, where an entity without an endpoint key of its own goes by the text field that is unique
 * together with its foreign key (acls: group).
 */
bool tp_admin_child_key_parse(struct tp_admin_call *call, const struct tp_entity *entity,
                              const struct tp_field *foreign, const struct tp_uuid *parent, struct tp_str text,
                              struct tp_admin_key *key);

/* Look it up. *out is owned, NULL when there is none. False: the store failed, and the call is answered. */
bool tp_admin_key_read(struct tp_admin_call *call, const struct tp_admin_key *key, json_t **out);

/* Both in one; with nothing found the call is answered by the plain 404, and the result is false. */
bool tp_admin_param_read(struct tp_admin_call *call, const struct tp_entity *entity, size_t param, json_t **out);

/* The id of a complete entity. */
struct tp_uuid tp_admin_id_of(const json_t *value);

/* What a foreign key points to; false when it is null. */
bool tp_admin_foreign_id(const json_t *value, const struct tp_field *foreign, struct tp_uuid *out);

/* {"id": …} */
json_t *tp_admin_reference_to(const json_t *value);

/* False, and the call answered by 503, when the database is away. */
bool tp_admin_has_store(struct tp_admin_call *call);

#endif
