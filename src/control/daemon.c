/*
 * The control daemon. The main thread waits for signals and does the chores (saving counters, expiring rows, pruning
 * the feed) with a store connection of its own; the publisher, the link and the Admin API have their threads.
 */
#include "control/daemon.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/paths.h"
#include "control/admin/admin.h"
#include "control/counters_save.h"
#include "control/open_store.h"
#include "plugins/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_MS 20000

struct daemon {
    const char *prefix;
    json_t *settings;
    struct tp_plugin_set *plugins;
    struct tp_shm *shm;
    struct tp_counters *counters;
    struct tp_counter_saver *saver;
    struct tp_link *link;
    struct tp_publisher *publisher;
    struct tp_admin *admin;
    struct tp_store *store; /* of the main thread; NULL: not open at the moment */
    int64_t save_every_ms;
    int64_t save_at_ms;
    bool restored;     /* the shared file has what was saved */
    bool store_failed; /* said so already */
    char *read_model_dir, *admin_socket, *log_path;
    int log_fd; /* -1: stderr */
    int lock_fd;
    /* open_store is called by several threads; the first migrates. */
    pthread_mutex_t migrate_lock;
    bool migrated;
    json_t *secrets; /* NULL: none */
};

/* --- Settings ---------------------------------------------------------------------------------- */

static const char *setting_text(const struct daemon *d, const char *name)
{
    return json_string_value(json_object_get(d->settings, name));
}

static double setting_number(const struct daemon *d, const char *name)
{
    return json_number_value(json_object_get(d->settings, name));
}

/* The setting `plugins`, a list, as the text that tp_plugin_set_new takes. */
static void join_plugins(const struct daemon *d, struct tp_buf *out)
{
    const json_t *setting = json_object_get(d->settings, "plugins"), *item;
    size_t i;

    json_array_foreach(setting, i, item) {
        tp_buf_add_cstr(out, i ? "," : "");
        tp_buf_add_cstr(out, json_string_value(item) ? json_string_value(item) : "");
    }
    if (json_is_string(setting))
        tp_buf_add_cstr(out, json_string_value(setting));
}

static enum tp_err load_settings(struct daemon *d, struct tp_diag *diag)
{
    char *path = tp_path_under(d->prefix, TP_PATH_SETTINGS);
    json_error_t error;

    d->settings = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(d->settings))
        tp_diag_add(diag, NULL, "%s: %s", path, d->settings ? "not an object" : error.text);
    free(path);
    path = tp_path_under(d->prefix, TP_PATH_SECRETS);
    d->secrets = json_load_file(path, JSON_REJECT_DUPLICATES, NULL); /* absent: nothing is secret */
    free(path);
    if (tp_diag_count(diag))
        return TP_ERR_INVALID;
    d->read_model_dir = tp_path_under(d->prefix, TP_PATH_READ_MODEL);
    d->admin_socket = tp_path_under(d->prefix, TP_PATH_ADMIN);
    d->log_path = tp_path_under(d->prefix, TP_PATH_CONTROL_LOG);
    d->save_every_ms = (int64_t)(1000 * setting_number(d, "counters_save_interval"));
    if (d->save_every_ms <= 0)
        d->save_every_ms = 5000;
    return TP_OK;
}

/* --- Log --------------------------------------------------------------------------------------- */

/* A container wants the log on its output: where nginx's goes, ours goes. */
static void open_log(struct daemon *d)
{
    const char *nginx_log = setting_text(d, "proxy_error_log"), *level_text = setting_text(d, "log_level");
    enum tp_log_level level = TP_LOG_NOTICE;
    int fd = -1, old = d->log_fd;

    tp_log_level_parse(tp_str_from_cstr(level_text), &level);
    if (!nginx_log || strncmp(nginx_log, "/dev/", 5) != 0)
        fd = open(d->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    d->log_fd = fd;
    tp_log_start(fd >= 0 ? fd : STDERR_FILENO, level, "control");
    if (old >= 0)
        close(old);
}

/* Why we do not start must be seen where the operator looks, on stderr too. */
static void report(const struct daemon *d, const char *what, struct tp_diag *diag)
{
    for (size_t i = 0; i < tp_diag_count(diag); i++) {
        const char *path = tp_diag_path(diag, i);

        tp_log(TP_LOG_ERROR, "%s: %s%s%s", what, path, path[0] ? ": " : "", tp_diag_message(diag, i));
        if (d->log_fd >= 0)
            fprintf(stderr, "control: %s: %s%s%s\n", what, path, path[0] ? ": " : "", tp_diag_message(diag, i));
    }
}

/* --- Store ------------------------------------------------------------------------------------- */

static enum tp_err migrate_once(struct daemon *d, struct tp_store *store, struct tp_diag *diag)
{
    enum tp_err err = TP_OK;

    pthread_mutex_lock(&d->migrate_lock);
    if (!d->migrated)
        err = tp_store_migrate(store, diag);
    d->migrated = err == TP_OK;
    pthread_mutex_unlock(&d->migrate_lock);
    return err;
}

static enum tp_err open_store(void *data, struct tp_store **out, struct tp_diag *diag)
{
    struct daemon *d = data;
    struct tp_store *store = NULL;
    enum tp_err err = tp_open_store(&store, d->prefix, d->settings, d->secrets, diag);

    if (!err)
        err = migrate_once(d, store, diag);
    if (err)
        tp_store_free(store);
    else
        *out = store;
    return err;
}

/* The main thread's connection, opened when it is needed. NULL: the database is away; said once. */
static struct tp_store *chores_store(struct daemon *d)
{
    struct tp_diag *diag;

    if (d->store)
        return d->store;
    diag = tp_diag_new();
    if (open_store(d, &d->store, diag)) {
        if (!d->store_failed)
            report(d, "database", diag);
        d->store_failed = true;
    } else if (d->store_failed) {
        tp_log(TP_LOG_NOTICE, "the database is back");
        d->store_failed = false;
    }
    tp_diag_free(diag);
    return d->store;
}

static void drop_store(struct daemon *d, const char *chore, enum tp_err err)
{
    tp_log(TP_LOG_WARN, "%s: %s", chore, tp_err_text(err));
    tp_store_free(d->store);
    d->store = NULL;
}

/* --- Chores ------------------------------------------------------------------------------------ */

/* Looking at every cell maps every page into us: give them back, they stay in the file. */
static void forget_pages(struct daemon *d)
{
    static const char *const names[] = { TP_COUNTERS_SECTION_IDENTITIES, TP_COUNTERS_SECTION_ADDRESSES };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t size = 0;
        void *start = tp_shm_section(d->shm, names[i], &size);

        if (start)
            madvise(start, size, MADV_DONTNEED);
    }
}

static void restore_counters(struct daemon *d)
{
    struct tp_store *store = d->restored ? NULL : chores_store(d);
    size_t restored = 0;
    enum tp_err err;

    if (!store)
        return;
    err = tp_counter_saver_restore(d->saver, store, tp_clock_now_ms() / 1000, &restored);
    if (err) {
        drop_store(d, "restoring counters", err);
        return;
    }
    d->restored = true;
    tp_shm_set_filled(d->shm);
    if (restored)
        tp_log(TP_LOG_NOTICE, "%zu quota windows restored", restored);
}

static void save_counters(struct daemon *d)
{
    struct tp_store *store;
    enum tp_err err;

    restore_counters(d); /* the database was away when we started */
    if (!d->restored)
        return; /* saving first would write low counts over the saved ones */
    store = chores_store(d);
    if (!store)
        return;
    err = tp_counter_saver_run(d->saver, store, NULL);
    if (err)
        drop_store(d, "saving counters", err);
    forget_pages(d);
}

static void do_chores(struct daemon *d)
{
    int64_t now = tp_clock_monotonic_ms();

    if (now < d->save_at_ms)
        return;
    d->save_at_ms = now + d->save_every_ms;
    save_counters(d);
}

/* Wait for the next signal or chore. Returns the signal, 0 for none. */
static int wait_signal(const struct daemon *d, const sigset_t *set)
{
    int64_t ms = d->save_at_ms - tp_clock_monotonic_ms();
    struct timespec timeout;
    int signal_number;

    if (ms < 0)
        ms = 0;
    timeout = (struct timespec){ ms / 1000, ms % 1000 * 1000000 };
    signal_number = sigtimedwait(set, NULL, &timeout);
    return signal_number > 0 ? signal_number : 0;
}

static void run_until_told(struct daemon *d, const sigset_t *set)
{
    for (;;) {
        switch (wait_signal(d, set)) {
        case SIGTERM:
        case SIGQUIT:
        case SIGINT: return;
        case SIGUSR1: open_log(d); break;
        case SIGUSR2: tp_publisher_kick(d->publisher); break;
        default: break;
        }
        do_chores(d);
    }
}

/* --- Start and end ----------------------------------------------------------------------------- */

static enum tp_err start_counters(struct daemon *d, struct tp_diag *diag)
{
    char *path = tp_path_under(d->prefix, TP_PATH_SHM);
    enum tp_err err = tp_counters_open_file(&d->shm, path, (uint64_t)setting_number(d, "quota_identities"),
                                            (uint64_t)setting_number(d, "quota_addresses"), diag);

    if (!err) {
        /* Workers of another user count in it through our group. */
        if (chmod(path, 0660) != 0)
            tp_log(TP_LOG_WARN, "%s: %m", path);
        d->counters = tp_counters_new(d->shm);
        d->saver = tp_counter_saver_new(d->counters);
        d->restored = tp_shm_is_filled(d->shm); /* a worker of another size may have made a new one before us */
        restore_counters(d);
    }
    free(path);
    return err;
}

static enum tp_err start_publishing(struct daemon *d, struct tp_diag *diag)
{
    char *link_path = tp_path_under(d->prefix, TP_PATH_LINK);
    struct tp_publisher_options options = {
        .open_store = open_store,
        .open_data = d,
        .read_model_dir = d->read_model_dir,
        .map_bytes = (uint64_t)setting_number(d, "read_model_map_size"),
        .poll_ms = (int64_t)(1000 * setting_number(d, "feed_poll_interval")),
    };
    enum tp_err err = tp_link_start(&d->link, link_path, diag);

    free(link_path);
    if (err)
        return err;
    options.link = d->link;
    return tp_publisher_start(&d->publisher, &options, diag);
}

static enum tp_err start_admin(struct daemon *d, struct tp_diag *diag)
{
    struct tp_admin_options options = {
        .socket_path = d->admin_socket,
        .settings = d->settings,
        .registry = &tp_bundled_plugins,
        .plugins = d->plugins,
        .open_store = open_store,
        .open_data = d,
        .publisher = d->publisher,
        .link = d->link,
        .counters = d->counters,
        .supervisor_pid = (int)getppid(),
    };
    const char *node_id = setting_text(d, "node_id");

    if (!node_id || !tp_uuid_parse(tp_str_from_cstr(node_id), &options.node_id))
        options.node_id = tp_uuid_random();
    return tp_admin_start(&d->admin, &options, diag);
}

/*
 * One control for an instance. After the death of a supervisor the old one may still be saving: wait for it, or it
 * would take the new one's sockets away when it ends.
 */
static enum tp_err take_lock(struct daemon *d, struct tp_diag *diag)
{
    char *path = tp_path_under(d->prefix, TP_PATH_CONTROL_LOCK);
    const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
    int64_t until = tp_clock_monotonic_ms() + LOCK_MS;
    enum tp_err err = TP_OK;

    d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    while (d->lock_fd >= 0 && flock(d->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (tp_clock_monotonic_ms() > until) {
            tp_diag_add(diag, NULL, "another control daemon holds %s", path);
            err = TP_ERR_EXISTS;
            break;
        }
        nanosleep(&pause, NULL);
    }
    if (d->lock_fd < 0) {
        tp_diag_add(diag, NULL, "%s: %m", path);
        err = TP_ERR_IO;
    }
    free(path);
    return err;
}

static void tell_ready(int fd)
{
    if (fd < 0)
        return;
    if (write(fd, "R", 1) < 0)
        tp_log(TP_LOG_WARN, "the supervisor does not wait for us");
    close(fd);
}

static enum tp_err start(struct daemon *d, int ready_fd, struct tp_diag *diag)
{
    struct tp_buf names;
    enum tp_err err;

    tp_buf_init(&names, 65536);
    join_plugins(d, &names);
    err = tp_plugin_set_new(&d->plugins, &tp_bundled_plugins, tp_buf_str(&names), diag);
    tp_buf_fini(&names);
    if (!err)
        err = take_lock(d, diag);
    if (!err)
        err = start_counters(d, diag);
    if (!err)
        err = start_publishing(d, diag);
    if (!err)
        err = start_admin(d, diag);
    if (!err)
        tell_ready(ready_fd); /* the Admin API answers from the first moment that clients are served */
    return err;
}

static void end(struct daemon *d)
{
    if (d->admin)
        tp_admin_stop(d->admin);
    if (d->publisher)
        tp_publisher_stop(d->publisher);
    if (d->link)
        tp_link_stop(d->link);
    if (d->saver)
        save_counters(d);
    tp_counter_saver_free(d->saver);
    tp_counters_free(d->counters);
    tp_shm_close(d->shm);
    tp_store_free(d->store);
    tp_plugin_set_free(d->plugins);
    json_decref(d->settings);
    json_decref(d->secrets);
    free(d->read_model_dir);
    free(d->admin_socket);
    free(d->log_path);
    if (d->log_fd >= 0)
        close(d->log_fd);
    if (d->lock_fd >= 0)
        close(d->lock_fd);
    pthread_mutex_destroy(&d->migrate_lock);
}

int tp_control_run(const char *prefix, int ready_fd)
{
    static const int signals[] = { SIGTERM, SIGQUIT, SIGINT, SIGUSR1, SIGUSR2, SIGHUP };
    struct daemon d = { .prefix = prefix, .log_fd = -1, .lock_fd = -1, .migrate_lock = PTHREAD_MUTEX_INITIALIZER };
    struct tp_diag *diag = tp_diag_new();
    int status = 1;
    sigset_t set;

    if (ready_fd >= 0)
        fcntl(ready_fd, F_SETFD, FD_CLOEXEC);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaddset(&set, signals[i]);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* before the first thread: all inherit it */
    prctl(PR_SET_DUMPABLE, 0);
    if (load_settings(&d, diag)) {
        report(&d, "settings", diag);
        goto out;
    }
    open_log(&d);
    if (start(&d, ready_fd, diag)) {
        report(&d, "cannot start", diag);
        goto out;
    }
    tp_log(TP_LOG_NOTICE, "control runs");
    run_until_told(&d, &set);
    tp_log(TP_LOG_NOTICE, "control ends");
    status = 0;
out:
    tp_diag_free(diag);
    end(&d);
    return status;
}
