/*
 * From entity values (jansson) to the read model's bytes.
 *
 * Values come from the store and were validated when they were written; what does not fit all the same is
 * TP_ERR_INVALID and leaves no row.
 */
#include "plan/layout.h"

#include <stdlib.h>

struct tp_str tp_layout_text(const json_t *value, const char *name)
{
    const json_t *member = json_object_get(value, name);

    if (!json_is_string(member))
        return TP_STR_NULL;
    return tp_str_make(json_string_value(member), json_string_length(member));
}

enum tp_err tp_layout_entity_id(const json_t *value, struct tp_uuid *out)
{
    return tp_uuid_parse(tp_layout_text(value, "id"), out) ? TP_OK : TP_ERR_INVALID;
}

enum tp_err tp_layout_foreign(const json_t *value, const char *name, struct tp_uuid *out)
{
    const json_t *member = json_object_get(value, name);

    if (!member || json_is_null(member)) {
        *out = (struct tp_uuid){ { 0 } };
        return TP_OK;
    }
    return tp_layout_entity_id(member, out);
}

bool tp_layout_is_enabled(const json_t *value)
{
    return !json_is_false(json_object_get(value, "enabled"));
}

/* Compact text of a member, absent when null. Owned: free() .data. */
static struct tp_str dump(const json_t *value)
{
    char *text = value && !json_is_null(value) ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

    return tp_str_from_cstr(text);
}

enum tp_err tp_layout_consumer_from_json(struct tp_buf *out, const json_t *value, bool has_plugins)
{
    struct tp_consumer_row row = {
        .has_plugins = has_plugins,
        .username = tp_layout_text(value, "username"),
        .custom_id = tp_layout_text(value, "custom_id"),
        .tags = dump(json_object_get(value, "tags")),
    };

    tp_layout_encode_consumer(out, &row);
    free((char *)row.tags.data);
    return out->failed ? TP_ERR_TOO_LARGE : TP_OK;
}

/* What a credential row does not repeat: its names, and the secret that it is found by. */
static bool is_kept_apart(const struct tp_layout_entity *entity, const char *member)
{
    static const char *const apart[] = { "id", "consumer", "created_at", "ttl", "expires_at" };

    for (size_t i = 0; i < sizeof(apart) / sizeof(apart[0]); i++) {
        if (strcmp(member, apart[i]) == 0)
            return true;
    }
    return strcmp(member, entity->key_field) == 0;
}

static struct tp_str further_fields(const struct tp_layout_entity *entity, const json_t *value)
{
    json_t *fields = json_object();
    const char *name;
    json_t *member;
    struct tp_str text = TP_STR_NULL;

    json_object_foreach((json_t *)value, name, member) {
        if (!json_is_null(member) && !is_kept_apart(entity, name))
            json_object_set(fields, name, member);
    }
    if (json_object_size(fields) > 0)
        text = dump(fields);
    json_decref(fields);
    return text;
}

enum tp_err tp_layout_credential_from_json(struct tp_buf *out, const struct tp_layout_entity *entity,
                                           const json_t *value, int64_t now_s)
{
    const json_t *expires_at = json_object_get(value, "expires_at"), *ttl = json_object_get(value, "ttl");
    struct tp_credential row = { .expires_at = 0 };

    if (tp_layout_entity_id(value, &row.id) || tp_layout_foreign(value, "consumer", &row.consumer_id))
        return TP_ERR_INVALID;
    if (json_is_integer(expires_at)) /* the moment; what remains of it has grown old since it was read */
        row.expires_at = json_integer_value(expires_at);
    else if (json_is_number(ttl))
        row.expires_at = now_s + (int64_t)json_number_value(ttl);
    row.data = further_fields(entity, value);
    tp_layout_encode_credential(out, &row);
    free((char *)row.data.data);
    return out->failed ? TP_ERR_TOO_LARGE : TP_OK;
}

enum tp_err tp_layout_plugin_from_json(struct tp_buf *out, const json_t *value)
{
    static const struct tp_hash_key content;
    struct tp_consumer_plugin row = { .name = tp_layout_text(value, "name") };
    const json_t *config = json_object_get(value, "config");

    if (tp_layout_entity_id(value, &row.id) || tp_layout_foreign(value, "route", &row.route) ||
        tp_layout_foreign(value, "service", &row.service) || !row.name.data || !json_is_object(config))
        return TP_ERR_INVALID;
    row.config = dump(config);
    row.revision = tp_hash64(&content, row.config);
    row.ordering = dump(json_object_get(value, "ordering"));
    tp_layout_encode_plugin(out, &row);
    free((char *)row.config.data);
    free((char *)row.ordering.data);
    return out->failed ? TP_ERR_TOO_LARGE : TP_OK;
}

enum tp_err tp_layout_plan_row_from_json(struct tp_buf *out, const json_t *value)
{
    struct tp_str json = dump(value);

    if (!json.data)
        return TP_ERR_INVALID;
    tp_layout_encode_plan_row(out, json);
    free((char *)json.data);
    return out->failed ? TP_ERR_TOO_LARGE : TP_OK;
}
