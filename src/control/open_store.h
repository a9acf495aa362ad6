/*
 * The database that the settings name: SQLite in the instance's folder, or PostgreSQL.
 */
#ifndef TP_CONTROL_OPEN_STORE_H
#define TP_CONTROL_OPEN_STORE_H

#include "store/store.h"

/*
 * `settings` as in TP_PATH_SETTINGS, `secrets` as in TP_PATH_SECRETS (NULL: there are none); a relative sqlite_path
 * lies below `prefix`. Does not migrate. On success *out owns the store; on failure `diag` says why.
 */
enum tp_err tp_open_store(struct tp_store **out, const char *prefix, const json_t *settings, const json_t *secrets,
                          struct tp_diag *diag);

#endif
