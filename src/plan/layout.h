/*
 * How the read model's bytes lie: keys, values, and which entities become which rows. No LMDB here.
 *
 * A key is a kind byte and 16 bytes: an id, or a keyed digest of a text. A value starts with a version byte;
 * numbers are little-endian; a text is a u32 length and bytes, length 0xffffffff meaning absent.
 *
 *   META                –                      tp_read_model_meta
 *   CONSUMER            consumer id            flags, username, custom_id, tags
 *   USERNAME            digest of the name     consumer id
 *   CREDENTIAL          digest(table, key)     credential id, consumer id, expiry, further fields
 *   CREDENTIAL_ID       credential id          digest            (to find the row that a write replaces)
 *   CONSUMER_PLUGINS    consumer id            all enabled plugin rows of that consumer
 *   PLUGIN_CONSUMER     plugin id              consumer id       (the same)
 *   SERVICE ROUTE …     id                     revision, the entity as JSON
 *
 * Decoders take any bytes, answer TP_ERR_DAMAGED for those that we did not write, and never read beyond
 * them; what they return borrows the bytes.
 */
#ifndef TP_PLAN_LAYOUT_H
#define TP_PLAN_LAYOUT_H

#include "base/buf.h"
#include "plan/read_model.h"

#define TP_LAYOUT_VERSION 1
#define TP_LAYOUT_KEY_LEN 17

enum tp_row_kind {
    TP_ROW_META = 0x01,
    TP_ROW_CONSUMER = 'C',
    TP_ROW_CREDENTIAL = 'K',
    TP_ROW_CONSUMER_PLUGINS = 'P',
    TP_ROW_USERNAME = 'U',
    TP_ROW_PLUGIN = 'g', /* those without consumer */
    TP_ROW_CREDENTIAL_ID = 'k',
    TP_ROW_PLUGIN_CONSUMER = 'p',
    TP_ROW_ROUTE = 'r',
    TP_ROW_SERVICE = 's',
};

struct tp_row_key {
    uint8_t bytes[TP_LAYOUT_KEY_LEN];
};
struct tp_row_key tp_layout_key(enum tp_row_kind kind, const uint8_t name[16]);

/* --- Which entities are kept, and as what --------------------------------------------------- */

enum tp_entity_role {
    TP_ROLE_CONSUMER,
    TP_ROLE_CREDENTIAL, /* belongs to a consumer, is found by a text */
    TP_ROLE_PLUGIN,     /* plan row, or consumer-scoped */
    TP_ROLE_PLAN_ROW,
};

struct tp_layout_entity {
    const char *name; /* table name */
    enum tp_entity_role role;
    enum tp_row_kind kind;
    const char *key_field; /* CREDENTIAL: the field that it is found by, and that is not kept */
};

/* NULL: the read model keeps nothing of that entity. */
const struct tp_layout_entity *tp_layout_entity(struct tp_str name);

struct tp_digest tp_layout_credential_digest(const struct tp_hash_key *key, struct tp_str table, struct tp_str text);
struct tp_digest tp_layout_username_digest(const struct tp_hash_key *key, struct tp_str username);

/* --- Values ------------------------------------------------------------------------------------ */

struct tp_consumer_row {
    bool has_plugins; /* there is a CONSUMER_PLUGINS row */
    struct tp_str username, custom_id, tags;
};

struct tp_plan_row {
    uint64_t revision; /* a hash of the content: equal content, equal revision, whatever database it came from */
    struct tp_str json;
};

void tp_layout_encode_meta(struct tp_buf *out, const struct tp_read_model_meta *meta);
enum tp_err tp_layout_decode_meta(struct tp_str bytes, struct tp_read_model_meta *out);

void tp_layout_encode_consumer(struct tp_buf *out, const struct tp_consumer_row *row);
enum tp_err tp_layout_decode_consumer(struct tp_str bytes, struct tp_consumer_row *out);
/* Set the flag in an encoded consumer. */
void tp_layout_consumer_flag(char *encoded, bool has_plugins);

void tp_layout_encode_credential(struct tp_buf *out, const struct tp_credential *row);
enum tp_err tp_layout_decode_credential(struct tp_str bytes, struct tp_credential *out);

/* USERNAME, CREDENTIAL_ID, PLUGIN_CONSUMER: 16 bytes. */
void tp_layout_encode_reference(struct tp_buf *out, const uint8_t target[16]);
enum tp_err tp_layout_decode_reference(struct tp_str bytes, uint8_t target[16]);

/* A CONSUMER_PLUGINS value is a start and records, one behind the other. */
void tp_layout_encode_plugins_start(struct tp_buf *out);
void tp_layout_encode_plugin(struct tp_buf *out, const struct tp_consumer_plugin *row);
/* Checks the start and gives the records. */
enum tp_err tp_layout_decode_plugins(struct tp_str bytes, struct tp_str *records);
/* Takes one record off the front; TP_ERR_NOT_FOUND at the end. */
enum tp_err tp_layout_decode_plugin(struct tp_str *records, struct tp_consumer_plugin *out);

void tp_layout_encode_plan_row(struct tp_buf *out, struct tp_str json);
enum tp_err tp_layout_decode_plan_row(struct tp_str bytes, struct tp_plan_row *out);

/* Decode a value of any kind and drop it: TP_ERR_DAMAGED when the kind's decoder refuses it. */
enum tp_err tp_layout_check(enum tp_row_kind kind, struct tp_str bytes);

/* --- From entity values ------------------------------------------------------------------------- */

/* TP_ERR_INVALID: the entity has no (valid) "id". */
enum tp_err tp_layout_entity_id(const json_t *value, struct tp_uuid *out);
/* Text member, absent when null; `value` lends it. */
struct tp_str tp_layout_text(const json_t *value, const char *name);
/* {"consumer": {"id": …}} → id; nil when null. TP_ERR_INVALID: something else. */
enum tp_err tp_layout_foreign(const json_t *value, const char *name, struct tp_uuid *out);

/* The same as bytes, appended to `out`. */
enum tp_err tp_layout_consumer_from_json(struct tp_buf *out, const json_t *value, bool has_plugins);
/* Expiry: `expires_at`, or `ttl` seconds from now_s. */
enum tp_err tp_layout_credential_from_json(struct tp_buf *out, const struct tp_layout_entity *entity,
                                           const json_t *value, int64_t now_s);
enum tp_err tp_layout_plugin_from_json(struct tp_buf *out, const json_t *value);
enum tp_err tp_layout_plan_row_from_json(struct tp_buf *out, const json_t *value);
bool tp_layout_is_enabled(const json_t *value); /* "enabled" is not false */

#endif
