/*
 * Building a new environment from all rows: gathered in a file, sorted by key, appended page by page, synced
 * once, then named by `current`.
 *
 * Sorted appending writes half the pages of random inserts. Memory is 24 bytes a row (key and place in the file), and
 * as much again while they are sorted; a consumer with a credential makes four rows. Until `current` is replaced
 * nothing of it is visible; what a crash leaves behind is a directory "<epoch>.tmp", which the next builder removes.
 */
#include "plan/env.h"

#include "base/clock.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPILL_BUFFER (1 << 20)
#define ROWS_PER_COMMIT 20000 /* bounds the dirty pages in memory */

/* A key, cut so that two integer comparisons order nearly all of them, and where its value begins in the file. */
struct entry {
    uint64_t high;     /* bytes 1-8 of the key, big-endian */
    uint64_t low;      /* bytes 9-16 */
    uint64_t kind : 8; /* byte 0 */
    uint64_t place : 56;
};

struct tp_read_model_builder {
    char *dir;
    char name[32]; /* "<epoch>.tmp" */
    uint64_t map_bytes;
    struct tp_read_model_meta meta;
    int64_t now_s;

    FILE *spill; /* u32 length and bytes, for each entry */
    uint64_t spilled;
    struct entry *entries;
    size_t count, capacity;
    struct tp_buf value;

    /* While writing. */
    const char *rows; /* the spill file, mapped */
    MDB_env *lmdb;
    MDB_dbi dbi;
    MDB_txn *txn;
    size_t in_txn;
};

/* --- Directories ------------------------------------------------------------------------------- */

static enum tp_err os_error(const char *path, const char *what, struct tp_diag *diag)
{
    bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;

    tp_diag_add(diag, path, "%s%s: %m", full ? "the read model's disk is full: " : "", what);
    return full ? TP_ERR_FULL : TP_ERR_IO;
}

/* Number of "7" and "7.tmp"; 0 for anything else. */
static uint64_t epoch_of(const char *name, bool *unfinished)
{
    struct tp_str s = tp_str_from_cstr(name);
    int64_t epoch;

    *unfinished = tp_str_ends(s, TP_STR(".tmp"));
    if (*unfinished)
        s.len -= 4;
    return tp_str_to_i64(s, &epoch) && epoch > 0 ? (uint64_t)epoch : 0;
}

/* A number above all that were used; removes what crashed builders left. */
static enum tp_err next_epoch(const char *dir, uint64_t *out, struct tp_diag *diag)
{
    struct dirent *entry;
    DIR *d = opendir(dir);

    if (!d)
        return os_error(dir, "cannot read", diag);
    *out = 0;
    (void)tp_env_current(dir, out, NULL);
    while ((entry = readdir(d))) {
        bool unfinished;
        uint64_t epoch = epoch_of(entry->d_name, &unfinished);

        if (epoch > *out)
            *out = epoch;
        if (epoch && unfinished)
            tp_read_model_remove_epoch(dir, entry->d_name);
    }
    closedir(d);
    ++*out;
    return TP_OK;
}

static enum tp_err sync_dir(const char *path, struct tp_diag *diag)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum tp_err err = TP_OK;

    if (fd < 0 || fsync(fd) != 0)
        err = os_error(path, "cannot sync", diag);
    if (fd >= 0)
        close(fd);
    return err;
}

static enum tp_err write_current(const char *dir, uint64_t epoch, struct tp_diag *diag)
{
    char temporary[TP_ENV_PATH_MAX], path[TP_ENV_PATH_MAX], text[32];
    int n = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)epoch), fd;
    enum tp_err err = TP_OK;

    snprintf(temporary, sizeof(temporary), "%s/current.tmp", dir);
    snprintf(path, sizeof(path), "%s/current", dir);
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return os_error(temporary, "cannot write", diag);
    errno = ENOSPC; /* what a short write means */
    if (write(fd, text, (size_t)n) != n || fsync(fd) != 0)
        err = os_error(temporary, "cannot write", diag);
    close(fd);
    if (!err && rename(temporary, path) != 0)
        err = os_error(path, "cannot replace", diag);
    return err ? err : sync_dir(dir, diag);
}

/* --- Gathering --------------------------------------------------------------------------------- */

/* The file has no name: it goes when it is closed, however we end. */
static enum tp_err open_spill(struct tp_read_model_builder *b, struct tp_diag *diag)
{
    char path[TP_ENV_PATH_MAX];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", b->dir, b->name);
    if (mkdir(path, 0750) != 0)
        return os_error(path, "cannot make", diag);
    snprintf(path, sizeof(path), "%s/%s/rows", b->dir, b->name);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return os_error(path, "cannot make", diag);
    unlink(path);
    b->spill = fdopen(fd, "w+");
    TP_ASSERT(b->spill != NULL);
    setvbuf(b->spill, NULL, _IOFBF, SPILL_BUFFER);
    return TP_OK;
}

enum tp_err tp_read_model_build_begin(struct tp_read_model_builder **out, const char *dir, uint64_t map_bytes,
                                      const struct tp_uuid *database, uint64_t position, struct tp_diag *diag)
{
    struct tp_read_model_builder *b;
    uint64_t epoch;
    enum tp_err err;

    if (mkdir(dir, 0750) != 0 && errno != EEXIST)
        return os_error(dir, "cannot make", diag);
    err = next_epoch(dir, &epoch, diag);
    if (err)
        return err;
    b = tp_new(struct tp_read_model_builder);
    b->dir = tp_strdup(dir);
    b->map_bytes = map_bytes;
    b->now_s = tp_clock_now_ms() / 1000;
    b->meta = (struct tp_read_model_meta){
        .format = TP_READ_MODEL_FORMAT, .database = *database, .epoch = epoch, .position = position, .plan = position
    };
    tp_random_bytes(b->meta.key.bytes, sizeof(b->meta.key.bytes));
    snprintf(b->name, sizeof(b->name), "%llu.tmp", (unsigned long long)epoch);
    tp_buf_init(&b->value, 0);
    err = open_spill(b, diag);
    if (err) {
        tp_read_model_build_abort(b);
        return err;
    }
    *out = b;
    return TP_OK;
}

static uint64_t big_endian(const uint8_t *p)
{
    uint64_t v = 0;

    for (size_t i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

/* Keep b->value under this key. */
static enum tp_err spill(struct tp_read_model_builder *b, enum tp_row_kind kind, const uint8_t name[16],
                         struct tp_diag *diag)
{
    uint32_t len = (uint32_t)b->value.len;

    if (b->value.failed || b->value.len > UINT32_MAX)
        return TP_ERR_TOO_LARGE;
    if (b->count == b->capacity) {
        b->capacity = b->capacity ? b->capacity * 2 : 1024;
        b->entries = tp_realloc(b->entries, b->capacity * sizeof(*b->entries));
    }
    if (fwrite(&len, sizeof(len), 1, b->spill) != 1 || (len && fwrite(b->value.data, len, 1, b->spill) != 1))
        return os_error(b->dir, "cannot write rows", diag);
    b->entries[b->count++] = (struct entry){
        .high = big_endian(name), .low = big_endian(name + 8), .kind = (uint8_t)kind, .place = b->spilled
    };
    b->spilled += sizeof(len) + len;
    return TP_OK;
}

static enum tp_err spill_reference(struct tp_read_model_builder *b, enum tp_row_kind kind, const uint8_t name[16],
                                   const uint8_t target[16], struct tp_diag *diag)
{
    tp_buf_reset(&b->value);
    tp_layout_encode_reference(&b->value, target);
    return spill(b, kind, name, diag);
}

static enum tp_err add_consumer(struct tp_read_model_builder *b, const struct tp_uuid *id, const json_t *value,
                                struct tp_diag *diag)
{
    struct tp_str username = tp_layout_text(value, "username");
    struct tp_digest digest;
    enum tp_err err = tp_layout_consumer_from_json(&b->value, value, false); /* the flag is set at the end */

    if (!err)
        err = spill(b, TP_ROW_CONSUMER, id->bytes, diag);
    if (err || !username.data)
        return err;
    digest = tp_layout_username_digest(&b->meta.key, username);
    return spill_reference(b, TP_ROW_USERNAME, digest.bytes, id->bytes, diag);
}

static enum tp_err add_credential(struct tp_read_model_builder *b, const struct tp_layout_entity *entity,
                                  const struct tp_uuid *id, const json_t *value, struct tp_diag *diag)
{
    struct tp_str text = tp_layout_text(value, entity->key_field);
    struct tp_digest digest;
    enum tp_err err;

    if (!text.data)
        return TP_OK;
    err = tp_layout_credential_from_json(&b->value, entity, value, b->now_s);
    if (err)
        return err;
    digest = tp_layout_credential_digest(&b->meta.key, tp_str_from_cstr(entity->name), text);
    err = spill(b, TP_ROW_CREDENTIAL, digest.bytes, diag);
    return err ? err : spill_reference(b, TP_ROW_CREDENTIAL_ID, id->bytes, digest.bytes, diag);
}

static enum tp_err add_plan_row(struct tp_read_model_builder *b, enum tp_row_kind kind, const struct tp_uuid *id,
                                const json_t *value, struct tp_diag *diag)
{
    enum tp_err err = tp_layout_plan_row_from_json(&b->value, value);

    return err ? err : spill(b, kind, id->bytes, diag);
}

static enum tp_err add_plugin(struct tp_read_model_builder *b, const struct tp_uuid *id, const json_t *value,
                              struct tp_diag *diag)
{
    struct tp_uuid consumer;
    enum tp_err err = tp_layout_foreign(value, "consumer", &consumer);

    if (err)
        return err;
    if (tp_uuid_is_nil(&consumer))
        return add_plan_row(b, TP_ROW_PLUGIN, id, value, diag);
    if (!tp_layout_is_enabled(value))
        return TP_OK;
    err = tp_layout_plugin_from_json(&b->value, value);
    if (!err) /* a record; those of one consumer are gathered when they are written */
        err = spill(b, TP_ROW_CONSUMER_PLUGINS, consumer.bytes, diag);
    return err ? err : spill_reference(b, TP_ROW_PLUGIN_CONSUMER, id->bytes, consumer.bytes, diag);
}

static enum tp_err add_row(struct tp_read_model_builder *b, const struct tp_layout_entity *entity, const json_t *value,
                           struct tp_diag *diag)
{
    struct tp_uuid id;
    enum tp_err err = tp_layout_entity_id(value, &id);

    if (err)
        return err;
    tp_buf_reset(&b->value);
    switch (entity->role) {
    case TP_ROLE_CONSUMER: return add_consumer(b, &id, value, diag);
    case TP_ROLE_CREDENTIAL: return add_credential(b, entity, &id, value, diag);
    case TP_ROLE_PLUGIN: return add_plugin(b, &id, value, diag);
    case TP_ROLE_PLAN_ROW: return add_plan_row(b, entity->kind, &id, value, diag);
    }
    return TP_OK;
}

enum tp_err tp_read_model_build_add(struct tp_read_model_builder *b, const char *entity, const json_t *value,
                                    struct tp_diag *diag)
{
    const struct tp_layout_entity *e = tp_layout_entity(tp_str_from_cstr(entity));
    enum tp_err err = e ? add_row(b, e, value, diag) : TP_OK;

    if (err != TP_ERR_INVALID && err != TP_ERR_TOO_LARGE)
        return err;
    tp_diag_add(diag, entity, "%.*s cannot be kept in the read model and is left out",
                TP_STR_ARG(tp_layout_text(value, "id")));
    return TP_OK;
}

/* --- Writing ----------------------------------------------------------------------------------- */

static int compare_entries(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->high != b->high)
        return a->high < b->high ? -1 : 1;
    if (a->low != b->low)
        return a->low < b->low ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place;
}

static bool same_key(const struct entry *a, const struct entry *b)
{
    return a->kind == b->kind && a->high == b->high && a->low == b->low;
}

static struct tp_row_key key_of(const struct entry *e)
{
    struct tp_row_key key;

    key.bytes[0] = (uint8_t)e->kind;
    for (size_t i = 0; i < 8; i++) {
        key.bytes[1 + i] = (uint8_t)(e->high >> (56 - 8 * i));
        key.bytes[9 + i] = (uint8_t)(e->low >> (56 - 8 * i));
    }
    return key;
}

static struct tp_str value_of(const struct tp_read_model_builder *b, const struct entry *e)
{
    uint32_t len;

    memcpy(&len, b->rows + e->place, sizeof(len));
    return tp_str_make(b->rows + e->place + sizeof(len), len);
}

static enum tp_err open_target(struct tp_read_model_builder *b, struct tp_diag *diag)
{
    char path[TP_ENV_PATH_MAX];
    int rc = mdb_env_create(&b->lmdb);

    if (rc)
        return tp_env_error(rc, "create", diag);
    snprintf(path, sizeof(path), "%s/%s", b->dir, b->name);
    rc = mdb_env_set_mapsize(b->lmdb, b->map_bytes);
    if (!rc)
        rc = mdb_env_set_maxreaders(b->lmdb, TP_ENV_MAX_READERS);
    if (!rc)
        rc = mdb_env_open(b->lmdb, path, MDB_NOTLS | MDB_NOSYNC, 0660);
    if (!rc)
        rc = mdb_txn_begin(b->lmdb, NULL, 0, &b->txn);
    if (!rc)
        rc = mdb_dbi_open(b->txn, NULL, 0, &b->dbi);
    return tp_env_error(rc, "open", diag);
}

static enum tp_err commit(struct tp_read_model_builder *b, struct tp_diag *diag)
{
    int rc = mdb_txn_commit(b->txn);

    b->txn = NULL;
    b->in_txn = 0;
    return tp_env_error(rc, "write", diag);
}

static enum tp_err append(struct tp_read_model_builder *b, const struct tp_row_key *key, struct tp_str value,
                          struct tp_diag *diag)
{
    MDB_val k = { sizeof(key->bytes), (void *)key->bytes }, v = { value.len, (void *)value.data };
    enum tp_err err = TP_OK;

    if (b->in_txn == ROWS_PER_COMMIT)
        err = commit(b, diag);
    if (!err && !b->txn)
        err = tp_env_error(mdb_txn_begin(b->lmdb, NULL, 0, &b->txn), "begin", diag);
    if (err)
        return err;
    b->in_txn++;
    return tp_env_error(mdb_put(b->txn, b->dbi, &k, &v, MDB_APPEND), "write", diag);
}

static enum tp_err append_meta(struct tp_read_model_builder *b, struct tp_diag *diag)
{
    static const uint8_t no_name[16];
    struct tp_row_key key = tp_layout_key(TP_ROW_META, no_name);

    tp_buf_reset(&b->value);
    tp_layout_encode_meta(&b->value, &b->meta);
    return append(b, &key, tp_buf_str(&b->value), diag);
}

/* entries[first … last) have one key: what is its value? Plugin records add up; of anything else the last one counts.
 */
static struct tp_str gathered_value(struct tp_read_model_builder *b, size_t first, size_t last, bool has_plugins)
{
    struct tp_str value = value_of(b, &b->entries[last - 1]);

    if (b->entries[first].kind == TP_ROW_CONSUMER_PLUGINS) {
        tp_buf_reset(&b->value);
        tp_layout_encode_plugins_start(&b->value);
        for (size_t i = first; i < last; i++)
            tp_buf_add(&b->value, value_of(b, &b->entries[i]));
        return tp_buf_str(&b->value);
    }
    if (!has_plugins)
        return value;
    tp_buf_reset(&b->value);
    tp_buf_add(&b->value, value);
    tp_layout_consumer_flag(b->value.data, true);
    return tp_buf_str(&b->value);
}

/* Does the consumer of this entry have plugin rows? *at walks those along, in the same order. */
static bool find_plugins(const struct tp_read_model_builder *b, const struct entry *consumer, size_t *at)
{
    struct entry sought = *consumer;

    if (consumer->kind != TP_ROW_CONSUMER)
        return false;
    sought.kind = TP_ROW_CONSUMER_PLUGINS;
    sought.place = 0;
    while (*at < b->count && compare_entries(&b->entries[*at], &sought) < 0)
        ++*at;
    return *at < b->count && same_key(&b->entries[*at], &sought);
}

static enum tp_err append_all(struct tp_read_model_builder *b, struct tp_diag *diag)
{
    size_t plugins = 0, last;
    enum tp_err err = append_meta(b, diag);

    for (size_t first = 0; first < b->count && !err; first = last) {
        struct tp_row_key key = key_of(&b->entries[first]);
        bool has_plugins = find_plugins(b, &b->entries[first], &plugins);

        for (last = first + 1; last < b->count && same_key(&b->entries[first], &b->entries[last]);)
            last++;
        err = append(b, &key, gathered_value(b, first, last, has_plugins), diag);
    }
    if (!err)
        err = commit(b, diag);
    if (err)
        return err;
    tp_env_grow_to_last_page(b->lmdb);
    return tp_env_error(mdb_env_sync(b->lmdb, 1), "sync", diag);
}

static enum tp_err map_spill(struct tp_read_model_builder *b, struct tp_diag *diag)
{
    void *map;

    if (fflush(b->spill) != 0)
        return os_error(b->dir, "cannot write rows", diag);
    if (b->spilled == 0)
        return TP_OK;
    map = mmap(NULL, b->spilled, PROT_READ, MAP_SHARED, fileno(b->spill), 0);
    if (map == MAP_FAILED)
        return os_error(b->dir, "cannot map rows", diag);
    b->rows = map;
    return TP_OK;
}

static void close_target(struct tp_read_model_builder *b)
{
    if (b->txn)
        mdb_txn_abort(b->txn);
    if (b->lmdb)
        mdb_env_close(b->lmdb);
    if (b->rows)
        munmap((void *)b->rows, b->spilled);
    b->txn = NULL;
    b->lmdb = NULL;
    b->rows = NULL;
}

/* Readers write the lock file; the data is control's alone. Whatever umask there was. */
static enum tp_err set_modes(const struct tp_read_model_builder *b, struct tp_diag *diag)
{
    char path[TP_ENV_PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s/data.mdb", b->dir, b->name);
    if (chmod(path, 0640) != 0)
        return os_error(path, "cannot set the mode", diag);
    snprintf(path, sizeof(path), "%s/%s/lock.mdb", b->dir, b->name);
    if (chmod(path, 0660) != 0)
        return os_error(path, "cannot set the mode", diag);
    snprintf(path, sizeof(path), "%s/%s", b->dir, b->name);
    return sync_dir(path, diag);
}

static enum tp_err publish(struct tp_read_model_builder *b, struct tp_diag *diag)
{
    char from[TP_ENV_PATH_MAX], to[TP_ENV_PATH_MAX];
    enum tp_err err = set_modes(b, diag);

    if (err)
        return err;
    snprintf(from, sizeof(from), "%s/%s", b->dir, b->name);
    snprintf(to, sizeof(to), "%s/%llu", b->dir, (unsigned long long)b->meta.epoch);
    if (rename(from, to) != 0)
        return os_error(to, "cannot rename", diag);
    err = sync_dir(b->dir, diag);
    return err ? err : write_current(b->dir, b->meta.epoch, diag);
}

enum tp_err tp_read_model_build_end(struct tp_read_model_builder *b, struct tp_diag *diag)
{
    enum tp_err err = map_spill(b, diag);

    if (!err && b->count > 0)
        qsort(b->entries, b->count, sizeof(*b->entries), compare_entries);
    if (!err)
        err = open_target(b, diag);
    if (!err)
        err = append_all(b, diag);
    close_target(b);
    if (!err)
        err = publish(b, diag);
    tp_read_model_build_abort(b);
    return err;
}

void tp_read_model_build_abort(struct tp_read_model_builder *b)
{
    if (!b)
        return;
    close_target(b);
    if (b->spill)
        fclose(b->spill);
    tp_read_model_remove_epoch(b->dir, b->name); /* after a success there is none of that name */
    tp_buf_fini(&b->value);
    free(b->entries);
    free(b->dir);
    free(b);
}
