/* run, start, restart, prepare, check, and the hidden control. */
#include "base/log.h"
#include "base/mem.h"
#include "base/paths.h"
#include "cli/commands.h"
#include "cli/supervisor.h"
#include "control/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_TAIL_MAX 65536

static void start_log(const struct tp_instance *instance, const struct tp_args *args)
{
    enum tp_log_level level = TP_LOG_NOTICE;

    tp_log_level_parse(tp_str_from_cstr(tp_settings_text(instance->settings, "log_level")), &level);
    if (tp_args_get(args, "vv"))
        level = TP_LOG_DEBUG;
    else if (tp_args_get(args, "v") && level > TP_LOG_INFO)
        level = TP_LOG_INFO;
    tp_log_start(STDERR_FILENO, level, "turnpike");
}

/* The file may be named relative to a folder that we leave. */
static char *absolute_file(struct tp_settings_input *input)
{
    char *path = input->file ? realpath(input->file, NULL) : NULL;

    if (path)
        input->file = path;
    return path;
}

static struct tp_instance *load_instance(const struct tp_settings_input *input)
{
    struct tp_diag *diag = tp_diag_new();
    struct tp_instance *instance = NULL;

    if (tp_instance_load(&instance, input, diag))
        tp_fail(diag);
    tp_diag_free(diag);
    return instance;
}

int tp_cmd_run(const struct tp_args *args)
{
    struct tp_settings_input input = tp_args_settings(args);
    char *file = absolute_file(&input);
    struct tp_instance *instance = load_instance(&input);
    int status = 1;

    if (instance) {
        start_log(instance, args);
        status = tp_supervisor_run(instance, &input, -1);
    }
    free(file);
    return status;
}

/* What the background process said from `offset` on. */
static void show_log(const char *path, off_t offset)
{
    char *text = tp_calloc(1, LOG_TAIL_MAX);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        if (pread(fd, text, LOG_TAIL_MAX - 1, offset) > 0)
            fputs(text, stderr);
        close(fd);
    }
    free(text);
}

/* In the background process: its own session, its words in the log. */
static int background(struct tp_instance *instance, const struct tp_settings_input *input, const struct tp_args *args,
                      int log_fd, int ready_fd)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    setsid();
    dup2(null, STDIN_FILENO);
    dup2(log_fd, STDOUT_FILENO);
    dup2(log_fd, STDERR_FILENO);
    if (chdir(instance->layout.prefix) != 0)
        return 1;
    start_log(instance, args);
    return tp_supervisor_run(instance, input, ready_fd);
}

/* Wait for the byte that says "serving". */
static bool wait_ready(int fd)
{
    char byte;
    ssize_t n;

    do
        n = read(fd, &byte, 1);
    while (n < 0 && errno == EINTR);
    return n == 1;
}

static int start_instance(struct tp_instance *instance, const struct tp_settings_input *input,
                          const struct tp_args *args)
{
    char *log_path = tp_path_under(instance->layout.prefix, TP_PATH_START_LOG);
    int log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640), ends[2], status = 1;
    off_t offset = log_fd < 0 ? 0 : lseek(log_fd, 0, SEEK_END);
    pid_t pid = -1;

    if (log_fd < 0 || pipe2(ends, O_CLOEXEC) != 0) {
        fprintf(stderr, "Error: %s: %m\n", log_path);
        goto out;
    }
    pid = fork();
    if (pid == 0) {
        close(ends[0]);
        _exit(background(instance, input, args, log_fd, ends[1]));
    }
    close(ends[1]);
    if (pid > 0 && wait_ready(ends[0])) {
        printf("Turnpike started\n");
        status = 0;
    } else {
        if (pid > 0)
            waitpid(pid, NULL, 0);
        show_log(log_path, offset);
        fprintf(stderr, "Error: Turnpike did not start\n");
    }
    close(ends[0]);
out:
    if (log_fd >= 0)
        close(log_fd);
    free(log_path);
    return status;
}

int tp_cmd_start(const struct tp_args *args)
{
    struct tp_settings_input input = tp_args_settings(args);
    char *file = absolute_file(&input);
    struct tp_instance *instance = load_instance(&input);
    int status = 1;
    pid_t holder;

    if (!instance)
        goto out;
    holder = tp_layout_holder(instance->layout.prefix);
    if (holder)
        fprintf(stderr, "Error: Turnpike is already running in %s (process %d)\n", instance->layout.prefix,
                (int)holder);
    else
        status = start_instance(instance, &input, args);
out:
    tp_instance_free(instance);
    free(file);
    return status;
}

int tp_cmd_restart(const struct tp_args *args)
{
    char *prefix = tp_find_prefix(args);
    bool runs = prefix && tp_layout_holder(prefix) != 0;
    int status = 0;

    free(prefix);
    if (runs)
        status = tp_cmd_stop(args);
    return status ? status : tp_cmd_start(args);
}

int tp_cmd_prepare(const struct tp_args *args)
{
    struct tp_settings_input input = tp_args_settings(args);
    struct tp_instance *instance = load_instance(&input);
    struct tp_diag *diag;
    char *ready_socket;
    pid_t holder;
    int status = 1;

    if (!instance)
        return 1;
    holder = tp_layout_holder(instance->layout.prefix);
    if (holder) { /* its files are in use */
        fprintf(stderr, "Error: Turnpike is already running in %s (process %d)\n", instance->layout.prefix,
                (int)holder);
        tp_instance_free(instance);
        return 1;
    }
    diag = tp_diag_new();
    ready_socket = tp_path_under(instance->layout.prefix, "sockets/ready-0.sock");
    if (tp_instance_write(instance, ready_socket, diag))
        tp_fail(diag);
    else
        status = 0;
    free(ready_socket);
    tp_diag_free(diag);
    tp_instance_free(instance);
    return status;
}

int tp_cmd_check(const struct tp_args *args)
{
    struct tp_settings_input input = tp_args_settings(args);
    struct tp_diag *diag = tp_diag_new();
    struct tp_settings *settings = NULL;
    int status = 0;

    if (args->parameter_count)
        input.file = args->parameters[0];
    if (tp_settings_load(&settings, &input, diag) == TP_OK) {
        if (tp_settings_file(settings))
            printf("configuration at %s is valid\n", tp_settings_file(settings));
        else
            printf("configuration is valid (no file; environment and defaults)\n");
    } else {
        for (size_t i = 0; i < tp_diag_count(diag); i++)
            fprintf(stderr, "[error] %s%s%s\n", tp_diag_path(diag, i), tp_diag_path(diag, i)[0] ? ": " : "",
                    tp_diag_message(diag, i));
        status = 1;
    }
    tp_settings_free(settings);
    tp_diag_free(diag);
    return status;
}

int tp_cmd_control(const struct tp_args *args)
{
    int64_t fd = -1;

    tp_str_to_i64(tp_str_from_cstr(args->parameters[1]), &fd);
    return tp_control_run(args->parameters[0], fd >= 0 && fd <= INT_MAX ? (int)fd : -1);
}
