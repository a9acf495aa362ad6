/* The supervisor: supervisor.h has the picture. */
#include "cli/supervisor.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/paths.h"
#include "cli/child.h"
#include "cli/leftovers.h"
#include "cli/sockets.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define MASTERS_MAX 8
#define CONTROL_READY_MS 120000 /* a first read model of a million keys takes seconds */
#define NGINX_READY_MS 30000
#define CONTROL_END_MS 15000 /* it saves the counters */
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 5000
#define STEADY_MS 10000 /* what lived so long starts again at once */
#define PROBE_MS 10
#define SAME_ASK_MS 500

enum phase { STARTING, RUNNING, DRAINING, QUITTING, ENDING, OVER };

struct master {
    pid_t pid;
    unsigned generation;
    int64_t started_ms;
    bool serving;
};

struct restart {
    int64_t at_ms;   /* 0: nothing to do */
    int64_t wait_ms; /* the next pause */
};

struct supervisor {
    const struct tp_settings_input *input;
    struct tp_instance *instance;
    struct tp_sockets sockets;

    /* A reload under way: what shall be, and the master that tries it. */
    struct tp_instance *next;
    struct tp_sockets next_sockets;
    unsigned next_generation; /* 0: none */
    bool reload_unreported;   /* control starts again with the new settings */

    struct master masters[MASTERS_MAX];
    size_t master_count;
    unsigned generation; /* of the newest master */
    unsigned current;    /* of the one that clients should reach; 0: none lives */
    struct restart nginx_restart;

    pid_t control;
    int control_ready_fd; /* -1: nothing to wait for */
    int64_t control_started_ms;
    struct restart control_restart;

    enum phase phase;
    int64_t deadline_ms; /* of the phase */
    int64_t stop_asked_ms;
    bool cut; /* nginx was told to end at once */
    int signal_fd;
    int ready_fd;
    int status;
};

static int64_t now_ms(void)
{
    return tp_clock_monotonic_ms();
}

static void log_diag(const char *what, struct tp_diag *diag)
{
    for (size_t i = 0; i < tp_diag_count(diag); i++)
        tp_log(TP_LOG_ERROR, "%s: %s%s%s", what, tp_diag_path(diag, i), tp_diag_path(diag, i)[0] ? ": " : "",
               tp_diag_message(diag, i));
}

static void enter(struct supervisor *s, enum phase phase, int64_t duration_ms)
{
    s->phase = phase;
    s->deadline_ms = now_ms() + duration_ms;
}

/* What lived long starts again at once; what dies young waits twice as long each time. */
static void plan_restart(struct restart *restart, int64_t started_ms)
{
    if (now_ms() - started_ms >= STEADY_MS)
        restart->wait_ms = 0;
    restart->at_ms = now_ms() + restart->wait_ms;
    restart->wait_ms = restart->wait_ms == 0 ? BACKOFF_FIRST_MS : restart->wait_ms * 2;
    if (restart->wait_ms > BACKOFF_MAX_MS)
        restart->wait_ms = BACKOFF_MAX_MS;
}

static bool is_due(struct restart *restart)
{
    if (restart->at_ms == 0 || now_ms() < restart->at_ms)
        return false;
    restart->at_ms = 0;
    return true;
}

/* --- nginx ------------------------------------------------------------------------------------- */

static struct master *find_master(struct supervisor *s, unsigned generation)
{
    for (size_t i = 0; i < s->master_count; i++)
        if (s->masters[i].generation == generation)
            return &s->masters[i];
    return NULL;
}

/* A new master for `instance` on `sockets`. Returns its generation, 0 when it could not be started. */
static unsigned start_master(struct supervisor *s, const struct tp_instance *instance, const struct tp_sockets *sockets)
{
    struct tp_diag *diag = tp_diag_new();
    char *ready_socket;
    pid_t pid = -1;

    if (s->master_count == MASTERS_MAX) {
        tp_log(TP_LOG_ERROR, "%d nginx masters are still ending: no further one is started now", MASTERS_MAX);
        tp_diag_free(diag);
        return 0;
    }
    ready_socket = tp_child_ready_socket(instance, ++s->generation);
    if (tp_instance_write(instance, ready_socket, diag) == TP_OK)
        pid = tp_child_nginx(instance, sockets, s->generation, diag);
    log_diag("nginx", diag);
    free(ready_socket);
    tp_diag_free(diag);
    if (pid < 0)
        return 0;
    s->masters[s->master_count++] = (struct master){ .pid = pid, .generation = s->generation, .started_ms = now_ms() };
    return s->generation;
}

/* Control that dies and comes back while the first nginx is still starting asks for it more than once. */
static void start_nginx(struct supervisor *s)
{
    if (s->current != 0)
        return;
    s->current = start_master(s, s->instance, &s->sockets);
    if (s->current == 0)
        plan_restart(&s->nginx_restart, now_ms());
    else
        tp_layout_write_pid(s->instance->layout.prefix, TP_PATH_NGINX_PID, find_master(s, s->current)->pid);
}

static void signal_masters(struct supervisor *s, int signal_number, unsigned but)
{
    for (size_t i = 0; i < s->master_count; i++)
        if (s->masters[i].generation != but)
            kill(s->masters[i].pid, signal_number);
}

static void remove_ready_socket(struct supervisor *s, unsigned generation)
{
    char *path = tp_child_ready_socket(s->instance, generation);

    unlink(path);
    free(path);
}

/* Whoever started us in the background waits for this. */
static void tell_ready(struct supervisor *s)
{
    tp_log(TP_LOG_NOTICE, "serving");
    if (s->ready_fd < 0)
        return;
    if (write(s->ready_fd, "R", 1) < 0)
        tp_log(TP_LOG_WARN, "nobody waited for the start");
    close(s->ready_fd);
    s->ready_fd = -1;
}

/* --- Control ----------------------------------------------------------------------------------- */

static void start_control(struct supervisor *s)
{
    struct tp_diag *diag = tp_diag_new();
    pid_t pid = tp_child_control(s->instance, &s->control_ready_fd, diag);

    log_diag("control", diag);
    tp_diag_free(diag);
    s->control_started_ms = now_ms();
    if (pid < 0) {
        plan_restart(&s->control_restart, now_ms());
        return;
    }
    s->control = pid;
    tp_layout_write_pid(s->instance->layout.prefix, TP_PATH_CONTROL_PID, pid);
}

static void close_control_ready(struct supervisor *s)
{
    if (s->control_ready_fd >= 0)
        close(s->control_ready_fd);
    s->control_ready_fd = -1;
}

static bool has_read_model(const struct supervisor *s)
{
    char *path = tp_path_under(s->instance->layout.prefix, TP_PATH_READ_MODEL "/current");
    bool has = access(path, F_OK) == 0;

    free(path);
    return has;
}

/* --- Stopping ---------------------------------------------------------------------------------- */

static void end_control(struct supervisor *s)
{
    s->control_restart.at_ms = 0;
    if (s->control)
        kill(s->control, SIGTERM);
    enter(s, ENDING, CONTROL_END_MS);
}

static void quit_nginx(struct supervisor *s)
{
    s->nginx_restart.at_ms = 0;
    s->cut = false;
    tp_sockets_close(&s->sockets); /* held open, they would let callers wait for nobody */
    tp_sockets_close(&s->next_sockets);
    signal_masters(s, SIGQUIT, 0);
    enter(s, QUITTING, (int64_t)(1000 * tp_settings_number(s->instance->settings, "drain_timeout")));
}

static void stop(struct supervisor *s, int status)
{
    int64_t delay_ms = (int64_t)(1000 * tp_settings_number(s->instance->settings, "drain_delay"));

    if (s->phase >= DRAINING) {
        /* Asked again: no more patience. But Ctrl-C reaches a whole group, which may pass it on to us. */
        if (now_ms() - s->stop_asked_ms > SAME_ASK_MS)
            s->deadline_ms = now_ms();
        return;
    }
    s->stop_asked_ms = now_ms();
    s->status = status;
    if (s->phase == RUNNING && delay_ms > 0) {
        tp_log(TP_LOG_NOTICE, "draining for %lld ms", (long long)delay_ms);
        enter(s, DRAINING, delay_ms);
        return;
    }
    tp_log(TP_LOG_NOTICE, "stopping");
    quit_nginx(s);
}

/* --- Reload ------------------------------------------------------------------------------------ */

/* For `turnpike reload`, which waits for it. */
static void report_reload(const struct supervisor *s, const char *outcome)
{
    char *path = tp_path_under(s->instance->layout.prefix, TP_PATH_RELOAD);

    tp_file_replace(path, tp_str_from_cstr(outcome), 0644, (gid_t)-1, NULL);
    free(path);
}

static void drop_next(struct supervisor *s)
{
    tp_instance_free(s->next);
    s->next = NULL;
    s->next_generation = 0;
    tp_sockets_close(&s->next_sockets);
}

/* These size the shared file, which counts for the old workers and the new: control makes another at a start only. */
static enum tp_err check_lasting(const struct supervisor *s, struct tp_diag *diag)
{
    static const char *const names[] = { "quota_identities", "quota_addresses" };
    enum tp_err err = TP_OK;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (tp_settings_number(s->instance->settings, names[i]) == tp_settings_number(s->next->settings, names[i]))
            continue;
        tp_diag_add(diag, names[i], "cannot change while running: use `turnpike restart`");
        err = TP_ERR_INVALID;
    }
    return err;
}

static void reload(struct supervisor *s)
{
    struct tp_settings_input input = *s->input;
    struct tp_diag *diag = tp_diag_new();

    if (s->phase != RUNNING || s->next_generation) {
        tp_log(TP_LOG_WARN, "reload: not now, a start, stop or reload is under way");
        report_reload(s, "a start, stop or reload is under way");
        goto out;
    }
    input.prefix = s->instance->layout.prefix; /* what runs stays where it is */
    if (tp_instance_load(&s->next, &input, diag) || check_lasting(s, diag) ||
        tp_sockets_open(&s->next_sockets, s->next->servers, &s->sockets, diag)) {
        log_diag("reload refused", diag);
        report_reload(s, tp_diag_text(diag));
        drop_next(s);
        goto out;
    }
    s->next_generation = start_master(s, s->next, &s->next_sockets);
    if (s->next_generation == 0) {
        report_reload(s, "nginx could not be started");
        drop_next(s);
    }
out:
    tp_diag_free(diag);
}

/* The new nginx answers: it takes over, and control starts again with the new settings. */
static void commit_reload(struct supervisor *s)
{
    signal_masters(s, SIGQUIT, s->next_generation);
    tp_instance_free(s->instance);
    tp_sockets_close(&s->sockets);
    s->instance = s->next;
    s->sockets = s->next_sockets;
    s->current = s->next_generation;
    s->nginx_restart.at_ms = 0;
    s->next = NULL;
    s->next_generation = 0;
    s->next_sockets.count = 0;
    tp_layout_write_pid(s->instance->layout.prefix, TP_PATH_NGINX_PID, find_master(s, s->current)->pid);
    s->control_restart.wait_ms = 0;
    if (s->control)
        kill(s->control, SIGTERM);
    s->reload_unreported = true;
    tp_log(TP_LOG_NOTICE, "reloaded");
}

/* The new nginx did not come up: what runs goes on, with its files as they were. */
static void abandon_reload(struct supervisor *s)
{
    char *ready_socket = tp_child_ready_socket(s->instance, s->current);
    struct tp_diag *diag = tp_diag_new();

    tp_log(TP_LOG_ERROR, "reload refused: nginx did not come up with the new settings, the old ones stay in force");
    report_reload(s, "nginx did not come up with the new settings; the old ones stay in force");
    drop_next(s);
    tp_instance_write(s->instance, ready_socket, diag);
    log_diag("reload", diag);
    tp_diag_free(diag);
    free(ready_socket);
}

/* --- Ends of processes ------------------------------------------------------------------------- */

static void describe_end(char *out, size_t size, int status)
{
    if (WIFSIGNALED(status))
        snprintf(out, size, "killed by signal %d", WTERMSIG(status));
    else
        snprintf(out, size, "ended with status %d", WEXITSTATUS(status));
}

static void on_control_end(struct supervisor *s, int status)
{
    bool was_starting = s->phase == STARTING && s->control_ready_fd >= 0;
    char how[64];

    describe_end(how, sizeof(how), status);
    s->control = 0;
    close_control_ready(s);
    tp_layout_write_pid(s->instance->layout.prefix, TP_PATH_CONTROL_PID, 0);
    if (s->phase >= ENDING)
        return;
    tp_log(s->reload_unreported ? TP_LOG_NOTICE : TP_LOG_ERROR, "control %s", how);
    if (was_starting && !has_read_model(s)) {
        tp_log(TP_LOG_CRIT, "control did not start, and there is no read model to serve from");
        stop(s, 1);
        return;
    }
    plan_restart(&s->control_restart, s->control_started_ms);
    if (was_starting)
        start_nginx(s);
}

static void on_master_end(struct supervisor *s, struct master *master, int status)
{
    struct master gone = *master;
    char how[64];

    describe_end(how, sizeof(how), status);
    *master = s->masters[--s->master_count];
    remove_ready_socket(s, gone.generation);
    if (gone.generation == s->next_generation) {
        abandon_reload(s);
        return;
    }
    if (gone.generation != s->current)
        return;
    s->current = 0;
    if (s->phase >= QUITTING)
        return;
    tp_log(TP_LOG_ERROR, "nginx %s", how);
    if (s->phase == STARTING) {
        tp_log(TP_LOG_CRIT, "nginx did not start: see above and %s",
               tp_settings_text(s->instance->settings, "proxy_error_log"));
        stop(s, 1);
        return;
    }
    plan_restart(&s->nginx_restart, gone.started_ms);
}

/* Also takes in orphans: workers whose master died, and, as PID 1, anybody's. */
static void reap(struct supervisor *s)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == s->control) {
            on_control_end(s, status);
            continue;
        }
        for (size_t i = 0; i < s->master_count; i++)
            if (s->masters[i].pid == pid) {
                on_master_end(s, &s->masters[i], status);
                break;
            }
    }
}

/* --- The loop ---------------------------------------------------------------------------------- */

static void on_signal(struct supervisor *s, const struct signalfd_siginfo *info)
{
    switch (info->ssi_signo) {
    case SIGCHLD: reap(s); break;
    case SIGHUP: reload(s); break;
    case SIGUSR1: /* logs were moved away: open new ones */
        signal_masters(s, SIGUSR1, 0);
        if (s->control)
            kill(s->control, SIGUSR1);
        break;
    case SIGUSR2: break; /* nginx's way to upgrade: here it is a restart */
    default: stop(s, 0); break;
    }
}

static void look_at_control(struct supervisor *s)
{
    char byte;

    if (s->control_ready_fd >= 0 && read(s->control_ready_fd, &byte, 1) == 1) {
        close_control_ready(s);
        if (s->phase == STARTING)
            start_nginx(s);
        if (s->reload_unreported)
            report_reload(s, "ok");
        s->reload_unreported = false;
    } else if (s->phase == STARTING && s->control_ready_fd >= 0 && now_ms() > s->deadline_ms) {
        tp_log(TP_LOG_ERROR, "control is not ready yet; nginx starts without waiting longer");
        close_control_ready(s);
        start_nginx(s);
    }
    if (s->control == 0 && s->phase < ENDING && is_due(&s->control_restart))
        start_control(s);
}

static void on_master_serving(struct supervisor *s, struct master *master)
{
    master->serving = true;
    s->nginx_restart.wait_ms = 0;
    if (master->generation == s->next_generation) {
        commit_reload(s);
    } else if (s->phase == STARTING) {
        enter(s, RUNNING, 0);
        tell_ready(s);
    } else {
        tp_log(TP_LOG_NOTICE, "nginx serves again");
    }
}

static void look_at_masters(struct supervisor *s)
{
    for (size_t i = 0; i < s->master_count && s->phase < DRAINING; i++) {
        struct master *master = &s->masters[i];
        const struct tp_instance *in = master->generation == s->next_generation ? s->next : s->instance;
        char *ready_socket;

        if (master->serving)
            continue;
        ready_socket = tp_child_ready_socket(in, master->generation);
        if (tp_ready_ask(ready_socket))
            on_master_serving(s, master);
        else if (now_ms() - master->started_ms > NGINX_READY_MS)
            kill(master->pid, SIGKILL); /* its end decides what happens next */
        free(ready_socket);
    }
    if (s->phase < QUITTING && is_due(&s->nginx_restart))
        start_nginx(s);
}

static void look_at_phase(struct supervisor *s)
{
    bool late = now_ms() >= s->deadline_ms;

    if (s->phase == DRAINING && late)
        quit_nginx(s);
    if (s->phase == QUITTING) {
        if (s->master_count == 0) {
            end_control(s);
        } else if (late) {
            /* TERM cuts what is in flight; a master that ignores it is killed the next time round. */
            tp_log(TP_LOG_WARN, "requests still in flight are cut");
            signal_masters(s, s->cut ? SIGKILL : SIGTERM, 0);
            s->cut = true;
            enter(s, QUITTING, 2000);
        }
    }
    if (s->phase == ENDING) {
        if (s->control == 0)
            enter(s, OVER, 0);
        else if (late)
            kill(s->control, SIGKILL);
    }
}

/* How long the loop may sleep. */
static int pause_ms(const struct supervisor *s)
{
    int64_t until = -1,
            times[] = { s->nginx_restart.at_ms, s->control_restart.at_ms, s->phase != RUNNING ? s->deadline_ms : 0 };

    for (size_t i = 0; i < s->master_count; i++)
        if (!s->masters[i].serving && s->phase < DRAINING)
            return PROBE_MS;
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        if (times[i] != 0 && (until < 0 || times[i] < until))
            until = times[i];
    if (until < 0)
        return -1;
    until -= now_ms();
    return until < PROBE_MS ? PROBE_MS : until > 60000 ? 60000 : (int)until;
}

static void run_loop(struct supervisor *s)
{
    while (s->phase != OVER) {
        struct pollfd fds[2] = { { .fd = s->signal_fd, .events = POLLIN },
                                 { .fd = s->control_ready_fd, .events = POLLIN } };
        struct signalfd_siginfo info;

        poll(fds, 2, pause_ms(s));
        while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
            on_signal(s, &info);
        look_at_control(s);
        look_at_masters(s);
        look_at_phase(s);
    }
}

static bool watch_signals(struct supervisor *s)
{
    static const int signals[] = { SIGCHLD, SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2 };
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaddset(&set, signals[i]);
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return s->signal_fd >= 0;
}

int tp_supervisor_run(struct tp_instance *instance, const struct tp_settings_input *input, int ready_fd)
{
    struct supervisor *s = tp_new(struct supervisor);
    struct tp_diag *diag = tp_diag_new();
    pid_t holder = 0;
    int lock_fd = -1, status = 1;
    enum tp_err err;

    s->input = input;
    s->instance = instance;
    s->ready_fd = ready_fd;
    s->control_ready_fd = -1;
    s->signal_fd = -1;
    err = tp_layout_lock(instance->layout.prefix, &lock_fd, &holder, diag);
    if (err == TP_ERR_EXISTS)
        tp_diag_add(diag, NULL, "Turnpike is already running in %s (process %d)", instance->layout.prefix, (int)holder);
    if (err)
        goto out;
    tp_leftovers_remove_sockets(&instance->layout);
    if (!watch_signals(s)) {
        tp_diag_add(diag, NULL, "signals: %m");
        goto out;
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_DUMPABLE, 0);
    err = tp_sockets_open(&s->sockets, instance->servers, NULL, diag);
    if (!err)
        err = tp_instance_write(instance, "", diag);
    if (err)
        goto out;
    enter(s, STARTING, CONTROL_READY_MS);
    start_control(s);
    run_loop(s);
    tp_leftovers_end();
    tp_layout_write_pid(s->instance->layout.prefix, TP_PATH_NGINX_PID, 0);
    status = s->status;
out:
    for (size_t i = 0; i < tp_diag_count(diag); i++)
        fprintf(stderr, "Error: %s\n", tp_diag_message(diag, i));
    tp_diag_free(diag);
    tp_sockets_close(&s->sockets);
    drop_next(s);
    if (s->signal_fd >= 0)
        close(s->signal_fd);
    if (s->ready_fd >= 0)
        close(s->ready_fd);
    if (lock_fd >= 0)
        close(lock_fd);
    tp_instance_free(s->instance);
    free(s);
    return status;
}
