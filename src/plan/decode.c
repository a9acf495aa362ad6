/*
 * Services, routes and plugin configurations as C structs.
 *
 * The entity tables of src/model say what a client may write; this file says what the gateway reads. They were valid
 * when written, so a mismatch means damage or another version: one message is enough.
 */
#include "plan/decode.h"

#include "model/fields.h"

/* The first member that does not fit ends up in `bad`; later reads give harmless values. */
struct decoder {
    const json_t *value;
    struct tp_arena *arena;
    const char *bad;
};

static const json_t *member(const struct decoder *d, const char *name)
{
    const json_t *m = json_object_get(d->value, name);

    return json_is_null(m) ? NULL : m;
}

static void note_bad(struct decoder *d, const char *name)
{
    if (!d->bad)
        d->bad = name;
}

static struct tp_str copy_text(struct decoder *d, const json_t *text)
{
    return tp_arena_dup(d->arena, tp_str_make(json_string_value(text), json_string_length(text)));
}

/* Absent when null. */
static struct tp_str get_text(struct decoder *d, const char *name)
{
    const json_t *m = member(d, name);

    if (!m)
        return TP_STR_NULL;
    if (json_is_string(m))
        return copy_text(d, m);
    note_bad(d, name);
    return TP_STR_NULL;
}

static struct tp_str get_required_text(struct decoder *d, const char *name)
{
    struct tp_str text = get_text(d, name);

    if (!text.data)
        note_bad(d, name);
    return text;
}

/* A number, whole or not (timestamps of some entities have fractions); TP_INT_NULL when null. */
static int64_t get_int(struct decoder *d, const char *name)
{
    const json_t *m = member(d, name);

    if (!m)
        return TP_INT_NULL;
    if (json_is_integer(m))
        return json_integer_value(m);
    if (json_is_real(m) && json_real_value(m) > -9e15 && json_real_value(m) < 9e15)
        return (int64_t)json_real_value(m);
    note_bad(d, name);
    return TP_INT_NULL;
}

static int64_t get_int_or(struct decoder *d, const char *name, int64_t otherwise)
{
    int64_t v = get_int(d, name);

    return v == TP_INT_NULL ? otherwise : v;
}

static enum tp_tristate get_tristate(struct decoder *d, const char *name)
{
    const json_t *m = member(d, name);

    if (!m)
        return TP_UNSET;
    if (!json_is_boolean(m))
        note_bad(d, name);
    return json_is_true(m) ? TP_TRUE : TP_FALSE;
}

static bool get_bool(struct decoder *d, const char *name, bool otherwise)
{
    enum tp_tristate v = get_tristate(d, name);

    return v == TP_UNSET ? otherwise : v == TP_TRUE;
}

static struct tp_uuid parse_id(struct decoder *d, const char *name, const json_t *text)
{
    struct tp_uuid id = { { 0 } };

    if (!json_is_string(text) || !tp_uuid_parse(tp_str_make(json_string_value(text), json_string_length(text)), &id))
        note_bad(d, name);
    return id;
}

/* Nil when null. */
static struct tp_uuid get_foreign(struct decoder *d, const char *name)
{
    const json_t *m = member(d, name);

    return m ? parse_id(d, name, json_object_get(m, "id")) : (struct tp_uuid){ { 0 } };
}

static struct tp_list text_list(struct decoder *d, const char *name, const json_t *array)
{
    size_t count = json_array_size(array);
    struct tp_str *items;

    if (array && !json_is_array(array))
        note_bad(d, name);
    if (count == 0)
        return (struct tp_list){ NULL, 0 };
    items = tp_arena_new_array(d->arena, struct tp_str, count);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(array, i);

        if (json_is_string(item))
            items[i] = copy_text(d, item);
        else
            note_bad(d, name);
    }
    return (struct tp_list){ items, count };
}

static struct tp_list get_texts(struct decoder *d, const char *name)
{
    return text_list(d, name, member(d, name));
}

static struct tp_list get_headers(struct decoder *d, const char *name)
{
    const json_t *m = member(d, name);
    struct tp_route_header *items;
    const char *header;
    json_t *values;
    size_t i = 0;

    if (m && !json_is_object(m))
        note_bad(d, name);
    if (json_object_size(m) == 0)
        return (struct tp_list){ NULL, 0 };
    items = tp_arena_new_array(d->arena, struct tp_route_header, json_object_size(m));
    json_object_foreach((json_t *)m, header, values) {
        items[i].name = tp_arena_dup(d->arena, tp_str_from_cstr(header));
        items[i++].values = text_list(d, name, values);
    }
    return (struct tp_list){ items, i };
}

static struct tp_list get_addresses(struct decoder *d, const char *name)
{
    const json_t *m = member(d, name);
    size_t count = json_array_size(m);
    struct tp_route_ip *items;

    if (m && !json_is_array(m))
        note_bad(d, name);
    if (count == 0)
        return (struct tp_list){ NULL, 0 };
    items = tp_arena_new_array(d->arena, struct tp_route_ip, count);
    for (size_t i = 0; i < count; i++) {
        struct decoder item = { json_array_get(m, i), d->arena, NULL };

        items[i].ip = get_text(&item, "ip");
        items[i].port = get_int(&item, "port");
        if (item.bad || !json_is_object(item.value))
            note_bad(d, name);
    }
    return (struct tp_list){ items, count };
}

static enum tp_err finish(const struct decoder *d, struct tp_diag *diag)
{
    if (!d->bad)
        return TP_OK;
    tp_diag_add(diag, d->bad, "is not what this version can read");
    return TP_ERR_INVALID;
}

enum tp_err tp_decode_service(const json_t *value, struct tp_arena *arena, struct tp_service *out, struct tp_diag *diag)
{
    struct decoder d = { value, arena, NULL };

    *out = (struct tp_service){
        .id = parse_id(&d, "id", json_object_get(value, "id")),
        .id_text = get_required_text(&d, "id"),
        .name = get_text(&d, "name"),
        .enabled = get_bool(&d, "enabled", true),
        .protocol = get_required_text(&d, "protocol"),
        .host = get_required_text(&d, "host"),
        .port = get_int_or(&d, "port", 80),
        .path = get_text(&d, "path"),
        .retries = get_int(&d, "retries"),
        .connect_timeout = get_int_or(&d, "connect_timeout", 60000),
        .write_timeout = get_int_or(&d, "write_timeout", 60000),
        .read_timeout = get_int_or(&d, "read_timeout", 60000),
        .tls_verify = get_tristate(&d, "tls_verify"),
        .tls_verify_depth = get_int(&d, "tls_verify_depth"),
        .ca_certificates = get_texts(&d, "ca_certificates"),
        .client_certificate = get_foreign(&d, "client_certificate"),
    };
    if (out->port < 0 || out->port > 65535)
        note_bad(&d, "port");
    return finish(&d, diag);
}

enum tp_err tp_decode_route(const json_t *value, struct tp_arena *arena, struct tp_route *out, struct tp_diag *diag)
{
    struct decoder d = { value, arena, NULL };

    *out = (struct tp_route){
        .id = parse_id(&d, "id", json_object_get(value, "id")),
        .id_text = get_required_text(&d, "id"),
        .name = get_text(&d, "name"),
        .protocols = get_texts(&d, "protocols"),
        .methods = get_texts(&d, "methods"),
        .hosts = get_texts(&d, "hosts"),
        .paths = get_texts(&d, "paths"),
        .snis = get_texts(&d, "snis"),
        .headers = get_headers(&d, "headers"),
        .sources = get_addresses(&d, "sources"),
        .destinations = get_addresses(&d, "destinations"),
        .https_redirect_status_code = get_int_or(&d, "https_redirect_status_code", 426),
        .regex_priority = get_int_or(&d, "regex_priority", 0),
        .strip_path = get_bool(&d, "strip_path", true),
        .path_handling_v1 = tp_str_eq(get_text(&d, "path_handling"), TP_STR("v1")),
        .preserve_host = get_bool(&d, "preserve_host", false),
        .request_buffering = get_bool(&d, "request_buffering", true),
        .response_buffering = get_bool(&d, "response_buffering", true),
        .created_at = get_int_or(&d, "created_at", 0),
        .service_id = get_foreign(&d, "service"),
    };
    return finish(&d, diag);
}

enum tp_err tp_decode_ordering(const json_t *value, struct tp_arena *arena, struct tp_ordering *out,
                               struct tp_diag *diag)
{
    struct decoder d = { value, arena, NULL };

    *out = (struct tp_ordering){
        .before_access = text_list(&d, "ordering.before.access", json_object_get(member(&d, "before"), "access")),
        .after_access = text_list(&d, "ordering.after.access", json_object_get(member(&d, "after"), "access")),
    };
    return finish(&d, diag);
}

enum tp_err tp_decode_config(const struct tp_plugin *plugin, const json_t *config, struct tp_arena *arena,
                             const void **out, struct tp_diag *diag)
{
    void *conf = tp_arena_calloc(arena, 1, plugin->conf_size);
    enum tp_err err = TP_OK;

    if (plugin->fields)
        err = tp_fields_decode(plugin->fields, config, conf, arena, diag);
    if (!err && plugin->on_configure)
        err = plugin->on_configure(conf, arena, diag);
    if (!err)
        *out = conf;
    return err;
}
