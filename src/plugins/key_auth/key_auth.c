/*
 * key-auth: the caller is whoever owns the API key that the request carries in a header, a query argument, a body
 * field or a named capture of the route's path.
 *
 * The search is by name first, by place second; the first text found decides. What is to be hidden is hidden
 * before the key is looked up, so that a wrong key does not reach the upstream either.
 */
#include "turnpike/body.h"
#include "turnpike/plugin.h"

#include <stdlib.h>

#define MAX_BODY_BYTES (1024 * 1024) /* longer bodies are not searched */

struct key_auth_conf {
    struct tp_list key_names; /* of struct tp_str */
    bool hide_credentials;
    struct tp_str anonymous;
    bool key_in_header;
    bool key_in_query;
    bool key_in_body;
    bool run_on_preflight;
    struct tp_str realm;
    struct tp_str key_in_path;

    struct tp_str challenge; /* the WWW-Authenticate of a refusal */
};

static const struct tp_field key_name = {
    .type = TP_TYPE_STRING,
    .about = "The name of a header, a query argument or a body field.",
    .check = tp_check_header_name,
};

static const struct tp_field fields[] = {
    TP_FIELD(struct key_auth_conf, key_names, ARRAY, .required = true, .def = "[\"apikey\"]", .element = &key_name,
             .about = "Names under which the key is looked for, in this order, in every place that is enabled."),
    TP_FIELD(struct key_auth_conf, hide_credentials, BOOLEAN, .required = true, .def = "false",
             .about = "Take the key out of the request before it goes upstream."),
    TP_FIELD(struct key_auth_conf, anonymous, STRING,
             .about = "Id or username of the consumer that stands in when authentication fails; unset: answer 401."),
    TP_FIELD(struct key_auth_conf, key_in_header, BOOLEAN, .required = true, .def = "true",
             .about = "Look for the key in the request's headers."),
    TP_FIELD(struct key_auth_conf, key_in_query, BOOLEAN, .required = true, .def = "true",
             .about = "Look for the key among the query's arguments."),
    TP_FIELD(struct key_auth_conf, key_in_body, BOOLEAN, .required = true, .def = "false",
             .about = "Look for the key in the body: form, JSON object or multipart."),
    TP_FIELD(struct key_auth_conf, run_on_preflight, BOOLEAN, .required = true, .def = "true",
             .about = "Ask for a key on OPTIONS requests too."),
    TP_FIELD(struct key_auth_conf, realm, STRING, .optional = true,
             .about = "The realm named in the WWW-Authenticate header of a refusal."),
    TP_FIELD(struct key_auth_conf, key_in_path, STRING, .extension = true,
             .about = "Name of a capture of the route's regex path that holds the key. It is looked at before the "
                      "names, and kept out of logs."),
    { 0 },
};

/* What one place holds under one name. */
enum found { ABSENT, FOUND, DUPLICATE };

/* A request's body, parsed once. */
struct body {
    enum tp_body_kind kind;
    struct tp_str content_type;
    const struct tp_arg *args;   /* form */
    const struct tp_part *parts; /* multipart */
    size_t count;
    json_t *json; /* an object */
};

static enum found find_in_headers(struct tp_request *req, struct tp_str name, struct tp_str *key)
{
    size_t count = tp_request_header_count(req, name);

    if (count > 1)
        return DUPLICATE;
    return count == 1 && tp_request_header(req, name, key) ? FOUND : ABSENT;
}

/* An argument without '=' is no text, so it is passed over; a name that repeats is a list in any case. */
static enum found find_in_args(const struct tp_arg *args, size_t count, struct tp_str name, struct tp_str *key)
{
    const struct tp_arg *match = NULL;

    for (size_t i = 0; i < count; i++) {
        if (!tp_str_eq(args[i].name, name))
            continue;
        if (match)
            return DUPLICATE;
        match = &args[i];
    }
    if (!match || !match->has_value)
        return ABSENT;
    *key = match->value;
    return FOUND;
}

static enum found find_in_query(struct tp_request *req, struct tp_str name, struct tp_str *key)
{
    const struct tp_arg *args;
    size_t count = tp_request_query_args(req, &args);

    return find_in_args(args, count, name, key);
}

static enum found find_in_parts(const struct body *body, struct tp_str name, struct tp_str *key)
{
    enum found found = ABSENT;

    for (size_t i = 0; i < body->count; i++) {
        if (!body->parts[i].name.data || !tp_str_eq(body->parts[i].name, name))
            continue;
        if (found != ABSENT)
            return DUPLICATE;
        found = FOUND;
        *key = body->parts[i].value;
    }
    return found;
}

static enum found find_in_json(struct tp_request *req, const json_t *object, struct tp_str name, struct tp_str *key)
{
    const json_t *value = json_object_get(object, tp_arena_dup(tp_request_arena(req), name).data);

    if (json_is_array(value) || json_is_object(value))
        return DUPLICATE;
    if (!json_is_string(value))
        return ABSENT;
    *key = tp_str_make(json_string_value(value), json_string_length(value));
    return FOUND;
}

static enum found find_in_body(struct tp_request *req, const struct body *body, struct tp_str name, struct tp_str *key)
{
    switch (body->kind) {
    case TP_BODY_FORM: return find_in_args(body->args, body->count, name, key);
    case TP_BODY_MULTIPART: return find_in_parts(body, name, key);
    case TP_BODY_JSON: return find_in_json(req, body->json, name, key);
    case TP_BODY_OTHER: break;
    }
    return ABSENT;
}

/* A body that cannot be read has no fields. */
static void parse_body(struct tp_request *req, struct body *body)
{
    struct tp_arena *arena = tp_request_arena(req);
    struct tp_str text;
    enum tp_body_kind kind;

    memset(body, 0, sizeof(*body));
    if (!tp_request_body(req, &text) || !tp_request_header(req, TP_STR("content-type"), &body->content_type))
        return;
    kind = tp_body_kind_of(body->content_type);
    if (kind == TP_BODY_FORM)
        body->count = tp_form_parse(arena, text, &body->args);
    if (kind == TP_BODY_JSON)
        body->json = tp_json_parse(arena, text);
    if ((kind == TP_BODY_JSON && !json_is_object(body->json)) ||
        (kind == TP_BODY_MULTIPART &&
         tp_multipart_parse(arena, body->content_type, text, &body->parts, &body->count))) {
        tp_request_log(req, TP_LOG_INFO, "key-auth: the body is not what its Content-Type says: not searched");
        return;
    }
    body->kind = kind;
}

static struct tp_str form_without(struct tp_request *req, const struct body *body, struct tp_str name)
{
    struct tp_arena *arena = tp_request_arena(req);
    struct tp_arg *kept = tp_arena_new_array(arena, struct tp_arg, body->count + 1);
    size_t count = 0;

    for (size_t i = 0; i < body->count; i++)
        if (!tp_str_eq(body->args[i].name, name))
            kept[count++] = body->args[i];
    tp_args_sort(arena, kept, count);
    return tp_form_write(arena, kept, count);
}

static int by_part_name(const void *a, const void *b)
{
    return tp_str_cmp(((const struct tp_part *)a)->name, ((const struct tp_part *)b)->name);
}

static struct tp_str multipart_without(struct tp_request *req, const struct body *body, struct tp_str name)
{
    struct tp_arena *arena = tp_request_arena(req);
    struct tp_part *kept = tp_arena_new_array(arena, struct tp_part, body->count + 1);
    size_t count = 0;

    for (size_t i = 0; i < body->count; i++)
        if (!body->parts[i].name.data || !tp_str_eq(body->parts[i].name, name))
            kept[count++] = body->parts[i];
    qsort(kept, count, sizeof(*kept), by_part_name);
    return tp_multipart_write(arena, body->content_type, kept, count);
}

/* Take `name` out of every place that may hold the key, wherever it was found. */
static void hide(struct tp_request *req, const struct body *body, struct tp_str name)
{
    tp_request_remove_query_arg(req, name);
    tp_request_clear_header(req, name);
    switch (body->kind) {
    case TP_BODY_FORM: tp_request_set_body(req, form_without(req, body, name)); break;
    case TP_BODY_MULTIPART: tp_request_set_body(req, multipart_without(req, body, name)); break;
    case TP_BODY_JSON:
        json_object_del(body->json, tp_arena_dup(tp_request_arena(req), name).data);
        tp_request_set_body(req, tp_json_write(tp_request_arena(req), body->json));
        break;
    case TP_BODY_OTHER: break;
    }
}

static enum found find_under(struct tp_request *req, const struct key_auth_conf *conf, const struct body *body,
                             struct tp_str name, struct tp_str *key)
{
    enum found found = conf->key_in_header ? find_in_headers(req, name, key) : ABSENT;

    if (found == ABSENT && conf->key_in_query)
        found = find_in_query(req, name, key);
    if (found == ABSENT && conf->key_in_body)
        found = find_in_body(req, body, name, key);
    return found;
}

static bool find_in_path(struct tp_request *req, const struct key_auth_conf *conf, struct tp_str *key)
{
    if (!conf->key_in_path.data || !tp_request_capture(req, conf->key_in_path, key) || key->len == 0)
        return false;
    tp_request_protect_capture(req, conf->key_in_path, conf->hide_credentials);
    return true;
}

static enum tp_verdict refuse(struct tp_request *req, const struct key_auth_conf *conf, const char *message)
{
    const struct tp_consumer *consumer;

    if (!conf->anonymous.data) {
        tp_response_set_header(req, TP_STR("WWW-Authenticate"), conf->challenge);
        return tp_respond(req, 401, message);
    }
    if (tp_find_consumer_named(req, conf->anonymous, &consumer) != TP_OK) {
        tp_request_log(req, TP_LOG_ERROR, "key-auth: there is no consumer \"%.*s\" to stand in as anonymous",
                       TP_STR_ARG(conf->anonymous));
        return TP_FAIL;
    }
    tp_authenticate_anonymous(req, consumer);
    return TP_NEXT;
}

static enum tp_verdict accept_key(struct tp_request *req, const struct key_auth_conf *conf, struct tp_str key)
{
    const struct tp_credential *credential;
    const struct tp_consumer *consumer;
    char id[TP_UUID_TEXT_LEN + 1];
    enum tp_err err;

    if (key.len == 0)
        return refuse(req, conf, "No API key found in request");
    err = tp_find_caller(req, "keyauth_credentials", key, &credential, &consumer);
    if (err == TP_ERR_NOT_FOUND)
        return refuse(req, conf, "Unauthorized");
    if (err) {
        tp_request_log(req, TP_LOG_ERROR, "key-auth: cannot look up the key: %s", tp_err_text(err));
        return TP_FAIL;
    }
    tp_uuid_format(&credential->id, id);
    tp_authenticate(req, consumer, credential, tp_str_from_cstr(id));
    return TP_NEXT;
}

static enum tp_verdict authenticate(struct tp_request *req, const struct key_auth_conf *conf, const struct body *body)
{
    for (size_t i = 0; i < conf->key_names.count; i++) {
        struct tp_str name = *TP_LIST_AT(conf->key_names, struct tp_str, i);
        struct tp_str key = TP_STR_NULL;
        enum found found = find_under(req, conf, body, name, &key);

        if (found == DUPLICATE)
            return refuse(req, conf, "Duplicate API key found");
        if (found == ABSENT)
            continue;
        if (conf->hide_credentials) {
            key = tp_arena_dup(tp_request_arena(req), key); /* hiding changes what it points into */
            hide(req, body, name);
        }
        return accept_key(req, conf, key);
    }
    return refuse(req, conf, "No API key found in request");
}

static enum tp_verdict on_body_read(struct tp_request *req, const void *conf, void *state)
{
    struct body body;

    (void)state;
    parse_body(req, &body);
    return authenticate(req, conf, &body);
}

static bool has_searchable_body(const struct tp_request *req)
{
    struct tp_str type;

    return tp_request_content_length(req) != 0 && tp_request_header(req, TP_STR("content-type"), &type) &&
           tp_body_kind_of(type) != TP_BODY_OTHER;
}

/* Also where the key is not looked for: whoever sends it there by mistake should not find it in our logs. */
static void on_match(struct tp_request *req, const void *data)
{
    const struct key_auth_conf *conf = data;

    if (conf->key_in_path.data)
        tp_request_protect_capture(req, conf->key_in_path, false);
    for (size_t i = 0; i < conf->key_names.count; i++)
        tp_request_protect_query_arg(req, *TP_LIST_AT(conf->key_names, struct tp_str, i));
}

static enum tp_verdict on_access(struct tp_request *req, const void *data)
{
    const struct key_auth_conf *conf = data;
    struct body no_body = { .kind = TP_BODY_OTHER };
    struct tp_str key;

    if (!conf->run_on_preflight && tp_str_eq(tp_request_method(req), TP_STR("OPTIONS")))
        return TP_NEXT;
    if (conf->anonymous.data && tp_request_credential(req))
        return TP_NEXT;
    if (find_in_path(req, conf, &key))
        return accept_key(req, conf, key);
    if (conf->key_in_body && has_searchable_body(req))
        return tp_request_read_body(req, MAX_BODY_BYTES, on_body_read, NULL);
    return authenticate(req, conf, &no_body);
}

static enum tp_err on_configure(void *data, struct tp_arena *arena, struct tp_diag *diag)
{
    struct key_auth_conf *conf = data;

    (void)diag;
    conf->challenge = conf->realm.data ? tp_arena_printf(arena, "Key realm=\"%.*s\"", TP_STR_ARG(conf->realm))
                                       : TP_STR("Key");
    return TP_OK;
}

const struct tp_plugin tp_plugin_key_auth = {
    .name = "key-auth",
    .priority = 1250,
    .conf_size = sizeof(struct key_auth_conf),
    .fields = fields,
    .no_consumer = true,
    .on_configure = on_configure,
    .on_match = on_match,
    .on_access = on_access,
};
