/* Starting nginx and control. */
#include "cli/child.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENVIRONMENT_MAX 32

/* What the child may see of our environment; secrets come in variables of other names. */
static const char *const kept_variables[] = {
    "PATH",         "TZ",           "LANG",         "HOME",          "LD_LIBRARY_PATH", "LD_PRELOAD",
    "ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS", "SSL_CERT_FILE",   "SSL_CERT_DIR",
};

struct environment {
    char *items[ENVIRONMENT_MAX + 1];
    size_t count;
};

static void environment_add(struct environment *env, const char *name, const char *value)
{
    TP_ASSERT(env->count < ENVIRONMENT_MAX);
    if (asprintf(&env->items[env->count++], "%s=%s", name, value) < 0)
        abort();
}

static void environment_init(struct environment *env)
{
    *env = (struct environment){ 0 };
    for (size_t i = 0; i < sizeof(kept_variables) / sizeof(kept_variables[0]); i++)
        if (getenv(kept_variables[i]))
            environment_add(env, kept_variables[i], getenv(kept_variables[i]));
}

static void environment_fini(struct environment *env)
{
    for (size_t i = 0; i < env->count; i++)
        free(env->items[i]);
}

#ifdef __SANITIZE_ADDRESS__
static int find_asan(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    if (!strstr(info->dlpi_name, "libasan.so"))
        return 0;
    *(const char **)data = info->dlpi_name;
    return 1;
}

/* A module built with the sanitizer needs its library in Debian's nginx before everything else. */
static void environment_add_sanitizer(struct environment *env)
{
    const char *library = NULL;

    if (getenv("LD_PRELOAD") || !dl_iterate_phdr(find_asan, &library))
        return;
    environment_add(env, "LD_PRELOAD", library);
    if (!getenv("ASAN_OPTIONS"))
        environment_add(env, "ASAN_OPTIONS", "detect_leaks=0");
}
#else
static void environment_add_sanitizer(struct environment *env)
{
    (void)env;
}
#endif

/* In the new process: forget what is the supervisor's. */
static void become_child(pid_t parent, int death_signal)
{
    sigset_t none;
    int null;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, death_signal);
    if (getppid() != parent)
        _exit(1);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    null = open("/dev/null", O_RDONLY);
    if (null > 0) {
        dup2(null, STDIN_FILENO);
        close(null);
    }
}

static void keep_open(int fd)
{
    fcntl(fd, F_SETFD, fcntl(fd, F_GETFD) & ~FD_CLOEXEC);
}

char *tp_child_ready_socket(const struct tp_instance *in, unsigned generation)
{
    char relative[64];

    snprintf(relative, sizeof(relative), "sockets/ready-%u.sock", generation);
    return tp_path_under(in->layout.prefix, relative);
}

/* nginx takes the sockets from this variable, as from an older nginx that it replaces. */
static void environment_add_sockets(struct environment *env, const struct tp_sockets *sockets)
{
    struct tp_buf list;

    tp_buf_init(&list, 0);
    for (size_t i = 0; i < sockets->count; i++)
        tp_buf_addf(&list, "%d;", sockets->items[i].fd);
    if (list.len > 0)
        environment_add(env, "NGINX", list.data);
    tp_buf_fini(&list);
}

pid_t tp_child_nginx(const struct tp_instance *in, const struct tp_sockets *sockets, unsigned generation,
                     struct tp_diag *diag)
{
    const char *binary = tp_settings_text(in->settings, "nginx_binary");
    char *conf = tp_path_under(in->layout.prefix, TP_PATH_NGINX_CONF), *globals;
    struct environment env;
    pid_t parent = getpid(), pid;

    /* A pid file for each: the older master removes its own when it ends. */
    if (asprintf(&globals, "daemon off; pid \"%s/run/nginx-%u.pid\";", in->layout.prefix, generation) < 0)
        abort();
    environment_init(&env);
    environment_add_sanitizer(&env);
    environment_add_sockets(&env, sockets);
    pid = fork();
    if (pid == 0) {
        char *argv[] = { (char *)"nginx", (char *)"-p", in->layout.prefix, (char *)"-c", conf, (char *)"-g",
                         globals,         NULL };

        become_child(parent, SIGQUIT);
        for (size_t i = 0; i < sockets->count; i++)
            keep_open(sockets->items[i].fd);
        execvpe(binary, argv, env.items);
        if (strcmp(binary, "nginx") == 0) /* not in the path of an ordinary user */
            execve("/usr/sbin/nginx", argv, env.items);
        fprintf(stderr, "cannot run %s: %m\n", binary);
        _exit(127);
    }
    if (pid < 0)
        tp_diag_add(diag, NULL, "cannot start a process: %m");
    environment_fini(&env);
    free(globals);
    free(conf);
    return pid;
}

/* Control stays who we are, but what it makes belongs to the workers' group. */
static void become_control(const struct tp_layout *layout)
{
    umask(0007);
    if (layout->drop_root && (setgroups(0, NULL) != 0 || setgid(layout->worker_gid) != 0))
        _exit(1);
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* once more: a change of group has forgotten it */
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

pid_t tp_child_control(const struct tp_instance *in, int *ready_fd, struct tp_diag *diag)
{
    char *self = tp_self_path(), fd_text[16];
    struct environment env;
    int ends[2];
    pid_t parent = getpid(), pid;

    if (!self || pipe2(ends, O_CLOEXEC) != 0) {
        tp_diag_add(diag, NULL, "cannot start control: %m");
        free(self);
        return -1;
    }
    snprintf(fd_text, sizeof(fd_text), "%d", ends[1]);
    environment_init(&env);
    pid = fork();
    if (pid == 0) {
        char *argv[] = { self, (char *)"control", in->layout.prefix, fd_text, NULL };

        become_child(parent, SIGTERM);
        become_control(&in->layout);
        keep_open(ends[1]);
        execve(self, argv, env.items);
        fprintf(stderr, "cannot run %s: %m\n", self);
        _exit(127);
    }
    close(ends[1]);
    if (pid < 0) {
        tp_diag_add(diag, NULL, "cannot start a process: %m");
        close(ends[0]);
    } else {
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        *ready_fd = ends[0];
    }
    environment_fini(&env);
    free(self);
    return pid;
}
