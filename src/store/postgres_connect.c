/*
 * Connecting to PostgreSQL, again and again: parameters, the session's settings, pauses between attempts.
 */
#include "store/postgres_priv.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

#include <poll.h>
#include <stdio.h>

#define TIMEOUT_MS 5000
#define RETRY_FIRST_MS 100
#define RETRY_MAX_MS 5000
#define OLDEST_SERVER 110000
#define SYSTEM_CAS "/etc/ssl/certs/ca-certificates.crt"

/* --- Parameters ------------------------------------------------------------------------------- */

static void add(struct tp_db *db, const char *keyword, const char *value)
{
    if (!value)
        return;
    TP_ASSERT(db->param_count + 2 < TP_PG_PARAMS); /* the host, and the end */
    db->keywords[db->param_count] = keyword;
    db->values[db->param_count++] = tp_strdup(value);
}

static void add_number(struct tp_db *db, const char *keyword, int value)
{
    char text[16];

    snprintf(text, sizeof(text), "%d", value);
    add(db, keyword, text);
}

static void add_tls(struct tp_db *db, const struct tp_postgres_options *o)
{
    add(db, "gssencmode", "disable");
    if (!o->ssl) {
        add(db, "sslmode", "disable");
        return;
    }
    add(db, "sslmode", o->ssl_verify ? "verify-full" : "require");
    if (o->ssl_verify)
        add(db, "sslrootcert", o->ca_file ? o->ca_file : SYSTEM_CAS);
    add(db, "sslcert", o->cert_file);
    add(db, "sslkey", o->key_file);
    add(db, "ssl_min_protocol_version", "TLSv1.2");
}

struct tp_db *tp_pg_new(const struct tp_postgres_options *o, bool replica)
{
    struct tp_db *db = tp_new(struct tp_db);

    db->replica = replica;
    db->timeout_ms = o->timeout_ms > 0 ? o->timeout_ms : TIMEOUT_MS;
    db->hosts = tp_strdup(o->host ? o->host : "127.0.0.1");
    db->schema = tp_strdup(o->schema && o->schema[0] ? o->schema : NULL);
    add_number(db, "port", o->port > 0 ? o->port : 5432);
    add(db, "dbname", o->database);
    add(db, "user", o->user);
    add(db, "password", o->password);
    add(db, "passfile", "/dev/null/none"); /* ours come from the settings, not from a file that happens to exist */
    add(db, "client_encoding", "UTF8");
    add(db, "application_name", "turnpike");
    add(db, "target_session_attrs", replica ? "any" : "read-write"); /* of several hosts, the primary */
    add_tls(db, o);
    add(db, "keepalives_idle", "30");
    add(db, "keepalives_interval", "10");
    add(db, "keepalives_count", "3");
    add_number(db, "tcp_user_timeout", 2 * db->timeout_ms);
    return db;
}

void tp_pg_free(struct tp_db *db)
{
    if (!db)
        return;
    tp_pg_drop(db);
    for (size_t i = 0; i < db->param_count; i++)
        free(db->values[i]);
    free(db->hosts);
    free(db->schema);
    free(db);
}

void tp_pg_drop(struct tp_db *db)
{
    if (!db->raw)
        return;
    PQfinish(db->raw);
    db->raw = NULL;
    db->sent_count = 0;
    db->lost_in_tx = db->tx != TP_TX_NONE;
}

/* --- The session ------------------------------------------------------------------------------ */

/*
 * Every statement of the store walks an index; the planner would guess otherwise from statistics that are empty
 * right after a bulk load, and from a LIMIT that it does not know when it plans once for all. A process that hangs
 * within a transaction holds locks that all nodes wait for: it is cut off.
 */
static const char settings[] =
    "SET standard_conforming_strings = on; SET jit = off; SET enable_seqscan = off; SET enable_bitmapscan = off;"
    "SET enable_hashjoin = off; SET enable_mergejoin = off; SET idle_in_transaction_session_timeout = '60s';";

static enum tp_err set_up_session(struct tp_db *db)
{
    struct tp_buf sql;
    enum tp_err err;

    tp_buf_init(&sql, 0);
    tp_buf_add_cstr(&sql, settings);
    tp_buf_addf(&sql, "SET statement_timeout = %d; SET lock_timeout = %d", db->timeout_ms, db->timeout_ms);
    if (db->schema) {
        char *name = PQescapeIdentifier(db->raw, db->schema, strlen(db->schema));

        tp_buf_addf(&sql, "; SET search_path = %s", name ? name : "\"\"");
        PQfreemem(name);
    }
    if (db->listening) /* what came while we were away is unknown: look */
        tp_buf_add_cstr(&sql, "; LISTEN turnpike_feed");
    db->notified = db->listening;
    err = tp_pg_exec(db, sql.data);
    tp_buf_fini(&sql);
    return err;
}

static enum tp_err check_server(struct tp_db *db)
{
    const char *encoding = PQparameterStatus(db->raw, "server_encoding");
    int version = PQserverVersion(db->raw);

    if (version < OLDEST_SERVER)
        return tp_pg_fail(db, TP_ERR_INVALID, "the server is of version %d; %d is the oldest that turnpike knows",
                          version / 10000, OLDEST_SERVER / 10000);
    if (!encoding || strcmp(encoding, "UTF8") != 0)
        return tp_pg_fail(db, TP_ERR_INVALID, "the database's encoding is %s; it must be UTF8",
                          encoding ? encoding : "unknown");
    return TP_OK;
}

static void drop_notice(void *data, const PGresult *result)
{
    (void)data;
    (void)result;
}

/* --- Connecting ------------------------------------------------------------------------------- */

static enum tp_err await_connection(struct tp_db *db)
{
    int64_t until = tp_clock_monotonic_ms() + db->timeout_ms;
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;

    while (PQstatus(db->raw) != CONNECTION_BAD && state != PGRES_POLLING_OK && state != PGRES_POLLING_FAILED) {
        if (tp_pg_wait(db, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, until))
            return tp_pg_fail(db, TP_ERR_UNAVAILABLE, "%s does not answer within %d ms", PQhost(db->raw),
                              db->timeout_ms);
        state = PQconnectPoll(db->raw);
    }
    if (PQstatus(db->raw) != CONNECTION_OK) {
        tp_pg_note(db, PQerrorMessage(db->raw));
        return TP_ERR_UNAVAILABLE;
    }
    return TP_OK;
}

static enum tp_err connect_to(struct tp_db *db, const char *host)
{
    char *values[TP_PG_PARAMS];
    enum tp_err err;

    memcpy(values, db->values, sizeof(values));
    db->keywords[db->param_count] = "host";
    values[db->param_count] = (char *)host;
    db->keywords[db->param_count + 1] = NULL;
    db->raw = PQconnectStartParams(db->keywords, (const char *const *)values, 0);
    if (!db->raw)
        return tp_pg_fail(db, TP_ERR_UNAVAILABLE, "out of memory");
    db->generation++;
    PQsetNoticeReceiver(db->raw, drop_notice, NULL);
    err = await_connection(db);
    if (!err)
        err = check_server(db);
    if (!err && (PQsetnonblocking(db->raw, 1) || !PQenterPipelineMode(db->raw)))
        err = tp_pg_fail(db, TP_ERR_UNAVAILABLE, "%s", PQerrorMessage(db->raw));
    if (!err)
        err = set_up_session(db);
    if (err)
        tp_pg_drop(db);
    return err;
}

/* One host after the other, each with the whole time. */
static enum tp_err connect_to_any(struct tp_db *db)
{
    struct tp_str rest = tp_str_from_cstr(db->hosts), item;
    enum tp_err err = TP_ERR_UNAVAILABLE;

    while (err && tp_str_next(&rest, ',', &item)) {
        char *host = tp_strndup(tp_str_trim(item));

        err = connect_to(db, host);
        free(host);
    }
    return err;
}

enum tp_err tp_pg_connect(struct tp_db *db)
{
    int64_t now = tp_clock_monotonic_ms();
    enum tp_err err;

    if (db->lost_in_tx)
        return TP_ERR_UNAVAILABLE;
    if (db->raw)
        return TP_OK;
    if (now < db->retry_at_ms)
        return TP_ERR_UNAVAILABLE; /* the last attempt's message stands */
    err = connect_to_any(db);
    if (!err) {
        db->retry_ms = 0;
        return TP_OK;
    }
    db->retry_ms = db->retry_ms ? 2 * db->retry_ms : RETRY_FIRST_MS;
    if (db->retry_ms > RETRY_MAX_MS)
        db->retry_ms = RETRY_MAX_MS;
    db->retry_at_ms = tp_clock_monotonic_ms() + db->retry_ms;
    return err;
}
