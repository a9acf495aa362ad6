/* Coded error bodies: errors.h. */
#include "control/admin/errors.h"

#include "base/log.h"
#include "base/mem.h"
#include "control/admin/reply.h"

/* Kong's codes: 5 is a broken uniqueness, 6 a row that is not there; all others are bad requests. */
static int status_of(int code)
{
    switch (code) {
    case 5: return 409;
    case 6: return 404;
    default: return 400;
    }
}

/* {code, name, message} and `detail` (taken, may be NULL) under `detail_key`. Always false. */
static bool coded(struct tp_admin_call *call, int code, const char *name, struct tp_str message, const char *detail_key,
                  json_t *detail)
{
    json_t *body = json_pack("{s:i,s:o,s:o}", "code", code, "name", tp_admin_json_text(tp_str_from_cstr(name)),
                             "message", tp_admin_json_text(message));

    if (detail)
        json_object_set_new(body, detail_key, detail);
    tp_admin_reply_json(call, status_of(code), body);
    return false;
}

/* Kong's notation of `value`, in the arena. */
static const char *literal(struct tp_admin_call *call, const json_t *value)
{
    char *text = tp_lua_literal(value);
    struct tp_str copy = tp_arena_dup(call->arena, tp_str_from_cstr(text));

    free(text);
    return copy.data;
}

bool tp_admin_fail_primary_key(struct tp_admin_call *call)
{
    json_t *fields = json_pack("{s:s}", "id", "expected a valid UUID");
    struct tp_str message = tp_arena_printf(call->arena, "invalid primary key: '%s'", literal(call, fields));

    return coded(call, 1, "invalid primary key", message, "fields", fields);
}

bool tp_admin_fail_schema(struct tp_admin_call *call, json_t *errors)
{
    char *text = tp_errors_message(errors);
    bool result = coded(call, 2, "schema violation", tp_str_from_cstr(text), "fields", errors);

    free(text);
    return result;
}

bool tp_admin_fail_missing(struct tp_admin_call *call, const char *field, struct tp_str value)
{
    json_t *fields = json_pack("{s:o}", field ? field : "id", tp_admin_json_text(value));
    struct tp_str message = tp_arena_printf(call->arena, "could not find the entity with %s'%s'",
                                            field ? "" : "primary key ", literal(call, fields));

    return coded(call, 6, "not found", message, "fields", fields);
}

bool tp_admin_fail_offset(struct tp_admin_call *call, struct tp_str offset, const char *why)
{
    struct tp_str message = tp_arena_printf(call->arena, "'%.*s' is not a valid offset: %s", TP_STR_ARG(offset), why);

    return coded(call, 7, "invalid offset", message, NULL, NULL);
}

bool tp_admin_fail_size(struct tp_admin_call *call, const char *message)
{
    return coded(call, 9, "invalid size", tp_str_from_cstr(message), NULL, NULL);
}

bool tp_admin_fail_unique_key(struct tp_admin_call *call, const char *field, const char *message)
{
    struct tp_str name = tp_arena_printf(call->arena, "invalid unique %s", field);

    return coded(call, 10, name.data, tp_str_from_cstr(message), NULL, NULL);
}

/*
 * "<one> (a: x)" or "<n> <many> (a: x; b: y)" in the arena: the list of tp_errors_message under another heading.
 */
static struct tp_str headed(struct tp_admin_call *call, const json_t *errors, const char *one, const char *many)
{
    char *text = tp_errors_message(errors); /* "schema violation (…)", "2 schema violations (…)" */
    const char *list = strchr(text, '(');
    long count = strtol(text, NULL, 10); /* 0: the text starts with a word */
    struct tp_str message = count > 1 ? tp_arena_printf(call->arena, "%ld %s %s", count, many, list ? list : "")
                                      : tp_arena_printf(call->arena, "%s %s", one, list ? list : "");

    free(text);
    return message;
}

bool tp_admin_fail_options(struct tp_admin_call *call, json_t *options)
{
    struct tp_str message = headed(call, options, "invalid option", "option violations");

    return coded(call, 11, "invalid options", message, "options", options);
}

bool tp_admin_fail_option(struct tp_admin_call *call, const char *option, const char *message)
{
    return tp_admin_fail_options(call, json_pack("{s:s}", option, message));
}

bool tp_admin_fail_unresolved(struct tp_admin_call *call, json_t *errors)
{
    struct tp_str message = headed(call, errors, "foreign key unresolved", "foreign keys unresolved");

    return coded(call, 13, "foreign keys unresolved", message, "fields", errors);
}

static bool fail_exists(struct tp_admin_call *call, const struct tp_store_fault *fault)
{
    const char *key = literal(call, fault->fields);
    json_t *fields = json_incref(fault->fields);

    if (fault->primary_key)
        return coded(call, 3, "primary key violation",
                     tp_arena_printf(call->arena, "primary key violation on key '%s'", key), "fields", fields);
    return coded(call, 5, "unique constraint violation",
                 tp_arena_printf(call->arena, "UNIQUE violation detected on '%s'", key), "fields", fields);
}

static bool fail_reference(struct tp_admin_call *call, const struct tp_entity *entity,
                           const struct tp_store_fault *fault)
{
    static const char name[] = "foreign key violation";
    json_t *fields = fault->fields;
    json_t *key = json_object_iter_value(json_object_iter(fields));

    if (fault->referenced_by)
        return coded(call, 4, name,
                     tp_arena_printf(call->arena, "an existing '%s' entity references this '%s' entity", fault->entity,
                                     entity->name),
                     "fields", json_pack("{s:s}", "@referenced_by", fault->entity));
    return coded(call, 4, name,
                 tp_arena_printf(call->arena, "the foreign key '%s' does not reference an existing '%s' entity.",
                                 literal(call, key), fault->entity),
                 "fields", json_incref(fields));
}

static bool fail_unavailable(struct tp_admin_call *call)
{
    tp_admin_reply_message(
        call, 503,
        "The database cannot be reached; nothing was changed. Traffic is still served from this node's read model");
    tp_admin_reply_header(call, "Retry-After", TP_STR("5"));
    return false;
}

bool tp_admin_fail_store(struct tp_admin_call *call, const struct tp_entity *entity, enum tp_err err,
                         const struct tp_store_fault *fault)
{
    const char *detail = fault && fault->message[0] ? fault->message : tp_err_text(err);

    switch (err) {
    case TP_ERR_EXISTS:
        if (fault && fault->fields)
            return fail_exists(call, fault);
        break;
    case TP_ERR_REFERENCE:
        if (fault && fault->entity && (fault->referenced_by || fault->fields))
            return fail_reference(call, entity, fault);
        break;
    case TP_ERR_UNAVAILABLE:
    case TP_ERR_CLOSED: call->store_lost = true; return fail_unavailable(call);
    case TP_ERR_TIMEOUT:
    case TP_ERR_AGAIN:
        tp_admin_reply_message(call, 503, "The database is busy; nothing was changed");
        tp_admin_reply_header(call, "Retry-After", TP_STR("1"));
        return false;
    case TP_ERR_FULL:
        tp_log(TP_LOG_ERROR, "admin: %s: the database is full: %s", entity ? entity->name : "store", detail);
        tp_admin_reply_message(call, 507, "The database's disk is full; nothing was changed");
        return false;
    default: break;
    }
    tp_log(TP_LOG_ERROR, "admin: %s: %s", entity ? entity->name : "store", detail);
    tp_admin_unexpected(call);
    return false;
}

bool tp_admin_fail_commit(struct tp_admin_call *call, enum tp_err err)
{
    if (err != TP_ERR_UNAVAILABLE && err != TP_ERR_CLOSED)
        return tp_admin_fail_store(call, NULL, err, NULL);
    call->store_lost = true;
    tp_log(TP_LOG_ERROR, "admin: the database was lost during a commit, which may have been made");
    tp_admin_reply_message(call, 503,
                           "The database was lost during the commit: the change may or may not have been made. Look "
                           "before you repeat it");
    tp_admin_reply_header(call, "Retry-After", TP_STR("5"));
    return false;
}
