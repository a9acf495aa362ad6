/*
 * Applying changes: one durable LMDB transaction for whole SQL transactions.
 *
 * A change is state, not a step: putting the same value twice, or a delete of what is not there, is fine. Rows
 * that a value does not name any more (an old key, an old username, an old consumer) are found through
 * what is stored now. Pointers from LMDB are stale after the next write, so they are copied first.
 */
#include "plan/env.h"

#include "base/clock.h"

struct apply {
    const struct tp_env *env;
    MDB_txn *txn;
    struct tp_buf value; /* of the row being written */
    int64_t now_s;
    bool plan_changed;
    struct tp_diag *diag;
};

static enum tp_err put(struct apply *a, const struct tp_row_key *key)
{
    MDB_val k = { sizeof(key->bytes), (void *)key->bytes }, v = { a->value.len, a->value.data };

    if (a->value.failed)
        return TP_ERR_TOO_LARGE;
    return tp_env_error(mdb_put(a->txn, a->env->rows, &k, &v, 0), "write", a->diag);
}

/* *existed may be NULL. */
static enum tp_err del(struct apply *a, const struct tp_row_key *key, bool *existed)
{
    MDB_val k = { sizeof(key->bytes), (void *)key->bytes };
    int rc = mdb_del(a->txn, a->env->rows, &k, NULL);

    if (existed)
        *existed = rc == MDB_SUCCESS;
    return rc == MDB_NOTFOUND ? TP_OK : tp_env_error(rc, "delete", a->diag);
}

static enum tp_err get(struct apply *a, const struct tp_row_key *key, struct tp_str *out)
{
    return tp_env_get(a->env, a->txn, key, out);
}

static enum tp_err put_reference(struct apply *a, const struct tp_row_key *key, const uint8_t target[16])
{
    tp_buf_reset(&a->value);
    tp_layout_encode_reference(&a->value, target);
    return put(a, key);
}

/* TP_ERR_NOT_FOUND: no such row. */
static enum tp_err get_reference(struct apply *a, const struct tp_row_key *key, uint8_t target[16])
{
    struct tp_str bytes;
    enum tp_err err = get(a, key, &bytes);

    return err ? err : tp_layout_decode_reference(bytes, target);
}

/* --- Consumers --------------------------------------------------------------------------------- */

/* Free the username that is stored now, unless another consumer has taken it already. */
static enum tp_err drop_old_username(struct apply *a, const struct tp_row_key *consumer)
{
    struct tp_consumer_row row;
    struct tp_row_key name;
    struct tp_digest digest;
    struct tp_str bytes;
    uint8_t owner[16];
    enum tp_err err = get(a, consumer, &bytes);

    if (!err)
        err = tp_layout_decode_consumer(bytes, &row);
    if (err || !row.username.data)
        return err == TP_ERR_NOT_FOUND ? TP_OK : err;
    digest = tp_layout_username_digest(&a->env->opened.key, row.username);
    name = tp_layout_key(TP_ROW_USERNAME, digest.bytes);
    err = get_reference(a, &name, owner);
    if (err)
        return err == TP_ERR_NOT_FOUND ? TP_OK : err;
    return memcmp(owner, consumer->bytes + 1, sizeof(owner)) == 0 ? del(a, &name, NULL) : TP_OK;
}

static enum tp_err put_consumer(struct apply *a, const struct tp_row_key *key, const struct tp_uuid *id,
                                const json_t *value)
{
    struct tp_row_key plugins = tp_layout_key(TP_ROW_CONSUMER_PLUGINS, id->bytes), name;
    struct tp_str username = tp_layout_text(value, "username"), bytes;
    struct tp_digest digest;
    enum tp_err err = get(a, &plugins, &bytes);

    if (err && err != TP_ERR_NOT_FOUND)
        return err;
    tp_buf_reset(&a->value);
    err = tp_layout_consumer_from_json(&a->value, value, err == TP_OK);
    if (!err)
        err = put(a, key);
    if (err || !username.data)
        return err;
    digest = tp_layout_username_digest(&a->env->opened.key, username);
    name = tp_layout_key(TP_ROW_USERNAME, digest.bytes);
    return put_reference(a, &name, id->bytes);
}

static enum tp_err apply_consumer(struct apply *a, const struct tp_uuid *id, const json_t *value)
{
    struct tp_row_key key = tp_layout_key(TP_ROW_CONSUMER, id->bytes);
    enum tp_err err = drop_old_username(a, &key);

    if (err)
        return err;
    return value ? put_consumer(a, &key, id, value) : del(a, &key, NULL);
}

/* --- Credentials ------------------------------------------------------------------------------- */

/* The row that this credential is found by now: another key's, unless it is taken by another credential. */
static enum tp_err drop_old_credential(struct apply *a, const struct tp_row_key *by_id, const struct tp_uuid *id)
{
    struct tp_credential row;
    struct tp_row_key key;
    struct tp_str bytes;
    uint8_t digest[16];
    enum tp_err err = get_reference(a, by_id, digest);

    if (!err) {
        key = tp_layout_key(TP_ROW_CREDENTIAL, digest);
        err = get(a, &key, &bytes);
    }
    if (!err)
        err = tp_layout_decode_credential(bytes, &row);
    if (err)
        return err == TP_ERR_NOT_FOUND ? TP_OK : err;
    return tp_uuid_eq(&row.id, id) ? del(a, &key, NULL) : TP_OK;
}

static enum tp_err apply_credential(struct apply *a, const struct tp_layout_entity *entity, const struct tp_uuid *id,
                                    const json_t *value)
{
    struct tp_row_key by_id = tp_layout_key(TP_ROW_CREDENTIAL_ID, id->bytes), key;
    struct tp_str text = value ? tp_layout_text(value, entity->key_field) : TP_STR_NULL;
    struct tp_digest digest;
    enum tp_err err = drop_old_credential(a, &by_id, id);

    if (err)
        return err;
    if (!text.data)
        return del(a, &by_id, NULL);
    tp_buf_reset(&a->value);
    err = tp_layout_credential_from_json(&a->value, entity, value, a->now_s);
    if (err)
        return err;
    digest = tp_layout_credential_digest(&a->env->opened.key, tp_str_from_cstr(entity->name), text);
    key = tp_layout_key(TP_ROW_CREDENTIAL, digest.bytes);
    err = put(a, &key);
    return err ? err : put_reference(a, &by_id, digest.bytes);
}

/* --- Plan rows --------------------------------------------------------------------------------- */

static enum tp_err apply_plan_row(struct apply *a, enum tp_row_kind kind, const struct tp_uuid *id, const json_t *value)
{
    struct tp_row_key key = tp_layout_key(kind, id->bytes);
    struct tp_str stored;
    bool existed;
    enum tp_err err;

    if (!value) {
        err = del(a, &key, &existed);
        a->plan_changed |= existed;
        return err;
    }
    tp_buf_reset(&a->value);
    err = tp_layout_plan_row_from_json(&a->value, value);
    if (err)
        return err;
    if (get(a, &key, &stored) == TP_OK && tp_str_eq(stored, tp_buf_str(&a->value)))
        return TP_OK; /* told again: nothing to compile */
    a->plan_changed = true;
    return put(a, &key);
}

/* --- Plugins ----------------------------------------------------------------------------------- */

static enum tp_err flag_consumer(struct apply *a, const struct tp_uuid *consumer, bool has_plugins)
{
    struct tp_row_key key = tp_layout_key(TP_ROW_CONSUMER, consumer->bytes);
    struct tp_consumer_row row;
    struct tp_str bytes;
    enum tp_err err = get(a, &key, &bytes);

    if (!err)
        err = tp_layout_decode_consumer(bytes, &row);
    if (err || row.has_plugins == has_plugins)
        return err == TP_ERR_NOT_FOUND ? TP_OK : err; /* the consumer went first: its plugins follow */
    tp_buf_reset(&a->value);
    tp_buf_add(&a->value, bytes);
    if (a->value.failed)
        return TP_ERR_TOO_LARGE;
    tp_layout_consumer_flag(a->value.data, has_plugins);
    return put(a, &key);
}

/* Put the consumer's records but the one of `id` into a->value; *kept counts them. */
static enum tp_err gather_other_records(struct apply *a, const struct tp_row_key *key, const struct tp_uuid *id,
                                        size_t *kept)
{
    struct tp_consumer_plugin row;
    struct tp_str bytes, records;
    enum tp_err err = get(a, key, &bytes);

    *kept = 0;
    tp_buf_reset(&a->value);
    tp_layout_encode_plugins_start(&a->value);
    if (!err)
        err = tp_layout_decode_plugins(bytes, &records);
    while (!err) {
        err = tp_layout_decode_plugin(&records, &row);
        if (!err && !tp_uuid_eq(&row.id, id)) {
            tp_layout_encode_plugin(&a->value, &row);
            ++*kept;
        }
    }
    return err == TP_ERR_NOT_FOUND ? TP_OK : err;
}

static enum tp_err remove_scoped(struct apply *a, const struct tp_uuid *id)
{
    struct tp_row_key owner_key = tp_layout_key(TP_ROW_PLUGIN_CONSUMER, id->bytes), key;
    struct tp_uuid consumer;
    size_t kept;
    enum tp_err err = get_reference(a, &owner_key, consumer.bytes);

    if (err)
        return err == TP_ERR_NOT_FOUND ? TP_OK : err;
    key = tp_layout_key(TP_ROW_CONSUMER_PLUGINS, consumer.bytes);
    err = gather_other_records(a, &key, id, &kept);
    if (!err)
        err = kept ? put(a, &key) : del(a, &key, NULL);
    if (!err && !kept)
        err = flag_consumer(a, &consumer, false);
    return err ? err : del(a, &owner_key, NULL);
}

static enum tp_err add_scoped(struct apply *a, const struct tp_uuid *id, const struct tp_uuid *consumer,
                              const json_t *value)
{
    struct tp_row_key owner_key = tp_layout_key(TP_ROW_PLUGIN_CONSUMER, id->bytes);
    struct tp_row_key key = tp_layout_key(TP_ROW_CONSUMER_PLUGINS, consumer->bytes);
    size_t kept;
    enum tp_err err = gather_other_records(a, &key, id, &kept);

    if (!err)
        err = tp_layout_plugin_from_json(&a->value, value);
    if (!err)
        err = put(a, &key);
    if (!err)
        err = put_reference(a, &owner_key, consumer->bytes);
    return err ? err : flag_consumer(a, consumer, true);
}

/* A plugin row lies in the plan or with its consumer, and a write may move it from one to the other. */
static enum tp_err apply_plugin(struct apply *a, const struct tp_uuid *id, const json_t *value)
{
    struct tp_uuid consumer = { { 0 } };
    enum tp_err err = value ? tp_layout_foreign(value, "consumer", &consumer) : TP_OK;

    if (!err)
        err = remove_scoped(a, id);
    if (err)
        return err;
    if (!value || tp_uuid_is_nil(&consumer))
        return apply_plan_row(a, TP_ROW_PLUGIN, id, value);
    err = apply_plan_row(a, TP_ROW_PLUGIN, id, NULL);
    if (err || !tp_layout_is_enabled(value))
        return err;
    return add_scoped(a, id, &consumer, value);
}

/* --- The transaction --------------------------------------------------------------------------- */

static enum tp_err apply_to(struct apply *a, const struct tp_layout_entity *entity, const struct tp_change *change,
                            const json_t *value)
{
    switch (entity->role) {
    case TP_ROLE_CONSUMER: return apply_consumer(a, &change->id, value);
    case TP_ROLE_CREDENTIAL: return apply_credential(a, entity, &change->id, value);
    case TP_ROLE_PLUGIN: return apply_plugin(a, &change->id, value);
    case TP_ROLE_PLAN_ROW: return apply_plan_row(a, entity->kind, &change->id, value);
    }
    return TP_OK;
}

static enum tp_err apply_change(struct apply *a, const struct tp_change *change)
{
    const struct tp_layout_entity *entity = tp_layout_entity(tp_str_from_cstr(change->entity));
    char id[TP_UUID_TEXT_LEN + 1];
    enum tp_err err;

    if (!entity)
        return TP_OK;
    err = apply_to(a, entity, change, change->value);
    if (err != TP_ERR_INVALID && err != TP_ERR_TOO_LARGE)
        return err;
    /* One row that we cannot keep must not stop the feed for all others. */
    tp_uuid_format(&change->id, id);
    tp_diag_add(a->diag, change->entity, "%s cannot be kept in the read model and is left out", id);
    return apply_to(a, entity, change, NULL);
}

static enum tp_err write_meta(struct apply *a, uint64_t position)
{
    static const uint8_t no_name[16];
    struct tp_row_key key = tp_layout_key(TP_ROW_META, no_name);
    struct tp_read_model_meta meta;
    struct tp_str bytes;
    enum tp_err err = get(a, &key, &bytes);

    if (!err)
        err = tp_layout_decode_meta(bytes, &meta);
    if (err)
        return err == TP_ERR_NOT_FOUND ? TP_ERR_DAMAGED : err;
    meta.position = position;
    if (a->plan_changed)
        meta.plan = position;
    tp_buf_reset(&a->value);
    tp_layout_encode_meta(&a->value, &meta);
    return put(a, &key);
}

enum tp_err tp_read_model_apply(struct tp_read_model *rm, const struct tp_change *changes, size_t count,
                                uint64_t position, bool *plan_changed, struct tp_diag *diag)
{
    struct apply a = { .env = rm->env, .now_s = tp_clock_now_ms() / 1000, .diag = diag };
    enum tp_err err;
    int dead;

    mdb_reader_check(rm->env->lmdb, &dead); /* a killed worker's slot would keep every page since then */
    err = tp_env_error(mdb_txn_begin(rm->env->lmdb, NULL, 0, &a.txn), "begin", diag);
    if (err)
        return err;
    tp_buf_init(&a.value, 0);
    for (size_t i = 0; i < count && !err; i++)
        err = apply_change(&a, &changes[i]);
    if (!err)
        err = write_meta(&a, position);
    if (err)
        mdb_txn_abort(a.txn);
    else
        err = tp_env_error(mdb_txn_commit(a.txn), "commit", diag);
    tp_buf_fini(&a.value);
    if (err)
        return err;
    tp_env_grow_to_last_page(rm->env->lmdb);
    if (plan_changed)
        *plan_changed = a.plan_changed;
    return TP_OK;
}
