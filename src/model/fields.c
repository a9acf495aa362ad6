/*
 * Decoding JSON into the C structs of plugins and of the plan; see fields.h. The JSON is what prepare made, but it has
 * been on disk: every type is looked at again.
 */
#include "model/fields.h"

#include "model/json.h"
#include "model/shape.h"
#include "model/validate.h"

#include <math.h>

#define VALUE_OFFSET sizeof(struct tp_str) /* in a map's pairs */

struct decoder {
    struct tp_arena *arena;
    struct tp_diag *diag;
};

static enum tp_err decode_fields(struct decoder *d, const struct tp_field *fields, const json_t *object, char *out);
static enum tp_err decode_value(struct decoder *d, const struct tp_field *f, const json_t *value, char *at);

static enum tp_err unfit(struct decoder *d, const struct tp_field *f, const char *expected)
{
    tp_diag_add(d->diag, f->name ? f->name : "element", "stored value is not %s", expected);
    return TP_ERR_INVALID;
}

static enum tp_err decode_string(struct decoder *d, const struct tp_field *f, const json_t *value, char *at)
{
    struct tp_str *out = (struct tp_str *)at;

    if (!json_is_string(value))
        return unfit(d, f, "a text");
    *out = tp_arena_dup(d->arena, tp_json_str(value));
    return TP_OK;
}

static enum tp_err decode_any(struct decoder *d, const json_t *value, char *at)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

    *(struct tp_str *)at = tp_arena_dup(d->arena, tp_str_from_cstr(text));
    free(text);
    return TP_OK;
}

static enum tp_err decode_number(struct decoder *d, const struct tp_field *f, const json_t *value, char *at)
{
    switch (f->type) {
    case TP_TYPE_INTEGER: return tp_json_to_int(value, (int64_t *)at) ? TP_OK : unfit(d, f, "an integer");
    case TP_TYPE_SIZE: return tp_json_to_size(value, (int64_t *)at) ? TP_OK : unfit(d, f, "a number of bytes");
    default:
        if (!json_is_number(value))
            return unfit(d, f, "a number");
        *(double *)at = json_number_value(value);
        return TP_OK;
    }
}

static enum tp_err decode_boolean(struct decoder *d, const struct tp_field *f, const json_t *value, char *at)
{
    if (!json_is_boolean(value))
        return unfit(d, f, "a boolean");
    if (f->tristate)
        *(enum tp_tristate *)at = json_is_true(value) ? TP_TRUE : TP_FALSE;
    else
        *(bool *)at = json_is_true(value);
    return TP_OK;
}

/* Bytes of one decoded value. */
static size_t value_size(const struct tp_field *f)
{
    switch (f->type) {
    case TP_TYPE_INTEGER:
    case TP_TYPE_SIZE: return sizeof(int64_t);
    case TP_TYPE_NUMBER: return sizeof(double);
    case TP_TYPE_BOOLEAN: return f->tristate ? sizeof(enum tp_tristate) : sizeof(bool);
    case TP_TYPE_ARRAY:
    case TP_TYPE_SET:
    case TP_TYPE_MAP: return sizeof(struct tp_list);
    case TP_TYPE_RECORD: return f->size;
    case TP_TYPE_FOREIGN: return sizeof(struct tp_uuid);
    default: return sizeof(struct tp_str);
    }
}

static enum tp_err decode_list(struct decoder *d, const struct tp_field *f, const json_t *value, char *at)
{
    struct tp_list *out = (struct tp_list *)at;
    size_t size = value_size(f->element), count = json_array_size(value);
    enum tp_err err = TP_OK;
    char *items;

    if (!json_is_array(value))
        return unfit(d, f, "a list");
    items = tp_arena_calloc(d->arena, count, size);
    for (size_t i = 0; i < count && !err; i++)
        err = decode_value(d, f->element, json_array_get(value, i), items + i * size);
    *out = (struct tp_list){ items, count };
    return err;
}

static enum tp_err decode_map(struct decoder *d, const struct tp_field *f, const json_t *value, char *at)
{
    struct tp_list *out = (struct tp_list *)at;
    size_t size = VALUE_OFFSET + (value_size(f->element) + 7) / 8 * 8;
    enum tp_err err = TP_OK;
    char *pair;
    const char *name;
    json_t *entry;

    if (!json_is_object(value))
        return unfit(d, f, "a map");
    pair = tp_arena_calloc(d->arena, json_object_size(value), size);
    *out = (struct tp_list){ pair, json_object_size(value) };
    json_object_foreach((json_t *)value, name, entry) {
        *(struct tp_str *)pair = tp_arena_dup(d->arena, tp_str_from_cstr(name));
        err = decode_value(d, f->element, entry, pair + VALUE_OFFSET);
        if (err)
            return err;
        pair += size;
    }
    return TP_OK;
}

static enum tp_err decode_foreign(struct decoder *d, const struct tp_field *f, const json_t *value, char *at)
{
    if (!tp_uuid_parse(tp_json_str(json_object_get(value, "id")), (struct tp_uuid *)at))
        return unfit(d, f, "a reference by id");
    return TP_OK;
}

static void decode_null(struct decoder *d, const struct tp_field *f, char *at)
{
    switch (f->type) {
    case TP_TYPE_INTEGER:
    case TP_TYPE_SIZE: *(int64_t *)at = TP_INT_NULL; break;
    case TP_TYPE_NUMBER: *(double *)at = NAN; break;
    case TP_TYPE_BOOLEAN:
        if (f->tristate)
            *(enum tp_tristate *)at = TP_UNSET;
        else
            *(bool *)at = false;
        break;
    case TP_TYPE_RECORD:
        for (const struct tp_field *m = f->fields; m && m->name; m++) {
            if (m->decoded)
                decode_null(d, m, at + m->offset);
        }
        break;
    default: memset(at, 0, value_size(f)); break;
    }
}

static enum tp_err decode_value(struct decoder *d, const struct tp_field *f, const json_t *value, char *at)
{
    if (tp_json_is_null(value)) {
        decode_null(d, f, at);
        return TP_OK;
    }
    switch (f->type) {
    case TP_TYPE_STRING: return decode_string(d, f, value, at);
    case TP_TYPE_BOOLEAN: return decode_boolean(d, f, value, at);
    case TP_TYPE_ARRAY:
    case TP_TYPE_SET: return decode_list(d, f, value, at);
    case TP_TYPE_MAP: return decode_map(d, f, value, at);
    case TP_TYPE_RECORD:
        return json_is_object(value) ? decode_fields(d, f->fields, value, at) : unfit(d, f, "an object");
    case TP_TYPE_FOREIGN: return decode_foreign(d, f, value, at);
    case TP_TYPE_ANY: return decode_any(d, value, at);
    default: return decode_number(d, f, value, at);
    }
}

/* A field that the stored row does not know yet has its default. */
static enum tp_err decode_absent(struct decoder *d, const struct tp_field *f, char *at)
{
    json_t *value = tp_shape_default(f);
    enum tp_err err = decode_value(d, f, value, at);

    json_decref(value);
    return err;
}

static enum tp_err decode_fields(struct decoder *d, const struct tp_field *fields, const json_t *object, char *out)
{
    enum tp_err result = TP_OK, err;

    for (const struct tp_field *f = fields; f && f->name; f++) {
        json_t *value = json_object_get(object, f->name);

        if (!f->decoded)
            continue;
        err = value ? decode_value(d, f, value, out + f->offset) : decode_absent(d, f, out + f->offset);
        if (err)
            result = err;
    }
    return result;
}

enum tp_err tp_fields_decode(const struct tp_field *fields, const json_t *value, void *out, struct tp_arena *arena,
                             struct tp_diag *diag)
{
    struct decoder d = { arena, diag };

    if (!json_is_object(value)) {
        tp_diag_add(diag, NULL, "stored value is not an object");
        return TP_ERR_INVALID;
    }
    return decode_fields(&d, fields, value, out);
}

json_t *tp_fields_defaults(const struct tp_field *fields)
{
    json_t *out = json_object();

    tp_shape_fill(fields, out);
    return out;
}

static void mask(const struct tp_field *fields, json_t *object)
{
    for (const struct tp_field *f = fields; f && f->name; f++) {
        json_t *value = json_object_get(object, f->name);

        if (f->secret && !tp_json_is_null(value))
            json_object_set_new(object, f->name, json_string("******"));
        else if (f->type == TP_TYPE_RECORD && json_is_object(value))
            mask(f->fields, value);
    }
}

json_t *tp_fields_masked(const struct tp_field *fields, const json_t *value)
{
    json_t *out = json_deep_copy(value);

    mask(fields, out);
    return out;
}
