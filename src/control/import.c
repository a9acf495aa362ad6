/* Bulk load: import.h. */
#include "control/import.h"

#include "base/mem.h"

#include <time.h>

#define LINE_MAX_BYTES (1 << 20)
#define PROGRESS_EVERY 2000 /* lines */

struct load {
    const struct tp_import *import;
    struct tp_import_result *result;
    struct tp_diag *diag;
    int64_t now_s;
    uint64_t bytes;
    bool reported; /* diag, which may be NULL, was told */
};

static enum tp_err fail(struct load *l, enum tp_err err, const char *what)
{
    char where[48];

    snprintf(where, sizeof(where), "line %llu", (unsigned long long)l->result->lines);
    tp_diag_add(l->diag, where, "%s", what);
    l->reported = true;
    return err;
}

/* {"consumer": {"username": "ann"}} → {"consumer": {"id": …}}, in place. */
static enum tp_err resolve_one(struct load *l, json_t *value, const struct tp_field *field)
{
    json_t *given = json_object_get(value, field->name), *row = NULL, *id;
    const struct tp_entity *parent = tp_entity_by_name(tp_str_from_cstr(field->reference));
    const char *name;
    void *member;
    char message[256];
    enum tp_err err;

    if (!json_is_object(given) || json_object_get(given, "id") || json_object_size(given) != 1 || !parent)
        return TP_OK; /* as it should be, or wrong in a way that the insert tells */
    member = json_object_iter(given);
    name = json_object_iter_key(member);
    if (!tp_entity_field(parent, name) || !tp_entity_field(parent, name)->unique ||
        !json_is_string(json_object_iter_value(member)))
        return TP_OK;
    err = tp_store_get_by(l->import->store, parent, name,
                          tp_str_from_cstr(json_string_value(json_object_iter_value(member))), &row);
    if (err == TP_ERR_NOT_FOUND) {
        snprintf(message, sizeof(message), "%s: there is no %s with this %s", field->name, parent->name, name);
        return fail(l, TP_ERR_REFERENCE, message);
    }
    if (err)
        return fail(l, err, tp_err_text(err));
    id = json_object_get(row, "id");
    json_object_set_new(value, field->name, json_pack("{s:O}", "id", id));
    json_decref(row);
    return TP_OK;
}

static enum tp_err resolve_foreign(struct load *l, const struct tp_entity *entity, json_t *value)
{
    enum tp_err err = TP_OK;

    for (const struct tp_field *f = entity->fields; f->name && !err; f++)
        if (f->type == TP_TYPE_FOREIGN)
            err = resolve_one(l, value, f);
    return err;
}

static enum tp_err report_fault(struct load *l, enum tp_err err, const struct tp_store_fault *fault)
{
    char *fields = fault->fields ? json_dumps(fault->fields, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    char message[512];

    switch (err) {
    case TP_ERR_EXISTS:
        snprintf(message, sizeof(message), "one with this key is there already: %s", fields ? fields : "?");
        break;
    case TP_ERR_REFERENCE:
        snprintf(message, sizeof(message), "refers to one of %s that is not there: %s",
                 fault->entity ? fault->entity : "?", fields ? fields : "?");
        break;
    default: snprintf(message, sizeof(message), "%s: %s", tp_err_text(err), fault->message); break;
    }
    free(fields);
    return fail(l, err, message);
}

static enum tp_err put(struct load *l, const struct tp_entity *entity, const json_t *value)
{
    struct tp_store_fault fault = { 0 };
    enum tp_err err = tp_store_insert(l->import->store, entity, value, &fault);

    if (err == TP_ERR_EXISTS && fault.primary_key) {
        tp_store_fault_fini(&fault);
        fault = (struct tp_store_fault){ 0 };
        err = tp_store_update(l->import->store, entity, value, &fault);
    }
    if (err)
        err = report_fault(l, err, &fault);
    else
        l->result->loaded++;
    tp_store_fault_fini(&fault);
    return err;
}

static enum tp_err load_entity(struct load *l, const struct tp_entity *entity, json_t *input)
{
    struct tp_draft draft = { entity, l->import->registry, TP_INSERT, input, NULL, l->now_s };
    json_t *value = NULL, *errors = NULL;
    enum tp_err err;
    char *text;

    if (!json_is_object(input))
        return fail(l, TP_ERR_INVALID, "the entity is not an object");
    err = resolve_foreign(l, entity, input);
    if (err)
        return err;
    err = tp_entity_prepare(&draft, &value, &errors);
    if (err) {
        text = errors ? tp_errors_message(errors) : tp_strdup(tp_err_text(err));
        err = fail(l, err, text);
        free(text);
    } else {
        err = put(l, entity, value);
    }
    json_decref(value);
    json_decref(errors);
    return err;
}

static enum tp_err load_line(struct load *l, struct tp_str line)
{
    const struct tp_entity *entity;
    json_error_t error;
    json_t *root = json_loadb(line.data, line.len, JSON_REJECT_DUPLICATES, &error);
    enum tp_err err;
    struct tp_str name;
    void *member;

    if (!root)
        return fail(l, TP_ERR_INVALID, error.text);
    if (!json_is_object(root) || json_object_size(root) != 1) {
        err = fail(l, TP_ERR_INVALID, "not an object with one member, the collection's name");
        goto out;
    }
    member = json_object_iter(root);
    name = tp_str_from_cstr(json_object_iter_key(member));
    entity = tp_entity_by_name(name);
    if (!entity)
        entity = tp_entity_by_api_name(name);
    err = entity ? load_entity(l, entity, json_object_iter_value(member))
                 : fail(l, TP_ERR_INVALID, "no collection of this name");
out:
    json_decref(root);
    return err;
}

/* The next line with its end, no more of it than shows that it is too long. False: there is none. */
static bool read_line(FILE *input, char *line, size_t *len)
{
    int c = 0;

    *len = 0;
    flockfile(input);
    while (*len <= LINE_MAX_BYTES && c != '\n' && (c = getc_unlocked(input)) != EOF)
        line[(*len)++] = (char)c;
    funlockfile(input);
    return *len > 0;
}

static enum tp_err load_lines(struct load *l)
{
    char *line = tp_malloc(LINE_MAX_BYTES + 1);
    enum tp_err err = TP_OK;
    size_t len;

    while (!err && read_line(l->import->input, line, &len)) {
        struct tp_str text = tp_str_make(line, len);

        l->result->lines++;
        l->bytes += len;
        if (text.len > LINE_MAX_BYTES) {
            err = fail(l, TP_ERR_TOO_LARGE, "longer than 1 MiB");
            break;
        }
        while (text.len > 0 && strchr(" \t\r\n", text.data[text.len - 1]))
            text.len--;
        if (text.len > 0)
            err = load_line(l, text);
        if (l->import->on_progress && l->result->lines % PROGRESS_EVERY == 0)
            l->import->on_progress(l->import->progress_data, l->result->lines, l->bytes);
    }
    if (!err && ferror(l->import->input))
        err = fail(l, TP_ERR_IO, "the file cannot be read further");
    free(line);
    return err;
}

enum tp_err tp_import_run(const struct tp_import *import, struct tp_import_result *result, struct tp_diag *diag)
{
    struct load l = { .import = import, .result = result, .diag = diag, .now_s = (int64_t)time(NULL) };
    enum tp_err err;

    *result = (struct tp_import_result){ 0 };
    err = tp_store_begin(import->store);
    if (!err)
        err = tp_store_bulk_begin(import->store);
    if (!err)
        err = load_lines(&l);
    if (!err)
        err = tp_store_bulk_end(import->store);
    if (!err)
        err = tp_store_commit(import->store, &result->position);
    if (!err) {
        if (import->on_progress)
            import->on_progress(import->progress_data, result->lines, l.bytes);
        return TP_OK;
    }
    tp_store_rollback(import->store);
    if (!l.reported)
        tp_diag_add(diag, NULL, "the database: %s", tp_err_text(err));
    return err;
}
