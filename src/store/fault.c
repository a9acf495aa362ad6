/*
 * Faults: which rule a refused write broke, as the Admin API tells it.
 */
#include "store/store_priv.h"

#include <stdio.h>

void tp_store_fault_fini(struct tp_store_fault *fault)
{
    if (!fault)
        return;
    json_decref(fault->fields);
    *fault = (struct tp_store_fault){ TP_OK };
}

enum tp_err tp_fault_finish(struct tp_store *store, struct tp_store_fault *fault, enum tp_err err)
{
    fault->err = err;
    if (err && err != TP_ERR_NOT_FOUND && !fault->message[0])
        snprintf(fault->message, sizeof(fault->message), "%s", store->error);
    return err;
}

/* Who has the key that `w` wants in column `i`; SIZE_MAX: the id. */
static enum tp_err look_for(struct tp_store *store, const struct tp_row_write *w, size_t i, struct tp_clash *clash)
{
    const struct tp_column *column = i == SIZE_MAX ? NULL : &w->table->columns[i];
    struct tp_query q;
    char sql[256];
    bool row;
    enum tp_err err;

    snprintf(sql, sizeof(sql), "SELECT id, expires_at FROM \"%s\" WHERE \"%s\" = $1", w->table->entity->name,
             column ? column->name : "id");
    q = tp_query_begin(store, sql);
    if (!column)
        tp_query_uuid(&q, &w->id);
    else if (column->kind == TP_COLUMN_FOREIGN)
        tp_query_uuid(&q, &w->foreign[i]);
    else
        tp_query_text(&q, tp_str_from_cstr(w->texts[i]));
    err = tp_query_row(&q, &row);
    if (!err && row && tp_query_get_uuid(&q, 0, &clash->id)) {
        clash->found = !column || !tp_uuid_eq(&clash->id, &w->id);
        clash->column = column;
        clash->expired = !tp_query_is_null(&q, 1) && tp_query_get_int(&q, 1) <= tp_store_now(store);
    }
    tp_query_end(&q);
    return err;
}

enum tp_err tp_fault_find_clash(struct tp_store *store, const struct tp_row_write *w, bool is_insert,
                                struct tp_clash *clash)
{
    enum tp_err err = TP_OK;

    *clash = (struct tp_clash){ .found = false };
    if (is_insert)
        err = look_for(store, w, SIZE_MAX, clash);
    for (size_t i = 0; !err && !clash->found && i < w->table->column_count; i++) {
        const struct tp_column *column = &w->table->columns[i];

        if (column->unique && (column->kind == TP_COLUMN_FOREIGN ? w->has_foreign[i] : w->texts[i] != NULL))
            err = look_for(store, w, i, clash);
    }
    return err;
}

/* A member as faults show it: a reference by its id alone. */
static json_t *fault_member(const json_t *value, const char *name)
{
    json_t *member = json_object_get(value, name), *id = json_object_get(member, "id");

    if (id)
        return json_pack("{s:O}", "id", id);
    return member ? json_incref(member) : json_null();
}

void tp_fault_tell_clash(const struct tp_row_write *w, const struct tp_clash *clash, struct tp_store_fault *fault)
{
    const char *name = clash->column ? clash->column->name : "id";
    const char *const single[] = { name, NULL };
    bool composite = clash->column && clash->column->kind == TP_COLUMN_COMPOSITE;

    fault->primary_key = !clash->column;
    fault->fields = json_object();
    for (const char *const *n = composite ? w->table->entity->composite_unique : single; *n; n++)
        json_object_set_new(fault->fields, *n, fault_member(w->value, *n));
}

static enum tp_err row_exists(struct tp_store *store, const struct tp_entity *entity, const struct tp_uuid *id,
                              bool *exists)
{
    struct tp_query q;
    char sql[128];
    enum tp_err err;

    snprintf(sql, sizeof(sql), "SELECT 1 FROM \"%s\" WHERE id = $1", entity->name);
    q = tp_query_begin(store, sql);
    tp_query_uuid(&q, id);
    err = tp_query_row(&q, exists);
    tp_query_end(&q);
    return err;
}

enum tp_err tp_fault_tell_missing_parent(struct tp_store *store, const struct tp_row_write *w,
                                         struct tp_store_fault *fault)
{
    for (const struct tp_field *f = w->table->entity->fields; f->name; f++) {
        const struct tp_entity *parent;
        const json_t *member = json_object_get(w->value, f->name);
        struct tp_uuid id;
        bool exists = false;
        enum tp_err err = TP_OK;

        if (f->type != TP_TYPE_FOREIGN || !tp_column_foreign_id(member, &id))
            continue;
        parent = tp_entity_by_name(tp_str_from_cstr(f->reference));
        if (parent)
            err = row_exists(store, parent, &id, &exists);
        if (err)
            return err;
        if (exists)
            continue;
        fault->entity = f->reference;
        fault->fields = json_pack("{s:o}", f->name, fault_member(w->value, f->name));
        return TP_ERR_REFERENCE;
    }
    return TP_ERR_REFERENCE;
}
