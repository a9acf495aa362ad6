/*
 * Keys, digests, and the encoding of values: see layout.h. The readers below are the only code that looks at
 * stored bytes.
 */
#include "plan/layout.h"

#include <endian.h>
#include <string.h>

#define ABSENT UINT32_MAX
#define CONSUMER_HAS_PLUGINS 0x01

/* The list: an entity that is not here leaves no rows. */
static const struct tp_layout_entity entities[] = {
    { "consumers", TP_ROLE_CONSUMER, TP_ROW_CONSUMER, NULL },
    { "keyauth_credentials", TP_ROLE_CREDENTIAL, TP_ROW_CREDENTIAL, "key" },
    { "plugins", TP_ROLE_PLUGIN, TP_ROW_PLUGIN, NULL },
    { "routes", TP_ROLE_PLAN_ROW, TP_ROW_ROUTE, NULL },
    { "services", TP_ROLE_PLAN_ROW, TP_ROW_SERVICE, NULL },
};

const struct tp_layout_entity *tp_layout_entity(struct tp_str name)
{
    for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
        if (tp_str_eq(tp_str_from_cstr(entities[i].name), name))
            return &entities[i];
    }
    return NULL;
}

struct tp_row_key tp_layout_key(enum tp_row_kind kind, const uint8_t name[16])
{
    struct tp_row_key key;

    key.bytes[0] = (uint8_t)kind;
    memcpy(key.bytes + 1, name, 16);
    return key;
}

struct tp_digest tp_layout_credential_digest(const struct tp_hash_key *key, struct tp_str table, struct tp_str text)
{
    const struct tp_str parts[] = { table, text };

    return tp_digest_keyed_parts(key, parts, 2);
}

struct tp_digest tp_layout_username_digest(const struct tp_hash_key *key, struct tp_str username)
{
    return tp_digest_keyed(key, username);
}

/* --- Writing bytes ----------------------------------------------------------------------------- */

static void put_bytes(struct tp_buf *out, const void *data, size_t len)
{
    tp_buf_add(out, tp_str_make(data, len));
}

static void put_number(struct tp_buf *out, uint64_t v, size_t size)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(v >> (8 * i));
    put_bytes(out, bytes, size);
}

static void put_text(struct tp_buf *out, struct tp_str s)
{
    if (!s.data) {
        put_number(out, ABSENT, 4);
        return;
    }
    if (s.len >= ABSENT) {
        out->failed = true;
        return;
    }
    put_number(out, s.len, 4);
    tp_buf_add(out, s);
}

static void put_version(struct tp_buf *out)
{
    tp_buf_add_char(out, TP_LAYOUT_VERSION);
}

/* --- Reading bytes ----------------------------------------------------------------------------- */

/* Once a read does not fit, `bad` is set and every further read gives zeros. */
struct reader {
    const char *at;
    size_t left;
    bool bad;
};

static const char *get_bytes(struct reader *r, size_t n)
{
    const char *p = r->at;

    if (r->bad || n > r->left) {
        r->bad = true;
        return NULL;
    }
    r->at += n;
    r->left -= n;
    return p;
}

static void get_into(struct reader *r, void *out, size_t n)
{
    const char *p = get_bytes(r, n);

    if (p)
        memcpy(out, p, n);
    else
        memset(out, 0, n);
}

static inline uint64_t get_number(struct reader *r, size_t size)
{
    const char *p = get_bytes(r, size);
    uint64_t v = 0;

    if (p)
        memcpy(&v, p, size);
    return le64toh(v);
}

static struct tp_str get_text(struct reader *r)
{
    uint32_t len = (uint32_t)get_number(r, 4);
    const char *p;

    if (r->bad || len == ABSENT)
        return TP_STR_NULL;
    p = get_bytes(r, len);
    return p ? tp_str_make(p, len) : TP_STR_NULL;
}

static struct reader reader_of(struct tp_str bytes)
{
    struct reader r = { bytes.data, bytes.len, false };

    if (get_number(&r, 1) != TP_LAYOUT_VERSION)
        r.bad = true;
    return r;
}

/* A value must be used up to its last byte. */
static enum tp_err finish(const struct reader *r)
{
    return r->bad || r->left ? TP_ERR_DAMAGED : TP_OK;
}

/* --- The kinds --------------------------------------------------------------------------------- */

void tp_layout_encode_meta(struct tp_buf *out, const struct tp_read_model_meta *meta)
{
    put_version(out);
    put_number(out, meta->format, 4);
    put_bytes(out, meta->database.bytes, sizeof(meta->database.bytes));
    put_number(out, meta->epoch, 8);
    put_number(out, meta->position, 8);
    put_number(out, meta->plan, 8);
    put_bytes(out, meta->key.bytes, sizeof(meta->key.bytes));
}

enum tp_err tp_layout_decode_meta(struct tp_str bytes, struct tp_read_model_meta *out)
{
    struct reader r = reader_of(bytes);

    out->format = (uint32_t)get_number(&r, 4);
    get_into(&r, out->database.bytes, sizeof(out->database.bytes));
    out->epoch = get_number(&r, 8);
    out->position = get_number(&r, 8);
    out->plan = get_number(&r, 8);
    get_into(&r, out->key.bytes, sizeof(out->key.bytes));
    return finish(&r);
}

void tp_layout_encode_consumer(struct tp_buf *out, const struct tp_consumer_row *row)
{
    put_version(out);
    tp_buf_add_char(out, row->has_plugins ? CONSUMER_HAS_PLUGINS : 0);
    put_text(out, row->username);
    put_text(out, row->custom_id);
    put_text(out, row->tags);
}

enum tp_err tp_layout_decode_consumer(struct tp_str bytes, struct tp_consumer_row *out)
{
    struct reader r = reader_of(bytes);

    out->has_plugins = get_number(&r, 1) & CONSUMER_HAS_PLUGINS;
    out->username = get_text(&r);
    out->custom_id = get_text(&r);
    out->tags = get_text(&r);
    return finish(&r);
}

void tp_layout_consumer_flag(char *encoded, bool has_plugins)
{
    encoded[1] = has_plugins ? CONSUMER_HAS_PLUGINS : 0;
}

void tp_layout_encode_credential(struct tp_buf *out, const struct tp_credential *row)
{
    put_version(out);
    put_bytes(out, row->id.bytes, sizeof(row->id.bytes));
    put_bytes(out, row->consumer_id.bytes, sizeof(row->consumer_id.bytes));
    put_number(out, (uint64_t)row->expires_at, 8);
    put_text(out, row->data);
}

enum tp_err tp_layout_decode_credential(struct tp_str bytes, struct tp_credential *out)
{
    struct reader r = reader_of(bytes);

    get_into(&r, out->id.bytes, sizeof(out->id.bytes));
    get_into(&r, out->consumer_id.bytes, sizeof(out->consumer_id.bytes));
    out->expires_at = (int64_t)get_number(&r, 8);
    out->data = get_text(&r);
    return finish(&r);
}

void tp_layout_encode_reference(struct tp_buf *out, const uint8_t target[16])
{
    put_version(out);
    put_bytes(out, target, 16);
}

enum tp_err tp_layout_decode_reference(struct tp_str bytes, uint8_t target[16])
{
    struct reader r = reader_of(bytes);

    get_into(&r, target, 16);
    return finish(&r);
}

void tp_layout_encode_plugins_start(struct tp_buf *out)
{
    put_version(out);
}

void tp_layout_encode_plugin(struct tp_buf *out, const struct tp_consumer_plugin *row)
{
    put_bytes(out, row->id.bytes, sizeof(row->id.bytes));
    put_bytes(out, row->route.bytes, sizeof(row->route.bytes));
    put_bytes(out, row->service.bytes, sizeof(row->service.bytes));
    put_number(out, row->revision, 8);
    put_text(out, row->name);
    put_text(out, row->config);
    put_text(out, row->ordering);
}

enum tp_err tp_layout_decode_plugins(struct tp_str bytes, struct tp_str *records)
{
    struct reader r = reader_of(bytes);

    if (r.bad)
        return TP_ERR_DAMAGED;
    *records = tp_str_make(r.at, r.left);
    return TP_OK;
}

enum tp_err tp_layout_decode_plugin(struct tp_str *records, struct tp_consumer_plugin *out)
{
    struct reader r = { records->data, records->len, false };

    if (records->len == 0)
        return TP_ERR_NOT_FOUND;
    get_into(&r, out->id.bytes, sizeof(out->id.bytes));
    get_into(&r, out->route.bytes, sizeof(out->route.bytes));
    get_into(&r, out->service.bytes, sizeof(out->service.bytes));
    out->revision = get_number(&r, 8);
    out->name = get_text(&r);
    out->config = get_text(&r);
    out->ordering = get_text(&r);
    if (r.bad || !out->name.data || !out->config.data)
        return TP_ERR_DAMAGED;
    *records = tp_str_make(r.at, r.left);
    return TP_OK;
}

void tp_layout_encode_plan_row(struct tp_buf *out, struct tp_str json)
{
    /* No secret in the key: the revision must not change when a rebuild draws new digests. */
    static const struct tp_hash_key content;

    put_version(out);
    put_number(out, tp_hash64(&content, json), 8);
    put_text(out, json);
}

enum tp_err tp_layout_decode_plan_row(struct tp_str bytes, struct tp_plan_row *out)
{
    struct reader r = reader_of(bytes);

    out->revision = get_number(&r, 8);
    out->json = get_text(&r);
    if (!out->json.data)
        return TP_ERR_DAMAGED;
    return finish(&r);
}

static enum tp_err check_plugins(struct tp_str bytes)
{
    struct tp_consumer_plugin row;
    struct tp_str records;
    enum tp_err err = tp_layout_decode_plugins(bytes, &records);

    while (!err)
        err = tp_layout_decode_plugin(&records, &row);
    return err == TP_ERR_NOT_FOUND ? TP_OK : err;
}

enum tp_err tp_layout_check(enum tp_row_kind kind, struct tp_str bytes)
{
    struct tp_read_model_meta meta;
    struct tp_consumer_row consumer;
    struct tp_credential credential;
    struct tp_plan_row row;
    uint8_t target[16];

    switch (kind) {
    case TP_ROW_META: return tp_layout_decode_meta(bytes, &meta);
    case TP_ROW_CONSUMER: return tp_layout_decode_consumer(bytes, &consumer);
    case TP_ROW_CREDENTIAL: return tp_layout_decode_credential(bytes, &credential);
    case TP_ROW_CONSUMER_PLUGINS: return check_plugins(bytes);
    case TP_ROW_USERNAME:
    case TP_ROW_CREDENTIAL_ID:
    case TP_ROW_PLUGIN_CONSUMER: return tp_layout_decode_reference(bytes, target);
    case TP_ROW_PLUGIN:
    case TP_ROW_ROUTE:
    case TP_ROW_SERVICE: return tp_layout_decode_plan_row(bytes, &row);
    }
    return TP_ERR_DAMAGED;
}
