/*
 * Owner of LMDB environments: the only file that opens and closes them.
 *
 * LMDB forbids to open an environment twice in a process (closing one copy silently frees the reader slots of
 * the other), so opens are counted per file and shared. Views come from here too: each is a read
 * transaction that is renewed and reset, kept in a list of its environment, and pins the environment while it
 * is open; so a refresh may happen while another thread reads.
 */
#ifndef TP_PLAN_ENV_H
#define TP_PLAN_ENV_H

#include "plan/layout.h"
#include "plan/read_model.h"

#include <lmdb.h>

struct tp_env {
    MDB_env *lmdb;
    MDB_dbi rows;
    struct tp_read_model_meta opened; /* as it was at open: format, database, epoch and key never change */
    uint64_t map_bytes;
    /* The rest is env.c's. */
    uint64_t device, inode;
    int process;
    size_t references;
    struct tp_view *idle;
    struct tp_env *next;
};

struct tp_view {
    struct tp_env *env;
    MDB_txn *txn;
    struct tp_view *next;
};

struct tp_read_model {
    char *dir;
    uint64_t map_bytes;
    struct tp_env *env;
};

/* Share or open the environment in directory `path`. */
enum tp_err tp_env_acquire(struct tp_env **out, const char *path, uint64_t map_bytes, struct tp_diag *diag);
void tp_env_release(struct tp_env *env);

/* Put `fresh` in *slot (takes its reference) and release what was there. */
void tp_env_swap(struct tp_env **slot, struct tp_env *fresh);

/* A view of the environment in *slot, its transaction not begun or reset. tp_env_view_put gives it back. */
struct tp_view *tp_env_view_take(struct tp_env *const *slot);
void tp_env_view_put(struct tp_view *view);

/* Our error for LMDB's or errno's `rc`, with a diag that names disk or map. */
enum tp_err tp_env_error(int rc, const char *what, struct tp_diag *diag);

/* One row. TP_ERR_NOT_FOUND; *out is valid as long as the transaction. */
enum tp_err tp_env_get(const struct tp_env *env, MDB_txn *txn, const struct tp_row_key *key, struct tp_str *out);

/* After a commit: make the file as long as its head says. */
void tp_env_grow_to_last_page(MDB_env *lmdb);

/* Which epoch `dir`/current names: TP_ERR_NOT_FOUND, TP_ERR_DAMAGED. */
enum tp_err tp_env_current(const char *dir, uint64_t *epoch, struct tp_diag *diag);

/* Remove the environment directory `dir`/`name`. */
void tp_read_model_remove_epoch(const char *dir, const char *name);

#define TP_ENV_PATH_MAX 4096
#define TP_ENV_MAX_READERS 510 /* 126 fill the default lock file; a node has workers × threads */

#endif
