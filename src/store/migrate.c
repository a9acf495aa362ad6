/*
 * The schema: numbered steps for what is ours, derived steps for the entities.
 *
 * A step is done once and its name kept in `migrations`; what is not there is pending. A new entity is a new
 * table, a new key or reference of an entity a new column that is filled from the documents. So an entity
 * stays one file, and a database of any earlier version catches up.
 */
#include "base/hash.h"
#include "store/store_priv.h"

#include <stdio.h>

/* Raise SCHEMA with every numbered step; OLDEST when builds of before the step must not go on. */
#define SCHEMA 1
#define OLDEST_COMPATIBLE 1

#define FILL_BATCH 500

struct step {
    char *name;
    const char *ddl;                /* numbered */
    const struct tp_table *table;   /* derived: the table … */
    const struct tp_column *column; /* … or this column of it */
};

struct steps {
    struct step *items;
    size_t count;
};

/* {int} {bytes} {uuid} {text} are the driver's types. */
static const struct step numbered[] = {
    { "0001_base",
      "CREATE TABLE meta (name {text} PRIMARY KEY, value {text} NOT NULL);"
      "CREATE TABLE feed_clock (one {int} PRIMARY KEY CHECK (one = 1), seq {int} NOT NULL);"
      "INSERT INTO feed_clock (one, seq) VALUES (1, 0);"
      "CREATE TABLE outbox (seq {int} PRIMARY KEY, tx_last {int} NOT NULL, op {int} NOT NULL,"
      " entity {text}, id {uuid}, at {int} NOT NULL);"
      "CREATE TABLE tags (id {uuid} NOT NULL, entity {text} NOT NULL, place {int} NOT NULL, tag {text} NOT NULL,"
      " expires_at {int}, PRIMARY KEY (id, entity, place));"
      "CREATE INDEX tags_of_entity ON tags (tag, entity, id);"
      "CREATE INDEX tags_of_all ON tags (tag, id, entity, place);"
      "CREATE TABLE saved_counters (kind {int} NOT NULL, period {int} NOT NULL, name {bytes} NOT NULL,"
      " window_start {int} NOT NULL, count {int} NOT NULL, ends_at {int} NOT NULL,"
      " PRIMARY KEY (kind, period, name));"
      "CREATE INDEX saved_counters_end ON saved_counters (ends_at)",
      NULL, NULL },
};

/* --- The list of steps ------------------------------------------------------------------------ */

static char *step_name(const struct tp_table *table, const struct tp_column *column)
{
    struct tp_buf name;

    tp_buf_init(&name, 0);
    tp_buf_add_cstr(&name, table->entity->name);
    if (column)
        tp_buf_addf(&name, ".%s", column->name);
    return tp_buf_take(&name);
}

static void add_step(struct steps *steps, struct step step)
{
    steps->items = tp_realloc(steps->items, (steps->count + 1) * sizeof(*steps->items));
    steps->items[steps->count++] = step;
}

/* All tables before all columns: references need their target. */
static struct steps all_steps(const struct tp_store *store)
{
    struct steps steps = { NULL, 0 };

    for (size_t i = 0; i < sizeof(numbered) / sizeof(numbered[0]); i++)
        add_step(&steps, (struct step){ tp_strdup(numbered[i].name), numbered[i].ddl, NULL, NULL });
    for (const struct tp_table *t = store->tables; t->entity; t++)
        add_step(&steps, (struct step){ step_name(t, NULL), NULL, t, NULL });
    for (const struct tp_table *t = store->tables; t->entity; t++)
        for (size_t c = 0; c < t->column_count; c++)
            add_step(&steps, (struct step){ step_name(t, &t->columns[c]), NULL, t, &t->columns[c] });
    return steps;
}

static void free_steps(struct steps *steps)
{
    for (size_t i = 0; i < steps->count; i++)
        free(steps->items[i].name);
    free(steps->items);
}

static enum tp_err table_exists(struct tp_store *store, const char *name, bool *exists)
{
    struct tp_query q = tp_query_begin(store, store->driver->sql_table_exists);
    enum tp_err err;

    tp_query_text(&q, tp_str_from_cstr(name));
    err = tp_query_row(&q, exists);
    tp_query_end(&q);
    return err;
}

/* Reduce `steps` to those that `migrations` does not name. */
static enum tp_err drop_done(struct tp_store *store, struct steps *steps)
{
    size_t kept = 0;
    bool exists;
    enum tp_err err = table_exists(store, "migrations", &exists);

    if (err || !exists)
        return err;
    for (size_t i = 0; i < steps->count; i++) {
        struct tp_query q = tp_query_begin(store, "SELECT 1 FROM migrations WHERE name = $1");
        struct step step = steps->items[i];
        bool done;

        tp_query_text(&q, tp_str_from_cstr(step.name));
        err = tp_query_row(&q, &done);
        tp_query_end(&q);
        if (err)
            return err;
        steps->items[i] = steps->items[kept]; /* swapped, so that every name is freed once */
        steps->items[kept] = step;
        if (!done)
            kept++;
    }
    while (steps->count > kept)
        free(steps->items[--steps->count].name);
    return TP_OK;
}

/* --- Doing them ------------------------------------------------------------------------------- */

static void add_typed(struct tp_buf *sql, const struct tp_driver *driver, const char *ddl)
{
    const struct {
        struct tp_str token;
        const char *type;
    } types[] = {
        { TP_STR("{int}"), driver->type_int },
        { TP_STR("{bytes}"), driver->type_bytes },
        { TP_STR("{uuid}"), driver->type_uuid },
        { TP_STR("{text}"), driver->type_text },
    };
    struct tp_str rest = tp_str_from_cstr(ddl);

    while (rest.len) {
        size_t taken = 0;

        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
            if (tp_str_starts(rest, types[i].token)) {
                tp_buf_add_cstr(sql, types[i].type);
                taken = types[i].token.len;
            }
        if (!taken) {
            tp_buf_add_char(sql, rest.data[0]);
            taken = 1;
        }
        rest = tp_str_from(rest, taken);
    }
}

static enum tp_err run_ddl(struct tp_store *store, const char *ddl)
{
    struct tp_buf sql;
    enum tp_err err;

    tp_buf_init(&sql, 0);
    add_typed(&sql, store->driver, ddl);
    err = store->driver->exec(store->db, sql.data);
    if (err)
        tp_store_fail(store, err, "%s", store->driver->error(store->db));
    tp_buf_fini(&sql);
    return err;
}

static enum tp_err run_ddlf(struct tp_store *store, const char *format, ...) __attribute__((format(printf, 2, 3)));
static enum tp_err run_ddlf(struct tp_store *store, const char *format, ...)
{
    char *ddl;
    va_list args;
    enum tp_err err;

    va_start(args, format);
    if (vasprintf(&ddl, format, args) < 0)
        abort();
    va_end(args);
    err = run_ddl(store, ddl);
    free(ddl);
    return err;
}

static enum tp_err create_table(struct tp_store *store, const struct tp_table *table)
{
    const char *name = table->entity->name;
    enum tp_err err = run_ddlf(store,
                               "CREATE TABLE \"%s\" (id {uuid} PRIMARY KEY, doc {text} NOT NULL,"
                               " expires_at {int})",
                               name);

    if (!err && table->entity->has_ttl)
        err = run_ddlf(store, "CREATE INDEX \"%s_expiry\" ON \"%s\" (expires_at)", name, name);
    return err;
}

static enum tp_err fill_row(struct tp_store *store, const struct tp_table *table, const struct tp_column *column,
                            const struct tp_uuid *id, const json_t *value)
{
    struct tp_query q;
    struct tp_uuid foreign;
    char *text = NULL, *sql;
    enum tp_err err;

    if (asprintf(&sql, "UPDATE \"%s\" SET \"%s\" = $1 WHERE id = $2", table->entity->name, column->name) < 0)
        abort();
    q = tp_query_begin(store, sql);
    if (column->kind == TP_COLUMN_FOREIGN) {
        bool set = tp_column_foreign_id(json_object_get(value, column->name), &foreign);

        tp_query_uuid(&q, set ? &foreign : NULL);
    } else {
        text = tp_column_text(table, column, value);
        tp_query_text(&q, tp_str_from_cstr(text));
    }
    tp_query_uuid(&q, id);
    err = tp_query_run(&q);
    free(text);
    free(sql);
    return err;
}

struct row {
    struct tp_uuid id;
    json_t *value;
};

static enum tp_err read_batch(struct tp_store *store, const struct tp_table *table, const struct tp_uuid *after,
                              struct row *rows, size_t *count)
{
    struct tp_query q;
    char *sql;
    bool row;
    enum tp_err err;

    if (asprintf(&sql, "SELECT id, doc, expires_at FROM \"%s\" WHERE id > $1 ORDER BY id LIMIT %d", table->entity->name,
                 FILL_BATCH) < 0)
        abort();
    q = tp_query_begin(store, sql);
    tp_query_uuid(&q, after);
    *count = 0;
    while (!(err = tp_query_row(&q, &row)) && row) {
        if (!tp_query_get_uuid(&q, 0, &rows[*count].id)) {
            err = tp_store_fail(store, TP_ERR_DAMAGED, "a row of %s has no id", table->entity->name);
            break;
        }
        err = tp_query_value(&q, table, &rows[*count].value);
        if (err)
            break;
        (*count)++;
    }
    tp_query_end(&q);
    free(sql);
    return err;
}

/* Rows that are older than the column get it from their documents. */
static enum tp_err fill_column(struct tp_store *store, const struct tp_table *table, const struct tp_column *column)
{
    struct row *rows = tp_calloc(FILL_BATCH, sizeof(*rows));
    struct tp_uuid after = { 0 }; /* nil is nobody's id */
    size_t count;
    enum tp_err err;

    do {
        err = read_batch(store, table, &after, rows, &count);
        for (size_t i = 0; i < count; i++) {
            if (!err)
                err = fill_row(store, table, column, &rows[i].id, rows[i].value);
            after = rows[i].id;
            json_decref(rows[i].value);
        }
    } while (!err && count == FILL_BATCH);
    free(rows);
    return err;
}

static enum tp_err add_column(struct tp_store *store, const struct tp_table *table, const struct tp_column *column)
{
    const char *name = table->entity->name;
    enum tp_err err;

    if (column->kind == TP_COLUMN_FOREIGN)
        err = run_ddlf(store, "ALTER TABLE \"%s\" ADD COLUMN \"%s\" {uuid} REFERENCES \"%s\" (id)", name, column->name,
                       column->parent->name);
    else
        err = run_ddlf(store, "ALTER TABLE \"%s\" ADD COLUMN \"%s\" {text}", name, column->name);
    if (!err)
        err = fill_column(store, table, column);
    if (!err) /* with id behind it, an index of equal values is in the order of pages */
        err = run_ddlf(store, "CREATE %sINDEX \"%s_%s\" ON \"%s\" (\"%s\"%s)", column->unique ? "UNIQUE " : "", name,
                       column->name, name, column->name, column->unique ? "" : ", id");
    return err;
}

static enum tp_err run_step(struct tp_store *store, const struct step *step)
{
    struct tp_query q;
    enum tp_err err;

    TP_ASSERT(step->ddl || step->table);
    if (step->ddl)
        err = run_ddl(store, step->ddl);
    else
        err = step->column ? add_column(store, step->table, step->column) : create_table(store, step->table);
    if (err)
        return err;
    q = tp_query_begin(store, "INSERT INTO migrations (name, done_at) VALUES ($1, $2)");
    tp_query_text(&q, tp_str_from_cstr(step->name));
    tp_query_int(&q, tp_store_now(store));
    return tp_query_run(&q);
}

/* --- What is said about the schema ------------------------------------------------------------ */

static enum tp_err get_meta(struct tp_store *store, const char *name, int64_t *out)
{
    struct tp_query q = tp_query_begin(store, "SELECT value FROM meta WHERE name = $1");
    bool row;
    enum tp_err err;

    *out = 0;
    tp_query_text(&q, tp_str_from_cstr(name));
    err = tp_query_row(&q, &row);
    if (!err && row && !tp_str_to_i64(tp_query_get_text(&q, 0), out))
        err = tp_store_fail(store, TP_ERR_DAMAGED, "meta.%s is not a number", name);
    tp_query_end(&q);
    return err;
}

static enum tp_err set_meta(struct tp_store *store, const char *name, const char *value, bool replace)
{
    struct tp_query q = tp_query_begin(
        store, replace ? "INSERT INTO meta (name, value) VALUES ($1, $2)"
                         " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
                       : "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING");

    tp_query_text(&q, tp_str_from_cstr(name));
    tp_query_text(&q, tp_str_from_cstr(value));
    return tp_query_run(&q);
}

static enum tp_err raise_meta(struct tp_store *store, const char *name, int64_t value)
{
    char text[24];
    int64_t now;
    enum tp_err err = get_meta(store, name, &now);

    if (err || now >= value)
        return err;
    snprintf(text, sizeof(text), "%lld", (long long)value);
    return set_meta(store, name, text, true);
}

static enum tp_err write_meta(struct tp_store *store)
{
    char identity[TP_UUID_TEXT_LEN + 1];
    struct tp_uuid drawn = tp_uuid_random();
    enum tp_err err;

    tp_uuid_format(&drawn, identity);
    err = set_meta(store, "identity", identity, false);
    if (!err)
        err = raise_meta(store, "schema", SCHEMA);
    if (!err)
        err = raise_meta(store, "oldest_compatible", OLDEST_COMPATIBLE);
    return err;
}

static enum tp_err say(struct tp_store *store, enum tp_err err, struct tp_diag *diag)
{
    if (err)
        tp_diag_add(diag, "database", "%s", store->error);
    return err;
}

enum tp_err tp_migrate_check(struct tp_store *store, struct tp_diag *diag)
{
    int64_t oldest, schema = 0;
    bool exists;
    enum tp_err err = table_exists(store, "meta", &exists);

    if (!err && !exists)
        return TP_OK;
    if (!err)
        err = get_meta(store, "oldest_compatible", &oldest);
    if (!err)
        err = get_meta(store, "schema", &schema);
    if (err)
        return say(store, err, diag);
    if (oldest <= SCHEMA)
        return TP_OK;
    tp_diag_add(diag, "database",
                "was migrated by a newer version (schema %lld); this version knows schema %d, and at least %lld is "
                "needed: upgrade turnpike, or restore a backup from before the migration",
                (long long)schema, SCHEMA, (long long)oldest);
    return TP_ERR_INVALID;
}

enum tp_err tp_store_migrations_pending(struct tp_store *store, char **out, struct tp_diag *diag)
{
    struct steps steps = all_steps(store);
    struct tp_buf text;
    enum tp_err err = tp_migrate_check(store, diag);

    if (!err)
        err = say(store, drop_done(store, &steps), diag);
    if (!err) {
        tp_buf_init(&text, 0);
        for (size_t i = 0; i < steps.count; i++)
            tp_buf_addf(&text, "%s\n", steps.items[i].name);
        *out = text.len ? tp_buf_take(&text) : tp_strdup("");
    }
    free_steps(&steps);
    return err;
}

static enum tp_err apply(struct tp_store *store, struct steps *steps)
{
    enum tp_err err = run_ddl(store, "CREATE TABLE IF NOT EXISTS migrations"
                                     " (name {text} PRIMARY KEY, done_at {int} NOT NULL)");

    if (!err)
        err = drop_done(store, steps); /* again: another process may have been faster */
    for (size_t i = 0; !err && i < steps->count; i++)
        err = run_step(store, &steps->items[i]);
    if (!err)
        err = write_meta(store);
    return err;
}

enum tp_err tp_store_migrate(struct tp_store *store, struct tp_diag *diag)
{
    struct steps steps = all_steps(store);
    enum tp_err err = say(store, drop_done(store, &steps), diag);
    bool up_to_date = !err && steps.count == 0;

    if (err || up_to_date)
        goto out;
    err = say(store, tp_store_begin_migrate(store), diag);
    if (err)
        goto out;
    err = tp_migrate_check(store, diag);
    if (!err)
        err = say(store, apply(store, &steps), diag);
    if (err)
        tp_store_rollback(store);
    else
        err = say(store, tp_store_commit(store, NULL), diag);
out:
    free_steps(&steps);
    return err;
}
