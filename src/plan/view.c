/*
 * Reading: read_model.h. A look-up copies the row's bytes into the caller's arena and decodes the copy, so that
 * nothing handed out points into the map (and an ASan build sees a use after the arena's end).
 */
#include "plan/rows.h"

#include "base/mem.h"

static const uint8_t no_name[16];

enum tp_err tp_view_begin(struct tp_read_model *rm, struct tp_view **out)
{
    struct tp_view *view = tp_env_view_take(&rm->env);
    int rc = view->txn ? mdb_txn_renew(view->txn) : mdb_txn_begin(view->env->lmdb, NULL, MDB_RDONLY, &view->txn);

    if (rc) {
        tp_env_view_put(view);
        return tp_env_error(rc, "begin", NULL);
    }
    *out = view;
    return TP_OK;
}

void tp_view_end(struct tp_view *view)
{
    if (!view)
        return;
    mdb_txn_reset(view->txn);
    tp_env_view_put(view);
}

static enum tp_err get(struct tp_view *view, enum tp_row_kind kind, const uint8_t name[16], struct tp_str *out)
{
    struct tp_row_key key = tp_layout_key(kind, name);

    return tp_env_get(view->env, view->txn, &key, out);
}

static enum tp_err get_copy(struct tp_view *view, enum tp_row_kind kind, const uint8_t name[16], struct tp_arena *arena,
                            struct tp_str *out)
{
    enum tp_err err = get(view, kind, name, out);

    if (!err)
        *out = tp_arena_dup(arena, *out);
    return err;
}

enum tp_err tp_view_meta(struct tp_view *view, struct tp_read_model_meta *out)
{
    struct tp_str bytes;
    enum tp_err err = get(view, TP_ROW_META, no_name, &bytes);

    if (err)
        return err == TP_ERR_NOT_FOUND ? TP_ERR_DAMAGED : err;
    return tp_layout_decode_meta(bytes, out);
}

enum tp_err tp_view_credential(struct tp_view *view, struct tp_str kind, struct tp_str key, struct tp_arena *arena,
                               struct tp_credential *out)
{
    struct tp_digest digest = tp_layout_credential_digest(&view->env->opened.key, kind, key);
    struct tp_str bytes;
    enum tp_err err = get_copy(view, TP_ROW_CREDENTIAL, digest.bytes, arena, &bytes);

    return err ? err : tp_layout_decode_credential(bytes, out);
}

enum tp_err tp_view_consumer(struct tp_view *view, const struct tp_uuid *id, struct tp_arena *arena,
                             struct tp_consumer *out, bool *has_plugins)
{
    struct tp_consumer_row row;
    struct tp_str bytes;
    enum tp_err err = get_copy(view, TP_ROW_CONSUMER, id->bytes, arena, &bytes);

    if (!err)
        err = tp_layout_decode_consumer(bytes, &row);
    if (err)
        return err;
    *out = (struct tp_consumer){ *id, row.username, row.custom_id, row.tags };
    if (has_plugins)
        *has_plugins = row.has_plugins;
    return TP_OK;
}

enum tp_err tp_view_consumer_by_username(struct tp_view *view, struct tp_str username, struct tp_arena *arena,
                                         struct tp_consumer *out, bool *has_plugins)
{
    struct tp_digest digest = tp_layout_username_digest(&view->env->opened.key, username);
    struct tp_uuid id;
    struct tp_str bytes;
    enum tp_err err = get(view, TP_ROW_USERNAME, digest.bytes, &bytes);

    if (!err)
        err = tp_layout_decode_reference(bytes, id.bytes);
    return err ? err : tp_view_consumer(view, &id, arena, out, has_plugins);
}

/* --- Consumer-scoped plugin rows --------------------------------------------------------------- */

/* How many records, or TP_ERR_DAMAGED. */
static enum tp_err count_records(struct tp_str records, size_t *count)
{
    struct tp_consumer_plugin row;
    enum tp_err err;

    *count = 0;
    while ((err = tp_layout_decode_plugin(&records, &row)) == TP_OK)
        ++*count;
    return err == TP_ERR_NOT_FOUND ? TP_OK : err;
}

enum tp_err tp_view_consumer_plugins(struct tp_view *view, const struct tp_uuid *consumer, struct tp_arena *arena,
                                     struct tp_consumer_plugin **out, size_t *count)
{
    struct tp_str bytes, records;
    enum tp_err err;

    *out = NULL;
    *count = 0;
    err = get_copy(view, TP_ROW_CONSUMER_PLUGINS, consumer->bytes, arena, &bytes);
    if (err == TP_ERR_NOT_FOUND)
        return TP_OK;
    if (!err)
        err = tp_layout_decode_plugins(bytes, &records);
    if (!err)
        err = count_records(records, count);
    if (err) {
        *count = 0;
        return err;
    }
    *out = tp_arena_new_array(arena, struct tp_consumer_plugin, *count);
    for (size_t i = 0; i < *count; i++)
        tp_layout_decode_plugin(&records, &(*out)[i]);
    return TP_OK;
}

/* --- Plan rows --------------------------------------------------------------------------------- */

static enum tp_err tell_row(const MDB_val *key, const MDB_val *value, tp_row_fn fn, void *data)
{
    struct tp_plan_row row;
    struct tp_uuid id;
    enum tp_err err = tp_layout_decode_plan_row(tp_str_make(value->mv_data, value->mv_size), &row);

    if (err)
        return err;
    memcpy(id.bytes, (const char *)key->mv_data + 1, sizeof(id.bytes));
    return fn(data, &id, &row);
}

enum tp_err tp_view_rows(struct tp_view *view, enum tp_row_kind kind, tp_row_fn fn, void *data)
{
    struct tp_row_key start = tp_layout_key(kind, no_name);
    MDB_val key = { sizeof(start.bytes), start.bytes }, value;
    MDB_cursor *cursor;
    enum tp_err err = TP_OK;
    int rc = mdb_cursor_open(view->txn, view->env->rows, &cursor);

    if (rc)
        return tp_env_error(rc, "read", NULL);
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (!rc && !err) {
        if (key.mv_size != TP_LAYOUT_KEY_LEN)
            err = TP_ERR_DAMAGED;
        else if (*(const uint8_t *)key.mv_data != (uint8_t)kind)
            break;
        else
            err = tell_row(&key, &value, fn, data);
        if (!err)
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    if (!err && rc && rc != MDB_NOTFOUND)
        err = tp_env_error(rc, "read", NULL);
    return err;
}

struct parsed_walk {
    tp_view_row_fn fn;
    void *data;
};

static enum tp_err tell_parsed(void *data, const struct tp_uuid *id, const struct tp_plan_row *row)
{
    const struct parsed_walk *walk = data;
    json_t *value = json_loadb(row->json.data, row->json.len, 0, NULL);
    enum tp_err err;

    (void)id;
    if (!value)
        return TP_ERR_DAMAGED;
    err = walk->fn(walk->data, row->revision, value);
    json_decref(value);
    return err;
}

enum tp_err tp_view_each(struct tp_view *view, struct tp_str entity, tp_view_row_fn fn, void *data)
{
    const struct tp_layout_entity *e = tp_layout_entity(entity);
    struct parsed_walk walk = { fn, data };

    if (!e || (e->role != TP_ROLE_PLAN_ROW && e->role != TP_ROLE_PLUGIN))
        return TP_ERR_NOT_FOUND;
    return tp_view_rows(view, e->kind, tell_parsed, &walk);
}
