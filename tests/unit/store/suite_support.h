/*
 * What the store's suite is written with. A back-end's test program includes this, defines the two functions
 * below, and includes the suite_*.h files: so every back-end passes the same tests.
 */
#ifndef TESTS_STORE_SUITE_SUPPORT_H
#define TESTS_STORE_SUITE_SUPPORT_H

#include "base/mem.h"
#include "model/fields.h"
#include "store/store.h"
#include "support/test.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- By the back-end -------------------------------------------------------------------------- */

static void wipe(void);                     /* from here on the test's database is empty, without schema */
static struct tp_store *open_another(void); /* one more connection to it; NULL fails the test */

/* --- Opening ---------------------------------------------------------------------------------- */

static struct tp_store *open_empty(void)
{
    struct tp_diag *diag = tp_diag_new();
    struct tp_store *store;

    wipe();
    store = open_another();
    if (tp_store_migrate(store, diag))
        test_fail(__FILE__, __LINE__, "%s", tp_diag_text(diag));
    tp_diag_free(diag);
    return store;
}

/* --- Values ----------------------------------------------------------------------------------- */

static const struct tp_entity *kind(const char *name)
{
    const struct tp_entity *entity = tp_entity_by_name(tp_str_from_cstr(name));

    TP_ASSERT(entity);
    return entity;
}

/* The n-th id: ids ascend with n. */
static struct tp_uuid uuid_n(unsigned n)
{
    struct tp_uuid id = { .bytes = { n >> 24, n >> 16, n >> 8, n, 0, 0, 0x40, 0, 0x80 } };

    return id;
}

static const char *text_n(unsigned n)
{
    static _Thread_local char texts[8][TP_UUID_TEXT_LEN + 1];
    static _Thread_local size_t next;
    struct tp_uuid id = uuid_n(n);
    char *text = texts[next++ % 8];

    tp_uuid_format(&id, text);
    return text;
}

/* JSON, with ' for ", the value's own id is uuid_n(n); other fields at their defaults. */
static json_t *vvalue(const char *entity, unsigned n, const char *format, va_list args)
{
    json_t *value = tp_fields_defaults(kind(entity)->fields), *members;
    char *text;

    TP_ASSERT(vasprintf(&text, format, args) >= 0);
    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    members = json_loads(text, 0, NULL);
    TP_ASSERT(members);
    json_object_set_new(value, "id", json_string(text_n(n)));
    json_object_update(value, members);
    json_decref(members);
    free(text);
    return value;
}

/* --- Writing ---------------------------------------------------------------------------------- */

/* Inside a transaction. The fault is owned by the caller. */
__attribute__((format(printf, 5, 6))) static enum tp_err insert(struct tp_store *s, struct tp_store_fault *fault,
                                                                const char *entity, unsigned n, const char *format, ...)
{
    va_list args;
    json_t *value;
    enum tp_err err;

    va_start(args, format);
    value = vvalue(entity, n, format, args);
    va_end(args);
    err = tp_store_insert(s, kind(entity), value, fault);
    json_decref(value);
    return err;
}

__attribute__((format(printf, 5, 6))) static enum tp_err update(struct tp_store *s, struct tp_store_fault *fault,
                                                                const char *entity, unsigned n, const char *format, ...)
{
    va_list args;
    json_t *value;
    enum tp_err err;

    va_start(args, format);
    value = vvalue(entity, n, format, args);
    va_end(args);
    err = tp_store_update(s, kind(entity), value, fault);
    json_decref(value);
    return err;
}

/* A transaction of its own that must succeed. */
__attribute__((format(printf, 4, 5))) static void put(struct tp_store *s, const char *entity, unsigned n,
                                                      const char *format, ...)
{
    struct tp_store_fault fault = { TP_OK };
    va_list args;
    json_t *value;

    va_start(args, format);
    value = vvalue(entity, n, format, args);
    va_end(args);
    CHECK_INT(tp_store_begin(s), TP_OK);
    if (tp_store_insert(s, kind(entity), value, &fault))
        test_fail(__FILE__, __LINE__, "insert %s %u: %s %s", entity, n, tp_err_text(fault.err), fault.message);
    CHECK_INT(tp_store_commit(s, NULL), TP_OK);
    json_decref(value);
    tp_store_fault_fini(&fault);
}

static enum tp_err remove_n(struct tp_store *s, const char *entity, unsigned n)
{
    struct tp_store_fault fault;
    struct tp_uuid id = uuid_n(n);
    enum tp_err err;

    CHECK_INT(tp_store_begin(s), TP_OK);
    err = tp_store_delete(s, kind(entity), &id, &fault);
    if (err)
        tp_store_rollback(s);
    else
        CHECK_INT(tp_store_commit(s, NULL), TP_OK);
    tp_store_fault_fini(&fault);
    return err;
}

/* --- Reading ---------------------------------------------------------------------------------- */

static bool exists(struct tp_store *s, const char *entity, unsigned n)
{
    struct tp_uuid id = uuid_n(n);
    json_t *value;
    enum tp_err err = tp_store_get(s, kind(entity), &id, &value);

    if (err == TP_OK)
        json_decref(value);
    else
        CHECK_INT(err, TP_ERR_NOT_FOUND);
    return err == TP_OK;
}

static uint64_t position(struct tp_store *s)
{
    uint64_t seq = UINT64_MAX;

    CHECK_INT(tp_store_position(s, &seq), TP_OK);
    return seq;
}

/* Compact, keys sorted, " shown as ': for CHECK_STR. Valid until the next call but seven. */
static const char *shown(const json_t *value)
{
    static char *texts[8];
    static _Thread_local size_t next;
    char **text = &texts[next++ % 8];

    free(*text);
    *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    for (char *c = *text; c && *c; c++)
        *c = *c == '"' ? '\'' : *c;
    return *text ? *text : "(none)";
}

/* One member of a stored entity. */
static const char *member(struct tp_store *s, const char *entity, unsigned n, const char *name)
{
    struct tp_uuid id = uuid_n(n);
    json_t *value;
    const char *text;

    if (tp_store_get(s, kind(entity), &id, &value))
        return "(no row)";
    text = shown(json_object_get(value, name));
    json_decref(value);
    return text;
}

static int64_t test_time_ms;

static int64_t test_clock(void *data)
{
    (void)data;
    return test_time_ms;
}

static void set_time(struct tp_store *s, int64_t now_s)
{
    test_time_ms = now_s * 1000;
    tp_store_set_clock(s, test_clock, NULL);
}

#endif
