/* Opening, sharing and closing LMDB environments: env.h. */
#include "plan/env.h"

#include "base/mem.h"
#include "plan/inspect.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* All environments that this process has open; the lock also guards their counts, lists of views and slots. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct tp_env *open_environments;

enum tp_err tp_env_error(int rc, const char *what, struct tp_diag *diag)
{
    switch (rc) {
    case MDB_SUCCESS: return TP_OK;
    case MDB_NOTFOUND: return TP_ERR_NOT_FOUND;
    case MDB_MAP_FULL:
        tp_diag_add(diag, NULL, "the read model's map is full (%s): raise its size", what);
        return TP_ERR_FULL;
    case MDB_TXN_FULL:
    case MDB_READERS_FULL:
        tp_diag_add(diag, NULL, "the read model is full (%s): %s", what, mdb_strerror(rc));
        return TP_ERR_FULL;
    case EIO: /* LMDB's word for a short write, too */
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        tp_diag_add(diag, NULL, "the read model's disk is full or failing (%s): %s", what, mdb_strerror(rc));
        return TP_ERR_FULL;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_PANIC:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
    case MDB_MAP_RESIZED: /* nobody resizes here: a page number that makes no sense */
        tp_diag_add(diag, NULL, "the read model is damaged (%s): %s", what, mdb_strerror(rc));
        return TP_ERR_DAMAGED;
    default: tp_diag_add(diag, NULL, "the read model: %s: %s", what, mdb_strerror(rc)); return TP_ERR_IO;
    }
}

enum tp_err tp_env_get(const struct tp_env *env, MDB_txn *txn, const struct tp_row_key *key, struct tp_str *out)
{
    MDB_val k = { sizeof(key->bytes), (void *)key->bytes }, v;
    int rc = mdb_get(txn, env->rows, &k, &v);

    if (rc == MDB_NOTFOUND)
        return TP_ERR_NOT_FOUND;
    if (rc)
        return tp_env_error(rc, "read", NULL);
    *out = tp_str_make(v.mv_data, v.mv_size);
    return TP_OK;
}

/*
 * LMDB does not write a page that was taken and given back within one transaction, so the file may end before the
 * last page it counts. Nothing points there; but a file that is shorter than its head says is what
 * a truncated one looks like (inspect.c). Failure only costs a rebuild at the next start.
 */
void tp_env_grow_to_last_page(MDB_env *lmdb)
{
    MDB_envinfo info;
    struct stat st;
    MDB_stat stat;
    off_t size;
    int fd;

    if (mdb_env_info(lmdb, &info) || mdb_env_stat(lmdb, &stat) || mdb_env_get_fd(lmdb, &fd))
        return;
    size = (off_t)(info.me_last_pgno + 1) * stat.ms_psize;
    if (fstat(fd, &st) == 0 && st.st_size < size && ftruncate(fd, size) != 0)
        return;
}

enum tp_err tp_env_current(const char *dir, uint64_t *epoch, struct tp_diag *diag)
{
    char path[TP_ENV_PATH_MAX], text[32];
    ssize_t n;
    int64_t number;
    int fd;

    snprintf(path, sizeof(path), "%s/current", dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT)
            return TP_ERR_NOT_FOUND;
        tp_diag_add(diag, path, "cannot open: %m");
        return TP_ERR_IO;
    }
    n = read(fd, text, sizeof(text));
    close(fd);
    if (n < 2 || text[n - 1] != '\n' || !tp_str_to_i64(tp_str_make(text, (size_t)n - 1), &number) || number <= 0) {
        tp_diag_add(diag, path, "the read model is damaged: not the number of an epoch");
        return TP_ERR_DAMAGED;
    }
    *epoch = (uint64_t)number;
    return TP_OK;
}

/* On a read-only file system LMDB runs without locks, and a writer reuses the pages that we read. */
static enum tp_err check_file_system(const char *path, struct tp_diag *diag)
{
    struct statvfs fs;

    if (statvfs(path, &fs) != 0) {
        if (errno == ENOENT)
            return TP_ERR_NOT_FOUND;
        tp_diag_add(diag, path, "cannot read: %m");
        return TP_ERR_IO;
    }
    if (fs.f_flag & ST_RDONLY) {
        tp_diag_add(diag, path, "lies on a read-only file system: readers must be able to write the lock file");
        return TP_ERR_IO;
    }
    return TP_OK;
}

/* Look again once: a commit may be between its pages and the file's full length. */
static enum tp_err check_head(const char *data_path, struct tp_diag *diag)
{
    if (tp_inspect_head(data_path, NULL) == TP_OK)
        return TP_OK;
    usleep(20000);
    return tp_inspect_head(data_path, diag);
}

static uint64_t big_endian(const uint8_t *bytes)
{
    uint64_t x;

    memcpy(&x, bytes, sizeof(x));
    return be64toh(x);
}

/*
 * LMDB's own order, so a process that compares as LMDB does reads the same tree; but our keys have one length, and a
 * look-up compares fifteen of them.
 */
static int compare_keys(const MDB_val *a, const MDB_val *b)
{
    const uint8_t *x = a->mv_data, *y = b->mv_data;
    uint64_t left, right;

    if (a->mv_size != TP_LAYOUT_KEY_LEN || b->mv_size != TP_LAYOUT_KEY_LEN)
        return tp_str_cmp(tp_str_make(a->mv_data, a->mv_size), tp_str_make(b->mv_data, b->mv_size));
    left = big_endian(x);
    right = big_endian(y);
    if (left == right) {
        left = big_endian(x + TP_LAYOUT_KEY_LEN - 8);
        right = big_endian(y + TP_LAYOUT_KEY_LEN - 8);
        if (x[8] != y[8])
            return x[8] < y[8] ? -1 : 1;
    }
    return left < right ? -1 : left > right;
}

static enum tp_err read_meta(struct tp_env *env, struct tp_diag *diag)
{
    static const uint8_t none[16];
    struct tp_row_key key = tp_layout_key(TP_ROW_META, none);
    struct tp_str value = TP_STR_NULL;
    MDB_txn *txn;
    enum tp_err err = tp_env_error(mdb_txn_begin(env->lmdb, NULL, MDB_RDONLY, &txn), "begin", diag);

    if (err)
        return err;
    err = tp_env_error(mdb_dbi_open(txn, NULL, 0, &env->rows), "open", diag);
    if (!err)
        err = tp_env_error(mdb_set_compare(txn, env->rows, compare_keys), "open", diag);
    if (!err)
        err = tp_env_get(env, txn, &key, &value);
    if (!err)
        err = tp_layout_decode_meta(value, &env->opened);
    mdb_txn_abort(txn);
    if (!err && env->opened.format == TP_READ_MODEL_FORMAT)
        return TP_OK;
    tp_diag_add(diag, NULL, "the read model has another format, or lost its head row");
    return TP_ERR_DAMAGED;
}

static enum tp_err open_lmdb(struct tp_env *env, const char *path, const char *data_path, struct tp_diag *diag)
{
    unsigned flags = MDB_NOTLS | (access(data_path, W_OK) == 0 ? 0 : MDB_RDONLY);
    int dead, rc;

    rc = mdb_env_create(&env->lmdb);
    if (rc)
        return tp_env_error(rc, "create", diag);
    rc = mdb_env_set_mapsize(env->lmdb, env->map_bytes);
    if (!rc)
        rc = mdb_env_set_maxreaders(env->lmdb, TP_ENV_MAX_READERS);
    if (!rc)
        rc = mdb_env_open(env->lmdb, path, flags, 0660);
    if (rc)
        return tp_env_error(rc, path, diag);
    mdb_reader_check(env->lmdb, &dead);
    return read_meta(env, diag);
}

/* Only without views in use. */
static void close_env(struct tp_env *env)
{
    while (env->idle) {
        struct tp_view *view = env->idle;

        env->idle = view->next;
        mdb_txn_abort(view->txn); /* NULL is accepted */
        free(view);
    }
    if (env->lmdb)
        mdb_env_close(env->lmdb);
    free(env);
}

static enum tp_err open_new(struct tp_env **out, const char *path, const char *data_path, const struct stat *st,
                            uint64_t map_bytes, struct tp_diag *diag)
{
    struct tp_env *env = tp_new(struct tp_env);
    enum tp_err err;

    env->map_bytes = map_bytes;
    env->device = st->st_dev;
    env->inode = st->st_ino;
    env->process = getpid();
    env->references = 1;
    err = open_lmdb(env, path, data_path, diag);
    if (err) {
        close_env(env);
        return err;
    }
    env->next = open_environments;
    open_environments = env;
    *out = env;
    return TP_OK;
}

static struct tp_env *find_open(const struct stat *st)
{
    for (struct tp_env *env = open_environments; env; env = env->next) {
        if (env->device == (uint64_t)st->st_dev && env->inode == (uint64_t)st->st_ino) {
            /* LMDB does not survive a fork: open in the process that reads, after it was made. */
            TP_ASSERT(env->process == getpid());
            return env;
        }
    }
    return NULL;
}

enum tp_err tp_env_acquire(struct tp_env **out, const char *path, uint64_t map_bytes, struct tp_diag *diag)
{
    char data_path[TP_ENV_PATH_MAX];
    struct stat st;
    enum tp_err err = check_file_system(path, diag);

    if (err)
        return err;
    snprintf(data_path, sizeof(data_path), "%s/data.mdb", path);
    err = check_head(data_path, diag);
    if (err)
        return err;
    if (stat(data_path, &st) != 0)
        return TP_ERR_NOT_FOUND;
    pthread_mutex_lock(&lock);
    *out = find_open(&st);
    if (*out)
        (*out)->references++;
    else
        err = open_new(out, path, data_path, &st, map_bytes, diag);
    pthread_mutex_unlock(&lock);
    return err;
}

static void release_locked(struct tp_env *env)
{
    if (--env->references > 0)
        return;
    for (struct tp_env **at = &open_environments; *at; at = &(*at)->next) {
        if (*at == env) {
            *at = env->next;
            break;
        }
    }
    close_env(env);
}

void tp_env_release(struct tp_env *env)
{
    if (!env)
        return;
    pthread_mutex_lock(&lock);
    release_locked(env);
    pthread_mutex_unlock(&lock);
}

void tp_env_swap(struct tp_env **slot, struct tp_env *fresh)
{
    struct tp_env *old;

    pthread_mutex_lock(&lock);
    old = *slot;
    *slot = fresh;
    if (old)
        release_locked(old);
    pthread_mutex_unlock(&lock);
}

struct tp_view *tp_env_view_take(struct tp_env *const *slot)
{
    struct tp_env *env;
    struct tp_view *view;

    pthread_mutex_lock(&lock);
    env = *slot;
    env->references++;
    view = env->idle;
    if (view)
        env->idle = view->next;
    pthread_mutex_unlock(&lock);
    if (!view) {
        view = tp_new(struct tp_view);
        view->env = env;
    }
    return view;
}

void tp_env_view_put(struct tp_view *view)
{
    struct tp_env *env = view->env;

    pthread_mutex_lock(&lock);
    view->next = env->idle;
    env->idle = view;
    release_locked(env);
    pthread_mutex_unlock(&lock);
}
