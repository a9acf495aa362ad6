/*
 * Reading entities: one by its id or by a unique field, pages, tags, all.
 */
#include "store/store_priv.h"

#include <stdio.h>

#define EACH_BATCH 500
#define MAX_TAGS 5

static enum tp_err take_one(struct tp_query *q, const struct tp_table *table, json_t **out)
{
    bool row;
    enum tp_err err = tp_query_row(q, &row);

    if (!err)
        err = row ? tp_query_value(q, table, out) : TP_ERR_NOT_FOUND;
    tp_query_end(q);
    return err;
}

/* --- Where to read ---------------------------------------------------------------------------- */

/* Outside transactions the replica, where there is one. */
static struct tp_store *first_choice(struct tp_store *store)
{
    return store->replica && store->tx == TP_TX_NONE ? store->replica : store;
}

/* After a read from *from: when the replica is away, the next attempt is to be made with the store itself. */
static bool try_elsewhere(struct tp_store *store, struct tp_store **from, enum tp_err err)
{
    if (*from == store)
        return false;
    if (err && err != TP_ERR_NOT_FOUND)
        memcpy(store->error, (*from)->error, sizeof(store->error));
    if (err != TP_ERR_UNAVAILABLE)
        return false;
    *from = store;
    return true;
}

/* Who reads in order to write sees the newest, and nobody changes it meanwhile. A bulk load only looks names up. */
static const char *lock_of(const struct tp_store *store)
{
    const char *lock = store->driver->sql_lock_to_write;

    return lock && store->tx == TP_TX_WRITE && !store->bulk ? lock : "";
}

/* --- One -------------------------------------------------------------------------------------- */

static enum tp_err get(struct tp_store *store, const struct tp_entity *entity, const struct tp_uuid *id, json_t **out)
{
    struct tp_table *table = tp_store_table(store, entity);
    struct tp_query q;
    char sql[256];

    snprintf(sql, sizeof(sql), "%s%s", table->get_sql, lock_of(store));
    q = tp_query_begin(store, sql);
    tp_query_uuid(&q, id);
    tp_query_int(&q, tp_store_now(store));
    return take_one(&q, table, out);
}

enum tp_err tp_store_get(struct tp_store *store, const struct tp_entity *entity, const struct tp_uuid *id,
                         json_t **out)
{
    struct tp_store *from = first_choice(store);
    enum tp_err err;

    do {
        err = get(from, entity, id, out);
    } while (try_elsewhere(store, &from, err));
    return err;
}

static const struct tp_column *unique_column(const struct tp_table *table, const char *field)
{
    for (size_t i = 0; i < table->column_count; i++)
        if (table->columns[i].unique && strcmp(table->columns[i].name, field) == 0)
            return &table->columns[i];
    return NULL;
}

static enum tp_err get_by(struct tp_store *store, const struct tp_entity *entity, const char *field,
                          struct tp_str value, json_t **out)
{
    struct tp_table *table = tp_store_table(store, entity);
    const struct tp_column *column = unique_column(table, field);
    struct tp_uuid foreign;
    struct tp_query q;
    char sql[256], *key;
    enum tp_err err;

    if (!column || !value.data || (column->kind == TP_COLUMN_FOREIGN && !tp_uuid_parse(value, &foreign)))
        return TP_ERR_NOT_FOUND;
    snprintf(sql, sizeof(sql),
             "SELECT id, doc, expires_at FROM \"%s\" WHERE \"%s\" = $1"
             " AND (expires_at IS NULL OR expires_at > $2)%s",
             entity->name, column->name, lock_of(store));
    key = tp_column_key(value);
    q = tp_query_begin(store, sql);
    if (column->kind == TP_COLUMN_FOREIGN)
        tp_query_uuid(&q, &foreign);
    else
        tp_query_text(&q, tp_str_from_cstr(key));
    tp_query_int(&q, tp_store_now(store));
    err = take_one(&q, table, out);
    free(key);
    return err;
}

enum tp_err tp_store_get_by(struct tp_store *store, const struct tp_entity *entity, const char *field,
                            struct tp_str value, json_t **out)
{
    struct tp_store *from = first_choice(store);
    enum tp_err err;

    do {
        err = get_by(from, entity, field, value, out);
    } while (try_elsewhere(store, &from, err));
    return err;
}

/* --- A statement put together with its parameters --------------------------------------------- */

struct param {
    enum { PARAM_UUID, PARAM_TEXT, PARAM_INT } kind;
    const struct tp_uuid *uuid;
    struct tp_str text;
    int64_t number;
};

struct built {
    struct tp_buf sql;
    struct param params[4 * MAX_TAGS + 12];
    int count;
};

static void add_param(struct built *b, struct param param)
{
    TP_ASSERT(b->count < (int)(sizeof(b->params) / sizeof(b->params[0])));
    b->params[b->count++] = param;
    tp_buf_addf(&b->sql, "$%d", b->count);
}

static void add_uuid(struct built *b, const char *before, const struct tp_uuid *value)
{
    tp_buf_add_cstr(&b->sql, before);
    add_param(b, (struct param){ .kind = PARAM_UUID, .uuid = value });
}

static void add_text(struct built *b, const char *before, struct tp_str value)
{
    tp_buf_add_cstr(&b->sql, before);
    add_param(b, (struct param){ .kind = PARAM_TEXT, .text = value });
}

static void add_int(struct built *b, const char *before, int64_t value)
{
    tp_buf_add_cstr(&b->sql, before);
    add_param(b, (struct param){ .kind = PARAM_INT, .number = value });
}

/* Rows of `alias` that have not expired. */
static void add_alive(struct built *b, const char *alias, int64_t now)
{
    tp_buf_addf(&b->sql, "(%s.expires_at IS NULL OR %s.expires_at > ", alias, alias);
    add_int(b, "", now);
    tp_buf_add_cstr(&b->sql, ")");
}

static struct tp_query begin_built(struct tp_store *store, struct built *b)
{
    struct tp_query q = tp_query_begin(store, b->sql.data);

    for (int i = 0; i < b->count; i++) {
        switch (b->params[i].kind) {
        case PARAM_UUID: tp_query_uuid(&q, b->params[i].uuid); break;
        case PARAM_TEXT: tp_query_text(&q, b->params[i].text); break;
        case PARAM_INT: tp_query_int(&q, b->params[i].number); break;
        }
    }
    return q;
}

/* --- Pages ------------------------------------------------------------------------------------ */
/*
 * Every form of a page starts in an index at `after` and stops at its last row, so that depth costs nothing:
 *   plain            the table by id
 *   foreign          its index (foreign key, id); tags are then looked at row by row
 *   one tag, or AND  the tag index (tag, entity, id) of the first tag; the others are looked at
 *   OR               a page of each tag's index, merged
 */

static void add_tag_exists(struct built *b, const struct tp_entity *entity, struct tp_str tag)
{
    add_text(b, "EXISTS (SELECT 1 FROM tags x WHERE x.tag = ", tag);
    add_text(b, " AND x.entity = ", tp_str_from_cstr(entity->name));
    tp_buf_add_cstr(&b->sql, " AND x.id = e.id)");
}

/* " AND (… AND|OR …)" over the tags from `first` on. */
static void add_tag_conditions(struct built *b, const struct tp_entity *entity, const struct tp_page_query *query,
                               size_t first)
{
    if (first >= query->tag_count)
        return;
    tp_buf_add_cstr(&b->sql, " AND (");
    for (size_t i = first; i < query->tag_count; i++) {
        if (i > first)
            tp_buf_add_cstr(&b->sql, query->tags_any ? " OR " : " AND ");
        add_tag_exists(b, entity, query->tags[i]);
    }
    tp_buf_add_cstr(&b->sql, ")");
}

static void build_plain(struct built *b, const struct tp_entity *entity, const struct tp_page_query *query, int64_t now)
{
    tp_buf_addf(&b->sql, "SELECT e.id, e.doc, e.expires_at FROM \"%s\" e WHERE ", entity->name);
    add_alive(b, "e", now);
    if (query->after)
        add_uuid(b, " AND e.id > ", query->after);
    if (query->foreign) {
        tp_buf_addf(&b->sql, " AND e.\"%s\" = ", query->foreign_field);
        add_uuid(b, "", query->foreign);
    }
    add_tag_conditions(b, entity, query, 0);
    add_int(b, " ORDER BY e.id LIMIT ", (int64_t)query->size + 1);
}

static void add_tag_rows(struct built *b, const struct tp_entity *entity, struct tp_str tag,
                         const struct tp_page_query *query, int64_t now)
{
    add_text(b, " t.tag = ", tag);
    add_text(b, " AND t.entity = ", tp_str_from_cstr(entity->name));
    if (query->after)
        add_uuid(b, " AND t.id > ", query->after);
    tp_buf_add_cstr(&b->sql, " AND ");
    add_alive(b, "t", now);
}

static void build_all_tags(struct built *b, const struct tp_entity *entity, const struct tp_page_query *query,
                           int64_t now)
{
    tp_buf_addf(&b->sql, "SELECT e.id, e.doc, e.expires_at FROM tags t JOIN \"%s\" e ON e.id = t.id WHERE",
                entity->name);
    add_tag_rows(b, entity, query->tags[0], query, now);
    add_tag_conditions(b, entity, query, 1);
    add_int(b, " ORDER BY t.id LIMIT ", (int64_t)query->size + 1);
}

static void build_any_tag(struct built *b, const struct tp_entity *entity, const struct tp_page_query *query,
                          int64_t now)
{
    tp_buf_add_cstr(&b->sql, "SELECT e.id, e.doc, e.expires_at FROM (");
    for (size_t i = 0; i < query->tag_count; i++) {
        tp_buf_addf(&b->sql, "%sSELECT id FROM (SELECT t.id FROM tags t WHERE", i ? " UNION " : "");
        add_tag_rows(b, entity, query->tags[i], query, now);
        add_int(b, " ORDER BY t.id LIMIT ", (int64_t)query->size + 1);
        tp_buf_addf(&b->sql, ") s%zu", i);
    }
    tp_buf_addf(&b->sql, ") u JOIN \"%s\" e ON e.id = u.id", entity->name);
    add_int(b, " ORDER BY e.id LIMIT ", (int64_t)query->size + 1);
}

static bool is_foreign_column(const struct tp_table *table, const char *field)
{
    for (size_t i = 0; i < table->column_count; i++)
        if (table->columns[i].kind == TP_COLUMN_FOREIGN && strcmp(table->columns[i].name, field) == 0)
            return true;
    return false;
}

/* Up to query->size rows into a new array; one row more is asked for, to know whether there are more. */
static enum tp_err take_page(struct tp_query *q, const struct tp_table *table, size_t size, json_t **rows, bool *more)
{
    json_t *list = json_array(), *value;
    bool row;
    enum tp_err err;

    *more = false;
    while (!(err = tp_query_row(q, &row)) && row) {
        if (json_array_size(list) == size) {
            *more = true;
            break;
        }
        err = tp_query_value(q, table, &value);
        if (err)
            break;
        json_array_append_new(list, value);
    }
    tp_query_end(q);
    if (err)
        json_decref(list);
    else
        *rows = list;
    return err;
}

static enum tp_err read_page(struct tp_store *store, const struct tp_entity *entity,
                             const struct tp_page_query *query, json_t **rows, bool *more)
{
    struct tp_table *table = tp_store_table(store, entity);
    int64_t now = tp_store_now(store);
    struct built b = { .count = 0 };
    struct tp_query q;
    enum tp_err err;

    TP_ASSERT(query->size > 0 && query->tag_count <= MAX_TAGS);
    if (query->foreign && !is_foreign_column(table, query->foreign_field)) {
        *rows = json_array(); /* of a kind that this build lacks: nothing can refer to it */
        *more = false;
        return TP_OK;
    }
    tp_buf_init(&b.sql, 0);
    if (query->foreign || query->tag_count == 0)
        build_plain(&b, entity, query, now);
    else if (query->tags_any && query->tag_count > 1)
        build_any_tag(&b, entity, query, now);
    else
        build_all_tags(&b, entity, query, now);
    q = begin_built(store, &b);
    err = take_page(&q, table, query->size, rows, more);
    tp_buf_fini(&b.sql);
    return err;
}

enum tp_err tp_store_page(struct tp_store *store, const struct tp_entity *entity, const struct tp_page_query *query,
                          json_t **rows, bool *more)
{
    struct tp_store *from = first_choice(store);
    enum tp_err err;

    do {
        err = read_page(from, entity, query, rows, more);
    } while (try_elsewhere(store, &from, err));
    return err;
}

/* --- Tags ------------------------------------------------------------------------------------- */

/* Behind the row (after, after_entity, after_tag); of the same entity's tags those that stand later. */
static void add_after_tag(struct built *b, const struct tp_page_query *query)
{
    if (!query->after_entity.data || !query->after_tag.data) {
        add_uuid(b, " AND t.id > ", query->after);
        return;
    }
    add_uuid(b, " AND (t.id, t.entity, t.place) > (", query->after);
    add_text(b, ", ", query->after_entity);
    add_uuid(b, ", COALESCE((SELECT p.place FROM tags p WHERE p.id = ", query->after);
    add_text(b, " AND p.entity = ", query->after_entity);
    add_text(b, " AND p.tag = ", query->after_tag);
    tp_buf_add_cstr(&b->sql, "), -1))");
}

static enum tp_err take_tag(struct tp_query *q, json_t *list)
{
    struct tp_str tag = tp_query_get_text(q, 0), entity = tp_query_get_text(q, 1);
    char text[TP_UUID_TEXT_LEN + 1];
    struct tp_uuid id;

    if (!tag.data || !entity.data || !tp_query_get_uuid(q, 2, &id))
        return tp_store_fail(q->store, TP_ERR_DAMAGED, "a row of tags is not readable");
    tp_uuid_format(&id, text);
    json_array_append_new(list, json_pack("{s:s%, s:s%, s:s}", "tag", tag.data, tag.len, "entity_name", entity.data,
                                          entity.len, "entity_id", text));
    return TP_OK;
}

static enum tp_err read_tags(struct tp_store *store, struct tp_str tag, const struct tp_page_query *query,
                             json_t **rows, bool *more)
{
    struct built b = { .count = 0 };
    json_t *list = json_array();
    struct tp_query q;
    bool row;
    enum tp_err err;

    tp_buf_init(&b.sql, 0);
    tp_buf_add_cstr(&b.sql, "SELECT t.tag, t.entity, t.id FROM tags t WHERE ");
    add_alive(&b, "t", tp_store_now(store));
    if (tag.data)
        add_text(&b, " AND t.tag = ", tag);
    if (query->after)
        add_after_tag(&b, query);
    add_int(&b, " ORDER BY t.id, t.entity, t.place LIMIT ", (int64_t)query->size + 1);
    q = begin_built(store, &b);
    *more = false;
    while (!(err = tp_query_row(&q, &row)) && row && !*more) {
        if (json_array_size(list) == query->size)
            *more = true;
        else
            err = take_tag(&q, list);
        if (err)
            break;
    }
    tp_query_end(&q);
    tp_buf_fini(&b.sql);
    if (err)
        json_decref(list);
    else
        *rows = list;
    return err;
}

enum tp_err tp_store_tags(struct tp_store *store, struct tp_str tag, const struct tp_page_query *query,
                          json_t **rows, bool *more)
{
    struct tp_store *from = first_choice(store);
    enum tp_err err;

    do {
        err = read_tags(from, tag, query, rows, more);
    } while (try_elsewhere(store, &from, err));
    return err;
}

/* --- All of them ------------------------------------------------------------------------------ */

/* From name to next name in the index of the composite key's part: rows do not count, only names. */
enum tp_err tp_store_plugin_names(struct tp_store *store, json_t **out)
{
    json_t *names = json_array();
    char *last = tp_strdup("");
    bool found = true;
    enum tp_err err = TP_OK;

    while (!err && found) {
        struct tp_query q = tp_query_begin(store, "SELECT MIN(name) FROM plugins WHERE name > $1");

        tp_query_text(&q, tp_str_from_cstr(last));
        err = tp_query_row(&q, &found);
        found = found && !tp_query_is_null(&q, 0);
        if (found) {
            char *name = tp_strndup(tp_query_get_text(&q, 0));

            tp_query_end(&q);
            json_array_append_new(names, json_string(name));
            free(last);
            last = name;
        }
        tp_query_end(&q);
    }
    free(last);
    if (err)
        json_decref(names);
    else
        *out = names;
    return err;
}

static enum tp_err each_row(const json_t *rows, tp_store_row_fn fn, void *data, struct tp_uuid *last)
{
    const json_t *value;
    size_t i;

    json_array_foreach(rows, i, value) {
        const json_t *id = json_object_get(value, "id");
        enum tp_err err = fn(data, value);

        if (err)
            return err;
        if (!json_is_string(id) || !tp_uuid_parse(tp_str_from_cstr(json_string_value(id)), last))
            return TP_ERR_DAMAGED;
    }
    return TP_OK;
}

/* In a transaction. */
static enum tp_err walk(struct tp_store *store, const struct tp_entity *entity, tp_store_row_fn fn, void *data)
{
    struct tp_page_query page = { .size = EACH_BATCH };
    struct tp_uuid last;
    bool more = true;
    enum tp_err err = TP_OK;

    while (!err && more) {
        json_t *rows = NULL;

        err = read_page(store, entity, &page, &rows, &more);
        if (!err)
            err = each_row(rows, fn, data, &last);
        json_decref(rows);
        page.after = &last;
    }
    return err;
}

enum tp_err tp_store_each(struct tp_store *store, const struct tp_entity *entity, tp_store_row_fn fn, void *data)
{
    struct tp_store *from = first_choice(store);
    enum tp_err err;

    if (store->tx != TP_TX_NONE)
        return walk(store, entity, fn, data);
    do {
        err = tp_store_begin_read(from);
    } while (try_elsewhere(store, &from, err));
    if (err)
        return err;
    err = walk(from, entity, fn, data);
    tp_store_rollback(from);
    return err;
}
