/* The folder of an instance. */
#include "cli/layout.h"

#include "base/mem.h"
#include "base/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LOCK_ATTEMPTS 20

/* The longest socket path that is made below a prefix. */
#define LONGEST_SOCKET "/sockets/ready-4294967295.sock"

/*
 * Who may do what. Control and we write; workers read, and speak through the sockets. What workers write is one level
 * down, in folders that nginx makes for them in temp: it starts as root and gives them away by name, so that a worker
 * who could put a link in such a place would be given the link's target.
 */
enum owner { OURS, GROUP_READS };

static const struct {
    const char *path;
    mode_t mode;
    enum owner owner;
} folders[] = {
    { "run", 0750, GROUP_READS },    { "sockets", 0750, GROUP_READS }, { "read", 0750, GROUP_READS },
    { "shared", 0750, GROUP_READS }, { "logs", 0750, GROUP_READS },    { "data", 0700, OURS },
    { "ssl", 0700, OURS },           { "temp", 0750, GROUP_READS },
};

/* As root, what we make can be entered by everybody whatever the umask: what is in it has its own modes. */
static bool make_folder_if_missing(const char *path)
{
    if (mkdir(path, 0755) != 0)
        return errno == EEXIST;
    return geteuid() != 0 || chmod(path, 0755) == 0;
}

/* mkdir -p */
static bool make_path(const char *path)
{
    char *copy = tp_strdup(path);
    bool ok = true;

    for (char *c = copy + 1; ok && *c; c++) {
        if (*c != '/')
            continue;
        *c = '\0';
        ok = make_folder_if_missing(copy);
        *c = '/';
    }
    ok = ok && make_folder_if_missing(copy);
    free(copy);
    return ok;
}

static void use_user(struct tp_layout *l, const struct passwd *user, gid_t gid)
{
    const struct group *group = getgrgid(gid);

    l->worker_uid = user->pw_uid;
    l->worker_gid = gid;
    snprintf(l->worker_user, sizeof(l->worker_user), "%s", user->pw_name);
    snprintf(l->worker_group, sizeof(l->worker_group), "%s", group ? group->gr_name : "nogroup");
}

/* "user [group]". An account that does not exist is passed over, as Kong does with its default. */
static bool use_setting(struct tp_layout *l, const char *setting)
{
    char user_name[64] = "", group_name[64] = "";
    const struct passwd *user;
    const struct group *group;

    if (!setting || sscanf(setting, "%63s %63s", user_name, group_name) < 1)
        return false;
    user = getpwnam(user_name);
    if (!user)
        return false;
    group = group_name[0] ? getgrnam(group_name) : NULL;
    use_user(l, user, group ? group->gr_gid : user->pw_gid);
    return true;
}

static enum tp_err find_workers_user(struct tp_layout *l, const struct tp_settings *s, struct tp_diag *diag)
{
    static const char *const usual[] = { "turnpike", "www-data", "nobody" };
    const char *wanted = tp_settings_text(s, "nginx_user");

    l->worker_uid = geteuid();
    l->worker_gid = getegid();
    if (geteuid() != 0)
        return TP_OK;
    if (!wanted)
        wanted = tp_settings_text(s, "nginx_main_user");
    l->drop_root = true;
    if (use_setting(l, wanted))
        return TP_OK;
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
        if (use_setting(l, usual[i]))
            return TP_OK;
    tp_diag_add(diag, "nginx_user", "none of the accounts exists: %s, turnpike, www-data, nobody",
                wanted ? wanted : "(unset)");
    return TP_ERR_INVALID;
}

static bool may_enter(const struct tp_layout *l, const struct stat *st)
{
    if (l->worker_uid == 0)
        return true;
    if (st->st_uid == l->worker_uid)
        return st->st_mode & S_IXUSR;
    if (st->st_gid == l->worker_gid)
        return st->st_mode & S_IXGRP;
    return st->st_mode & S_IXOTH;
}

/* A worker that cannot reach its prefix would fail later, with a message that helps nobody. */
static enum tp_err check_reach(const struct tp_layout *l, struct tp_diag *diag)
{
    char *path = tp_strdup(l->prefix);
    enum tp_err err = TP_OK;
    struct stat st;

    for (char *end = path + strlen(path); end > path && !err;) {
        *end = '\0';
        if (stat(path, &st) == 0 && !may_enter(l, &st)) {
            tp_diag_add(diag, "prefix",
                        "user %s, whom the workers run as, may not enter %s (mode %04o): choose another prefix, or set "
                        "nginx_user",
                        l->worker_user, path, st.st_mode & 07777);
            err = TP_ERR_INVALID;
        }
        end = strrchr(path, '/');
    }
    free(path);
    return err;
}

static enum tp_err make_folder(const struct tp_layout *l, size_t i, struct tp_diag *diag)
{
    char *path = tp_path_under(l->prefix, folders[i].path);
    bool ok = mkdir(path, folders[i].mode) == 0 || errno == EEXIST;

    if (ok && l->drop_root) {
        gid_t gid = folders[i].owner == OURS ? getegid() : l->worker_gid;

        ok = chown(path, geteuid(), gid) == 0;
    }
    ok = ok && chmod(path, folders[i].mode) == 0;
    if (!ok)
        tp_diag_add(diag, "prefix", "%s: %m", path);
    free(path);
    return ok ? TP_OK : TP_ERR_IO;
}

enum tp_err tp_layout_prepare(struct tp_layout *out, const struct tp_settings *settings, struct tp_diag *diag)
{
    const char *prefix = tp_settings_text(settings, "prefix");
    struct tp_layout l = { 0 };
    enum tp_err err;

    err = find_workers_user(&l, settings, diag);
    if (err)
        return err;
    if (!make_path(prefix) || !(l.prefix = realpath(prefix, NULL))) {
        tp_diag_add(diag, "prefix", "%s: %m", prefix);
        return TP_ERR_IO;
    }
    if (strlen(l.prefix) + sizeof(LONGEST_SOCKET) > sizeof(((struct sockaddr_un *)0)->sun_path)) {
        tp_diag_add(diag, "prefix", "%s is too long for unix sockets below it: at most %zu bytes", l.prefix,
                    sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof(LONGEST_SOCKET));
        err = TP_ERR_INVALID;
    }
    if (!err && l.drop_root)
        err = check_reach(&l, diag);
    for (size_t i = 0; !err && i < sizeof(folders) / sizeof(folders[0]); i++)
        err = make_folder(&l, i, diag);
    if (err)
        tp_layout_fini(&l);
    else
        *out = l;
    return err;
}

void tp_layout_fini(struct tp_layout *layout)
{
    free(layout->prefix);
    layout->prefix = NULL;
}

enum tp_err tp_file_replace(const char *path, struct tp_str text, mode_t mode, gid_t gid, struct tp_diag *diag)
{
    char temporary[PATH_MAX];
    size_t done = 0;
    ssize_t n = 0;
    bool ok;
    int fd;

    snprintf(temporary, sizeof(temporary), "%s.new", path);
    unlink(temporary);
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    ok = fd >= 0;
    while (ok && done < text.len) {
        n = write(fd, text.data + done, text.len - done);
        ok = n > 0 || (n < 0 && errno == EINTR);
        done += n > 0 ? (size_t)n : 0;
    }
    if (ok && gid != (gid_t)-1)
        ok = fchown(fd, (uid_t)-1, gid) == 0;
    ok = ok && fchmod(fd, mode) == 0 && fsync(fd) == 0 && rename(temporary, path) == 0;
    if (!ok)
        tp_diag_add(diag, NULL, "%s: %m", path);
    if (fd >= 0)
        close(fd);
    return ok ? TP_OK : TP_ERR_IO;
}

static pid_t pid_in(int fd)
{
    char text[32] = "";
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

    return n > 0 ? (pid_t)strtol(text, NULL, 10) : 0;
}

/* tp_layout_holder holds the lock for the moment of its question: that must not look like a running instance. */
static bool take_lock(int fd)
{
    const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };

    for (int attempt = 0; attempt < LOCK_ATTEMPTS; attempt++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

enum tp_err tp_layout_lock(const char *prefix, int *lock_fd, pid_t *holder, struct tp_diag *diag)
{
    char *path = tp_path_under(prefix, TP_PATH_PID);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    enum tp_err err = TP_OK;
    char text[32];

    if (fd < 0) {
        tp_diag_add(diag, NULL, "%s: %m", path);
        err = TP_ERR_IO;
    } else if (!take_lock(fd)) {
        *holder = pid_in(fd);
        err = TP_ERR_EXISTS;
    } else {
        snprintf(text, sizeof(text), "%d\n", (int)getpid());
        if (ftruncate(fd, 0) != 0 || pwrite(fd, text, strlen(text), 0) < 0) {
            tp_diag_add(diag, NULL, "%s: %m", path);
            err = TP_ERR_IO;
        }
    }
    if (err && fd >= 0)
        close(fd);
    else
        *lock_fd = fd;
    free(path);
    return err;
}

pid_t tp_layout_holder(const char *prefix)
{
    char *path = tp_path_under(prefix, TP_PATH_PID);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    pid_t pid = 0;

    free(path);
    if (fd < 0)
        return 0;
    if (flock(fd, LOCK_SH | LOCK_NB) != 0)
        pid = pid_in(fd);
    close(fd);
    return pid;
}

pid_t tp_layout_read_pid(const char *prefix, const char *relative)
{
    char *path = tp_path_under(prefix, relative);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    pid_t pid = fd < 0 ? 0 : pid_in(fd);

    if (fd >= 0)
        close(fd);
    free(path);
    return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM) ? pid : 0;
}

void tp_layout_write_pid(const char *prefix, const char *relative, pid_t pid)
{
    char *path = tp_path_under(prefix, relative), text[32];

    if (pid == 0) {
        unlink(path);
    } else {
        snprintf(text, sizeof(text), "%d\n", (int)pid);
        tp_file_replace(path, tp_str_from_cstr(text), 0644, (gid_t)-1, NULL);
    }
    free(path);
}
