/*
 * From field tables to SQL tables: which columns an entity has, what they hold, and the statements on them.
 */
#include "base/hash.h"
#include "model/fields.h"
#include "store/store_priv.h"

#include <stdio.h>

/* Longer texts stand in a column as their digest: PostgreSQL's indexes end at 2.7 KB. */
#define MAX_KEY_LEN 512
#define DIGEST_MARK "\x01sha256:"

static bool is_in_composite(const struct tp_entity *entity, const char *name)
{
    for (const char *const *f = entity->composite_unique; f && *f; f++)
        if (strcmp(*f, name) == 0)
            return true;
    return false;
}

static bool is_reserved(const char *name)
{
    static const char *const reserved[] = { "doc", "expires_at", "cache_key" };

    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        if (strcmp(reserved[i], name) == 0)
            return true;
    return false;
}

/* False: the field has no column. A foreign key to an entity that this build lacks has none. */
static bool column_of(const struct tp_entity *entity, const struct tp_field *field, struct tp_column *out)
{
    *out = (struct tp_column){ .name = field->name, .field = field, .unique = field->unique };
    if (strcmp(field->name, "id") == 0)
        return false;
    if (field->type == TP_TYPE_FOREIGN) {
        out->kind = TP_COLUMN_FOREIGN;
        out->parent = tp_entity_by_name(tp_str_from_cstr(field->reference));
        return out->parent != NULL;
    }
    out->kind = TP_COLUMN_TEXT;
    return field->unique || is_in_composite(entity, field->name);
}

static void find_columns(struct tp_table *table)
{
    const struct tp_field *fields = table->entity->fields;
    size_t max = 1;

    for (const struct tp_field *f = fields; f->name; f++)
        max++;
    table->columns = tp_calloc(max, sizeof(*table->columns));
    for (const struct tp_field *f = fields; f->name; f++) {
        if (strcmp(f->name, "tags") == 0)
            table->has_tags = true;
        if (!column_of(table->entity, f, &table->columns[table->column_count]))
            continue;
        TP_ASSERT(!is_reserved(f->name));
        table->column_count++;
    }
    if (table->entity->composite_unique)
        table->columns[table->column_count++] =
            (struct tp_column){ .name = "cache_key", .kind = TP_COLUMN_COMPOSITE, .unique = true };
}

/* Parameters: id, doc, expires_at, then the columns in their order. */
static char *make_insert(const struct tp_table *table, const char *end)
{
    struct tp_buf sql;

    tp_buf_init(&sql, 0);
    tp_buf_addf(&sql, "INSERT INTO \"%s\" (id, doc, expires_at", table->entity->name);
    for (size_t i = 0; i < table->column_count; i++)
        tp_buf_addf(&sql, ", \"%s\"", table->columns[i].name);
    tp_buf_add_cstr(&sql, ") VALUES ($1, $2, $3");
    for (size_t i = 0; i < table->column_count; i++)
        tp_buf_addf(&sql, ", $%zu", i + 4);
    tp_buf_add_char(&sql, ')');
    tp_buf_add_cstr(&sql, end);
    return tp_buf_take(&sql);
}

/* Parameters: doc, expires_at, the columns, id, now. */
static char *make_update(const struct tp_table *table)
{
    struct tp_buf sql;
    size_t n = 3;

    tp_buf_init(&sql, 0);
    tp_buf_addf(&sql, "UPDATE \"%s\" SET doc = $1, expires_at = $2", table->entity->name);
    for (size_t i = 0; i < table->column_count; i++)
        tp_buf_addf(&sql, ", \"%s\" = $%zu", table->columns[i].name, n++);
    tp_buf_addf(&sql, " WHERE id = $%zu AND (expires_at IS NULL OR expires_at > $%zu) RETURNING id", n, n + 1);
    return tp_buf_take(&sql);
}

static char *make_text(const char *before, const char *name, const char *after)
{
    struct tp_buf sql;

    tp_buf_init(&sql, 0);
    tp_buf_addf(&sql, "%s\"%s\"%s", before, name, after);
    return tp_buf_take(&sql);
}

struct tp_table *tp_tables_new(void)
{
    struct tp_table *tables = tp_calloc(tp_entity_count + 1, sizeof(*tables));

    for (size_t i = 0; i < tp_entity_count; i++) {
        struct tp_table *table = &tables[i];

        table->entity = tp_entities[i];
        find_columns(table);
        table->defaults = tp_fields_defaults(table->entity->fields);
        table->insert_sql = make_insert(table, " ON CONFLICT DO NOTHING RETURNING id");
        table->load_sql = make_insert(table, "");
        table->update_sql = make_update(table);
        table->delete_sql = make_text("DELETE FROM ", table->entity->name, " WHERE id = $1 RETURNING id");
        table->get_sql = make_text("SELECT id, doc, expires_at FROM ", table->entity->name,
                                   " WHERE id = $1 AND (expires_at IS NULL OR expires_at > $2)");
    }
    return tables;
}

void tp_tables_free(struct tp_table *tables)
{
    if (!tables)
        return;
    for (struct tp_table *table = tables; table->entity; table++) {
        free(table->columns);
        json_decref(table->defaults);
        free(table->insert_sql);
        free(table->load_sql);
        free(table->update_sql);
        free(table->delete_sql);
        free(table->get_sql);
    }
    free(tables);
}

bool tp_column_foreign_id(const json_t *value, struct tp_uuid *out)
{
    const json_t *id = json_object_get(value, "id");

    return json_is_string(id) && tp_uuid_parse(tp_str_make(json_string_value(id), json_string_length(id)), out);
}

char *tp_column_key(struct tp_str text)
{
    char *key;

    if (text.len <= MAX_KEY_LEN && !memchr(text.data, '\0', text.len) && !tp_str_starts(text, TP_STR(DIGEST_MARK)))
        return tp_strndup(text);
    key = tp_calloc(1, sizeof(DIGEST_MARK) + 64);
    memcpy(key, DIGEST_MARK, sizeof(DIGEST_MARK) - 1);
    tp_sha256_hex(text, key + sizeof(DIGEST_MARK) - 1);
    return key;
}

static char *key_of_member(const json_t *member)
{
    char *json, *key;

    if (!member || json_is_null(member))
        return NULL;
    if (json_is_string(member))
        return tp_column_key(tp_str_make(json_string_value(member), json_string_length(member)));
    json = json_dumps(member, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    if (!json)
        return NULL;
    key = tp_column_key(tp_str_from_cstr(json));
    free(json);
    return key;
}

/* A JSON array of the members, foreign keys by their id: unambiguous, and null equals null. */
static char *composite_key(const struct tp_entity *entity, const json_t *value)
{
    json_t *parts = json_array();
    char *key;

    for (const char *const *name = entity->composite_unique; *name; name++) {
        json_t *member = json_object_get(value, *name);
        char text[TP_UUID_TEXT_LEN + 1];
        struct tp_uuid id;

        if (tp_column_foreign_id(member, &id)) {
            tp_uuid_format(&id, text);
            json_array_append_new(parts, json_string(text));
        } else {
            json_array_append_new(parts, member ? json_incref(member) : json_null());
        }
    }
    key = key_of_member(parts);
    json_decref(parts);
    return key;
}

char *tp_column_text(const struct tp_table *table, const struct tp_column *column, const json_t *value)
{
    if (column->kind == TP_COLUMN_COMPOSITE)
        return composite_key(table->entity, value);
    return key_of_member(json_object_get(value, column->name));
}
