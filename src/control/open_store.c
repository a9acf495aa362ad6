/* Which database: open_store.h. */
#include "control/open_store.h"

#include "base/mem.h"

#include <stdio.h>

static const char *text(const json_t *settings, const char *prefix, const char *name)
{
    char full[64];

    snprintf(full, sizeof(full), "%s%s", prefix, name);
    return json_string_value(json_object_get(settings, full));
}

static const json_t *member(const json_t *settings, const char *prefix, const char *name)
{
    char full[64];

    snprintf(full, sizeof(full), "%s%s", prefix, name);
    return json_object_get(settings, full);
}

/* "system", or a list: the system's. */
static const char *ca_file(const json_t *settings)
{
    const json_t *setting = json_object_get(settings, "lua_ssl_trusted_certificate");
    const char *path = json_string_value(json_is_array(setting) ? json_array_get(setting, 0) : setting);

    return path && path[0] == '/' && json_array_size(setting) < 2 ? path : NULL;
}

static void apply(struct tp_postgres_options *o, const char *prefix, const json_t *settings, const json_t *secrets)
{
    const json_t *port = member(settings, prefix, "port"), *timeout = member(settings, prefix, "timeout");

    if (text(settings, prefix, "host"))
        o->host = text(settings, prefix, "host");
    if (text(settings, prefix, "database"))
        o->database = text(settings, prefix, "database");
    if (text(settings, prefix, "user"))
        o->user = text(settings, prefix, "user");
    if (text(secrets, prefix, "password"))
        o->password = text(secrets, prefix, "password");
    if (text(settings, prefix, "schema"))
        o->schema = text(settings, prefix, "schema");
    if (json_is_number(port))
        o->port = (int)json_number_value(port);
    if (json_is_number(timeout))
        o->timeout_ms = (int)json_number_value(timeout);
    o->ssl = json_is_true(member(settings, prefix, "ssl"));
    o->ssl_verify = json_is_true(member(settings, prefix, "ssl_verify"));
    o->ca_file = ca_file(settings);
}

static enum tp_err open_postgres(struct tp_store **out, const json_t *settings, const json_t *secrets,
                                 struct tp_diag *diag)
{
    struct tp_postgres_options primary = { 0 }, replica;

    apply(&primary, "pg_", settings, secrets);
    primary.cert_file = text(settings, "pg_", "ssl_cert");
    primary.key_file = text(secrets, "pg_", "ssl_cert_key");
    if (text(settings, "pg_ro_", "host")) { /* what it does not say is the primary's */
        replica = primary;
        apply(&replica, "pg_ro_", settings, secrets);
        primary.replica = &replica;
    }
    return tp_postgres_open(out, &primary, diag);
}

static enum tp_err open_sqlite(struct tp_store **out, const char *prefix, const json_t *settings, struct tp_diag *diag)
{
    const char *relative = json_string_value(json_object_get(settings, "sqlite_path"));
    char *path = NULL;
    enum tp_err err;

    if (!relative) {
        tp_diag_add(diag, "sqlite_path", "is missing");
        return TP_ERR_INVALID;
    }
    if (asprintf(&path, "%s%s%s", relative[0] == '/' ? "" : prefix, relative[0] == '/' ? "" : "/", relative) < 0)
        abort();
    err = tp_sqlite_open(out, path, diag);
    free(path);
    return err;
}

enum tp_err tp_open_store(struct tp_store **out, const char *prefix, const json_t *settings, const json_t *secrets,
                          struct tp_diag *diag)
{
    const char *database = json_string_value(json_object_get(settings, "database"));

    if (database && strcmp(database, "postgres") == 0)
        return open_postgres(out, settings, secrets, diag);
    return open_sqlite(out, prefix, settings, diag);
}
