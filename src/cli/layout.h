/*
 * The folder of an instance: what is in it, who may read it, and which process holds it.
 */
#ifndef TP_CLI_LAYOUT_H
#define TP_CLI_LAYOUT_H

#include "cli/settings.h"

#include <sys/types.h>

struct tp_layout {
    char *prefix;   /* absolute, without links */
    bool drop_root; /* workers run as another user than we do */
    uid_t worker_uid;
    gid_t worker_gid; /* also the group of what workers may read */
    char worker_user[64];
    char worker_group[64];
};

/*
 * Make the folder and what belongs in it, with owners and modes; find the workers' user. On success *out is filled:
 * tp_layout_fini. On failure `diag` says what to fix.
 */
enum tp_err tp_layout_prepare(struct tp_layout *out, const struct tp_settings *settings, struct tp_diag *diag);
void tp_layout_fini(struct tp_layout *layout);

/* Write a file so that a reader sees the old or the new text, never a part. `gid` (gid_t)-1: ours. */
enum tp_err tp_file_replace(const char *path, struct tp_str text, mode_t mode, gid_t gid, struct tp_diag *diag);

/*
 * Take the instance: *lock_fd stays open while we live. TP_ERR_EXISTS: another process holds it, *holder is its
 * process id (0: unknown).
 */
enum tp_err tp_layout_lock(const char *prefix, int *lock_fd, pid_t *holder, struct tp_diag *diag);

/* The supervisor that holds the instance, or 0. */
pid_t tp_layout_holder(const char *prefix);

/* The number in a pid file below the prefix when such a process lives, else 0. */
pid_t tp_layout_read_pid(const char *prefix, const char *relative);
void tp_layout_write_pid(const char *prefix, const char *relative, pid_t pid);

#endif
