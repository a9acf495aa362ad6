/*
 * The commands, and what they have in common. Each returns the exit status.
 */
#ifndef TP_CLI_COMMANDS_H
#define TP_CLI_COMMANDS_H

#include "cli/args.h"
#include "cli/settings.h"

int tp_cmd_run(const struct tp_args *args);
int tp_cmd_start(const struct tp_args *args);
int tp_cmd_restart(const struct tp_args *args);
int tp_cmd_prepare(const struct tp_args *args);
int tp_cmd_check(const struct tp_args *args);
int tp_cmd_stop(const struct tp_args *args);
int tp_cmd_quit(const struct tp_args *args);
int tp_cmd_reload(const struct tp_args *args);
int tp_cmd_health(const struct tp_args *args);
int tp_cmd_version(const struct tp_args *args);
int tp_cmd_config_show(const struct tp_args *args);
int tp_cmd_config_list(const struct tp_args *args);
int tp_cmd_config_import(const struct tp_args *args);
int tp_cmd_migrations_up(const struct tp_args *args);
int tp_cmd_migrations_finish(const struct tp_args *args);
int tp_cmd_migrations_list(const struct tp_args *args);
int tp_cmd_migrations_status(const struct tp_args *args);
int tp_cmd_control(const struct tp_args *args);

/* "Error: …" for every finding, and the hint that Kong gives too. Returns 1. */
int tp_fail(const struct tp_diag *diag);

/* The settings' sources as this command line and environment name them; valid as long as `args`. */
struct tp_settings_input tp_args_settings(const struct tp_args *args);

/* The instance's folder without reading more than is needed. Owned; NULL after a message. */
char *tp_find_prefix(const struct tp_args *args);

#endif
