/* stop, quit, reload, health: speaking to the supervisor of a running instance. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/paths.h"
#include "cli/commands.h"
#include "cli/layout.h"
#include "cli/machine.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define RELOAD_MS 60000

static void sleep_ms(int64_t ms)
{
    struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };

    nanosleep(&pause, NULL);
}

/* True when the holder has gone within the time. */
static bool wait_gone(const char *prefix, pid_t pid, int64_t timeout_ms)
{
    int64_t end = tp_clock_monotonic_ms() + timeout_ms;

    while (tp_layout_holder(prefix) == pid) {
        if (tp_clock_monotonic_ms() >= end)
            return false;
        sleep_ms(20);
    }
    return true;
}

/* The running supervisor and its prefix; 0 after a message. */
static pid_t find_running(const struct tp_args *args, char **prefix)
{
    pid_t pid;

    *prefix = tp_find_prefix(args);
    if (!*prefix)
        return 0;
    pid = tp_layout_holder(*prefix);
    if (pid == 0)
        fprintf(stderr, "Error: Turnpike is not running in %s\n", *prefix);
    return pid;
}

static bool send_signal(pid_t pid, int signal_number)
{
    if (kill(pid, signal_number) == 0)
        return true;
    fprintf(stderr, "Error: process %d: %m\n", (int)pid);
    return false;
}

int tp_cmd_stop(const struct tp_args *args)
{
    char *prefix = NULL;
    pid_t pid = find_running(args, &prefix);
    int status = 1;

    if (pid && send_signal(pid, SIGTERM)) {
        while (!wait_gone(prefix, pid, 60000))
            fprintf(stderr, "still waiting for process %d\n", (int)pid);
        printf("Turnpike stopped\n");
        status = 0;
    }
    free(prefix);
    return status;
}

int tp_cmd_quit(const struct tp_args *args)
{
    double timeout, wait;
    char *prefix = NULL;
    int status = 1;
    pid_t pid;

    if (!tp_args_seconds(args, "timeout", 10, &timeout) || !tp_args_seconds(args, "wait", 0, &wait))
        return 1;
    pid = find_running(args, &prefix);
    if (!pid)
        goto out;
    sleep_ms((int64_t)(wait * 1000));
    if (!send_signal(pid, SIGQUIT))
        goto out;
    status = 0;
    if (wait_gone(prefix, pid, (int64_t)(timeout * 1000))) {
        printf("Turnpike stopped (gracefully)\n");
        goto out;
    }
    kill(pid, SIGTERM); /* the second request to stop has no patience */
    if (wait_gone(prefix, pid, 30000)) {
        printf("Timeout, Turnpike stopped forcefully\n");
    } else {
        fprintf(stderr, "Error: process %d does not end\n", (int)pid);
        status = 1;
    }
out:
    free(prefix);
    return status;
}

/* How the reload ended, as the supervisor wrote it. Owned; NULL: it did not. */
static char *wait_outcome(const char *path)
{
    int64_t end = tp_clock_monotonic_ms() + RELOAD_MS;
    char *outcome;

    while (!(outcome = tp_file_text(path)) && tp_clock_monotonic_ms() < end)
        sleep_ms(20);
    return outcome;
}

int tp_cmd_reload(const struct tp_args *args)
{
    char *prefix = NULL, *path = NULL, *outcome = NULL;
    pid_t pid = find_running(args, &prefix);
    int status = 1;

    if (!pid)
        goto out;
    path = tp_path_under(prefix, TP_PATH_RELOAD);
    unlink(path);
    if (!send_signal(pid, SIGHUP))
        goto out;
    outcome = wait_outcome(path);
    if (outcome && strcmp(outcome, "ok") == 0) {
        printf("Turnpike reloaded\n");
        status = 0;
    } else {
        fprintf(stderr, "Error: reload refused: %s\n", outcome ? outcome : "no answer");
    }
out:
    free(outcome);
    free(path);
    free(prefix);
    return status;
}

static bool report(const char *name, bool runs)
{
    char dots[] = "............";

    /* Kong pads to twelve characters. */
    dots[strlen(name) < 12 ? 12 - strlen(name) : 0] = '\0';
    printf("%s%s%s\n", name, dots, runs ? "running" : "not running");
    return runs;
}

int tp_cmd_health(const struct tp_args *args)
{
    char *prefix = tp_find_prefix(args);
    bool nginx, control;

    if (!prefix)
        return 1;
    if (tp_layout_holder(prefix) == 0) {
        fprintf(stderr, "Error: Turnpike is not running at %s\n", prefix);
        free(prefix);
        return 1;
    }
    nginx = report("nginx", tp_layout_read_pid(prefix, TP_PATH_NGINX_PID) != 0);
    control = report("control", tp_layout_read_pid(prefix, TP_PATH_CONTROL_PID) != 0);
    if (nginx && control)
        printf("\nTurnpike is healthy at %s\n", prefix);
    else
        fprintf(stderr, "\nError: some of Turnpike's processes are not running at %s\n", prefix);
    free(prefix);
    return nginx && control ? 0 : 1;
}
