/* Inside the settings: the reader of files hands entries to the table one by one. */
#ifndef TP_CLI_SETTINGS_PRIV_H
#define TP_CLI_SETTINGS_PRIV_H

#include "cli/settings.h"

typedef void (*tp_settings_entry_fn)(void *data, int line, struct tp_str name, struct tp_str value);

/*
 * Read "name = value" lines; '#' starts a comment unless written as "\#". Lines of another form go to `diag`.
 * TP_ERR_NOT_FOUND: no such file.
 */
enum tp_err tp_settings_read_file(const char *path, tp_settings_entry_fn fn, void *data, struct tp_diag *diag);

/*
 * Check `text` against its setting, into its normal form (booleans become on and off). False: not acceptable, and
 * `message` says so in Kong's words. Owned by the caller: *normal, NULL for "unset".
 */
bool tp_setting_normalize(const struct tp_setting *setting, const char *text, char **normal, char *message,
                          size_t size);

#endif
