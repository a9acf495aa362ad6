/* Opening for reading, following `current`, cleaning up: read_model.h. */
#include "plan/read_model.h"

#include "base/mem.h"
#include "plan/env.h"
#include "plan/inspect.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

/*
 * The environment that `current` names. A builder may publish another between our two looks and have the old one
 * removed, so look again then.
 */
static enum tp_err acquire_current(struct tp_env **out, const char *dir, uint64_t map_bytes, struct tp_diag *diag)
{
    char path[TP_ENV_PATH_MAX];
    uint64_t epoch, again;
    enum tp_err err;

    for (int tries = 0; tries < 5; tries++) {
        err = tp_env_current(dir, &epoch, diag);
        if (err)
            return err;
        snprintf(path, sizeof(path), "%s/%llu", dir, (unsigned long long)epoch);
        err = tp_env_acquire(out, path, map_bytes, diag);
        if (!err && (*out)->opened.epoch != epoch) {
            tp_diag_add(diag, path, "the read model is damaged: it says that it is another epoch");
            tp_env_release(*out);
            return TP_ERR_DAMAGED;
        }
        if (err != TP_ERR_NOT_FOUND)
            return err;
        if (tp_env_current(dir, &again, NULL) != TP_OK || again == epoch)
            break;
    }
    tp_diag_add(diag, path, "the read model is damaged: the environment in use is not there");
    return TP_ERR_DAMAGED;
}

enum tp_err tp_read_model_open(struct tp_read_model **out, const char *dir, uint64_t map_bytes, struct tp_diag *diag)
{
    struct tp_read_model *rm;
    struct tp_env *env;
    enum tp_err err = acquire_current(&env, dir, map_bytes, diag);

    if (err)
        return err;
    rm = tp_new(struct tp_read_model);
    rm->dir = tp_strdup(dir);
    rm->map_bytes = map_bytes;
    rm->env = env;
    *out = rm;
    return TP_OK;
}

void tp_read_model_close(struct tp_read_model *rm)
{
    if (!rm)
        return;
    tp_env_release(rm->env);
    free(rm->dir);
    free(rm);
}

enum tp_err tp_read_model_refresh(struct tp_read_model *rm, struct tp_diag *diag)
{
    struct tp_env *fresh;
    uint64_t epoch;
    enum tp_err err = tp_env_current(rm->dir, &epoch, diag);

    if (err)
        return err;
    if (epoch == rm->env->opened.epoch)
        return TP_OK;
    err = acquire_current(&fresh, rm->dir, rm->map_bytes, diag);
    if (!err)
        tp_env_swap(&rm->env, fresh);
    return err;
}

enum tp_err tp_read_model_check(const char *dir, struct tp_diag *diag)
{
    char path[TP_ENV_PATH_MAX];
    uint64_t epoch;
    enum tp_err err = tp_env_current(dir, &epoch, diag);

    if (err)
        return err;
    snprintf(path, sizeof(path), "%s/%llu/data.mdb", dir, (unsigned long long)epoch);
    err = tp_inspect_pages(path, diag);
    if (err == TP_ERR_NOT_FOUND) {
        tp_diag_add(diag, path, "the read model is damaged: the environment in use is not there");
        return TP_ERR_DAMAGED;
    }
    return err;
}

bool tp_read_model_keeps(const char *entity)
{
    return tp_layout_entity(tp_str_from_cstr(entity)) != NULL;
}

void tp_read_model_remove_epoch(const char *dir, const char *name)
{
    static const char *const files[] = { "data.mdb", "lock.mdb", "rows" };
    char path[TP_ENV_PATH_MAX];

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s/%s", dir, name, files[i]);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    rmdir(path);
}

/*
 * Unlinking is safe while others have it open: their mapping keeps the file until they let go. A process that is about
 * to open the old one finds nothing and looks at `current` again.
 */
void tp_read_model_drop_old(const char *dir)
{
    uint64_t current;
    struct dirent *entry;
    DIR *d;

    if (tp_env_current(dir, &current, NULL) != TP_OK)
        return;
    d = opendir(dir);
    if (!d)
        return;
    while ((entry = readdir(d))) {
        int64_t epoch;

        if (tp_str_to_i64(tp_str_from_cstr(entry->d_name), &epoch) && epoch > 0 && (uint64_t)epoch < current)
            tp_read_model_remove_epoch(dir, entry->d_name);
    }
    closedir(d);
}
