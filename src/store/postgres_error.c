/*
 * What PostgreSQL's errors mean for the store: SQLSTATE to tp_err, and texts for the log. The primary message names
 * tables and constraints; details hold the rows' values, credentials among them, and are never taken.
 */
#include "store/postgres_priv.h"

#include <stdio.h>

struct meaning {
    const char *state; /* or the class, two characters */
    enum tp_err err;
};

/* The first that fits. */
static const struct meaning meanings[] = {
    { "23505", TP_ERR_EXISTS },
    { "23503", TP_ERR_REFERENCE },
    { "23001", TP_ERR_REFERENCE },
    { "53100", TP_ERR_FULL },       /* disk */
    { "53400", TP_ERR_FULL },       /* a limit of the server's configuration */
    { "53", TP_ERR_UNAVAILABLE },   /* out of memory or of connections */
    { "57014", TP_ERR_TIMEOUT },    /* statement_timeout */
    { "55P03", TP_ERR_TIMEOUT },    /* lock_timeout */
    { "25P03", TP_ERR_UNAVAILABLE }, /* idle too long within a transaction: it has hung up */
    { "25P04", TP_ERR_UNAVAILABLE },
    { "25006", TP_ERR_UNAVAILABLE }, /* read only: it has become a standby; another server may be the primary */
    { "57", TP_ERR_UNAVAILABLE },   /* shutting down, or starting */
    { "08", TP_ERR_UNAVAILABLE },
    { "40", TP_ERR_AGAIN },         /* serialization, deadlock */
    { "26000", TP_ERR_AGAIN },      /* a prepared statement has gone: made anew next time */
    { "54", TP_ERR_TOO_LARGE },
    { "58", TP_ERR_IO },
    { "XX001", TP_ERR_DAMAGED },
    { "XX002", TP_ERR_DAMAGED },
};

enum tp_err tp_pg_classify(const char *sqlstate)
{
    for (size_t i = 0; sqlstate && i < sizeof(meanings) / sizeof(meanings[0]); i++)
        if (strncmp(sqlstate, meanings[i].state, strlen(meanings[i].state)) == 0)
            return meanings[i].err;
    return TP_ERR_INVALID;
}

void tp_pg_note(struct tp_db *db, const char *message)
{
    size_t len;

    snprintf(db->error, sizeof(db->error), "postgres: %s", message && message[0] ? message : "no answer");
    len = strlen(db->error);
    while (len > 0 && db->error[len - 1] == '\n')
        db->error[--len] = '\0';
    for (char *c = db->error; *c; c++)
        if (*c == '\n' || *c == '\t')
            *c = ' ';
}

enum tp_err tp_pg_failed(struct tp_db *db, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    bool taken = state && strcmp(state, "42P07") == 0;

    if (!state)
        return tp_pg_fail(db, TP_ERR_UNAVAILABLE, "%s", PQerrorMessage(db->raw));
    if (taken) /* most likely Kong's own tables */
        return tp_pg_fail(db, TP_ERR_INVALID, "%s: the schema holds another program's tables; set pg_schema to one "
                          "that is turnpike's alone", primary);
    return tp_pg_fail(db, tp_pg_classify(state), "%s", primary);
}
