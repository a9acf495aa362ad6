/* config import and migrations: what works on the database directly, whether the instance runs or not. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/paths.h"
#include "cli/commands.h"
#include "cli/layout.h"
#include "control/import.h"
#include "control/open_store.h"
#include "plan/read_model.h"
#include "plugins/registry.h"

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PUBLISH_MS 300000
#define BAR_WIDTH 30

/* The instance's folder, and what says where its database is. */
struct target {
    struct tp_settings *settings;
    struct tp_layout layout;
    json_t *database, *secrets;
};

static void target_fini(struct target *t)
{
    json_decref(t->database);
    json_decref(t->secrets);
    tp_layout_fini(&t->layout);
    tp_settings_free(t->settings);
}

static enum tp_err target_init(struct target *t, const struct tp_args *args, struct tp_diag *diag)
{
    struct tp_settings_input input = tp_args_settings(args);
    enum tp_err err;

    *t = (struct target){ 0 };
    umask(0007); /* as control, which shares the files */
    err = tp_settings_load(&t->settings, &input, diag);
    if (!err)
        err = tp_layout_prepare(&t->layout, t->settings, diag);
    if (err)
        return err;
    t->database = tp_settings_json(t->settings, false);
    t->secrets = tp_settings_json(t->settings, true);
    return TP_OK;
}

static enum tp_err open_database(const struct target *t, struct tp_store **store, struct tp_diag *diag)
{
    return tp_open_store(store, t->layout.prefix, t->database, t->secrets, diag);
}

/* SQLite alone would make one by opening it. */
static bool has_database(const struct target *t)
{
    bool is_file = strcmp(tp_settings_text(t->settings, "database"), "sqlite") == 0, has;
    char *path = tp_path_under(t->layout.prefix, tp_settings_text(t->settings, "sqlite_path"));

    has = !is_file || access(path, F_OK) == 0;
    free(path);
    return has;
}

static enum tp_err open_migrated(const struct target *t, struct tp_store **store, struct tp_diag *diag)
{
    enum tp_err err = open_database(t, store, diag);

    return err ? err : tp_store_migrate(*store, diag);
}

/* --- Import ------------------------------------------------------------------------------------ */

struct progress {
    uint64_t total; /* bytes; 0: not known */
    int64_t started_ms;
};

static void on_progress(void *data, uint64_t lines, uint64_t bytes)
{
    const struct progress *p = data;
    double seconds = (double)(tp_clock_monotonic_ms() - p->started_ms) / 1000, done = 0;
    char bar[BAR_WIDTH + 1];

    if (p->total)
        done = (double)bytes / (double)p->total;
    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < (int)(done * BAR_WIDTH) ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r[%s] %3d %%  %llu lines, %.0f a second ", bar, (int)(done * 100), (unsigned long long)lines,
            seconds > 0 ? (double)lines / seconds : 0);
}

static FILE *open_input(const char *name, uint64_t *size, struct tp_diag *diag)
{
    FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
    struct stat st;

    if (!file)
        tp_diag_add(diag, NULL, "%s: %m", name);
    else if (fstat(fileno(file), &st) == 0 && S_ISREG(st.st_mode))
        *size = (uint64_t)st.st_size;
    return file;
}

static bool is_published(struct tp_read_model *model, uint64_t position)
{
    struct tp_read_model_meta meta;
    struct tp_view *view = NULL;
    bool is = false;

    if (tp_read_model_refresh(model, NULL) == TP_OK && tp_view_begin(model, &view) == TP_OK) {
        is = tp_view_meta(view, &meta) == TP_OK && meta.position >= position;
        tp_view_end(view);
    }
    return is;
}

/* Tell control that there is news, and wait until the read model has it. */
static void publish(const struct target *t, uint64_t position)
{
    pid_t control = tp_layout_read_pid(t->layout.prefix, TP_PATH_CONTROL_PID);
    int64_t end = tp_clock_monotonic_ms() + PUBLISH_MS;
    const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };
    struct tp_read_model *model = NULL;
    char *dir;
    bool done = false;

    if (!control || !tp_layout_holder(t->layout.prefix) || kill(control, SIGUSR2) != 0) {
        printf("Turnpike is not running: it will serve them when it starts\n");
        return;
    }
    dir = tp_path_under(t->layout.prefix, TP_PATH_READ_MODEL);
    if (tp_read_model_open(&model, dir, (uint64_t)tp_settings_number(t->settings, "read_model_map_size"), NULL) ==
        TP_OK) {
        while (!(done = is_published(model, position)) && tp_clock_monotonic_ms() < end)
            nanosleep(&pause, NULL);
        tp_read_model_close(model);
    }
    printf(done ? "in the read model\n" : "loaded, but not in the read model yet: see logs/control.log\n");
    free(dir);
}

static enum tp_err import(const struct target *t, const struct tp_args *args, struct tp_import_result *result,
                          struct tp_diag *diag)
{
    struct progress progress = { .started_ms = tp_clock_monotonic_ms() };
    struct tp_import import = { .registry = &tp_bundled_plugins };
    enum tp_err err = TP_ERR_IO;

    import.input = open_input(args->parameters[0], &progress.total, diag);
    if (!import.input)
        return err;
    if (tp_args_get(args, "progress")) {
        import.on_progress = on_progress;
        import.progress_data = &progress;
    }
    err = open_migrated(t, &import.store, diag);
    if (!err)
        err = tp_import_run(&import, result, diag);
    if (import.on_progress)
        fputc('\n', stderr);
    tp_store_free(import.store);
    if (import.input != stdin)
        fclose(import.input);
    return err;
}

int tp_cmd_config_import(const struct tp_args *args)
{
    struct tp_import_result result = { 0 };
    struct tp_diag *diag = tp_diag_new();
    struct target target;
    int status = 0;

    if (target_init(&target, args, diag) || import(&target, args, &result, diag)) {
        status = tp_fail(diag);
    } else {
        printf("%llu entities loaded\n", (unsigned long long)result.loaded);
        fflush(stdout);
        publish(&target, result.position);
    }
    target_fini(&target);
    tp_diag_free(diag);
    return status;
}

/* --- Migrations -------------------------------------------------------------------------------- */

enum { LIST_OK = 0, LIST_NO_DATABASE = 3, LIST_NEW = 5 };

int tp_cmd_migrations_up(const struct tp_args *args)
{
    struct tp_diag *diag = tp_diag_new();
    struct tp_store *store = NULL;
    struct target target;
    char *pending = NULL;
    int status = 0;
    enum tp_err err;

    err = target_init(&target, args, diag);
    if (!err)
        err = open_database(&target, &store, diag);
    if (!err)
        err = tp_store_migrations_pending(store, &pending, diag);
    if (!err && pending[0])
        err = tp_store_migrate(store, diag);
    if (err)
        status = tp_fail(diag);
    else if (!tp_args_get(args, "quiet"))
        printf(pending[0] ? "%sDatabase is up-to-date\n" : "%sDatabase is already up-to-date\n", pending);
    free(pending);
    tp_store_free(store);
    target_fini(&target);
    tp_diag_free(diag);
    return status;
}

int tp_cmd_migrations_finish(const struct tp_args *args)
{
    if (!tp_args_get(args, "quiet"))
        printf("No pending migrations to finish\n");
    return 0;
}

/* What is pending, without making a database. *state is one of LIST_…; the text is owned. */
static char *find_pending(const struct tp_args *args, int *state, struct tp_diag *diag)
{
    struct tp_store *store = NULL;
    struct target target;
    char *pending = NULL;

    *state = 1;
    if (target_init(&target, args, diag) == TP_OK) {
        if (!has_database(&target)) {
            *state = LIST_NO_DATABASE;
            pending = tp_strdup("");
        } else if (open_database(&target, &store, diag) == TP_OK &&
                   tp_store_migrations_pending(store, &pending, diag) == TP_OK) {
            *state = pending[0] ? LIST_NEW : LIST_OK;
        }
    }
    tp_store_free(store);
    target_fini(&target);
    return pending;
}

int tp_cmd_migrations_list(const struct tp_args *args)
{
    struct tp_diag *diag = tp_diag_new();
    int state;
    char *pending = find_pending(args, &state, diag);

    switch (state) {
    case LIST_OK: printf("Database is up-to-date\n"); break;
    case LIST_NO_DATABASE: printf("Database needs bootstrapping; run 'turnpike migrations bootstrap'\n"); break;
    case LIST_NEW: printf("New migrations available:\n%s\n", pending); break;
    default: tp_fail(diag); break;
    }
    free(pending);
    tp_diag_free(diag);
    return state;
}

int tp_cmd_migrations_status(const struct tp_args *args)
{
    struct tp_diag *diag = tp_diag_new();
    int state, status = 0;
    char *pending = find_pending(args, &state, diag);
    struct tp_str rest = tp_str_from_cstr(pending), line;
    json_t *list = json_array(), *out;

    if (state == 1)
        status = tp_fail(diag);
    while (tp_str_next(&rest, '\n', &line))
        if (line.len > 0)
            json_array_append_new(list, json_stringn(line.data, line.len));
    out = json_pack("{s:b,s:b,s:o}", "needs_bootstrap", state == LIST_NO_DATABASE, "up_to_date", state == LIST_OK,
                    "new_migrations", list);
    if (!status) {
        json_dumpf(out, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(out);
    free(pending);
    tp_diag_free(diag);
    return status;
}
