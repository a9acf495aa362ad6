/* The turnpike command: the table of commands, and their dispatch. */
#include "base/diag.h"
#include "cli/commands.h"

#include <stdio.h>

static const struct tp_option quit_options[] = {
    { "timeout", 't', "SECONDS", "how long requests in flight may take (default 10)" },
    { "wait", 'w', "SECONDS", "wait before asking (default 0)" },
    { 0 },
};
static const struct tp_option version_options[] = {
    { "all", 'a', NULL, "also the versions of what it is built on" },
    { 0 },
};
static const struct tp_option show_options[] = {
    { "json", 0, NULL, "as JSON, without sources" },
    { 0 },
};
static const struct tp_option import_options[] = {
    { "progress", 0, NULL, "show a progress bar on stderr" },
    { 0 },
};
/* Accepted from scripts made for Kong: migrations run by themselves, and no lock can time out. */
static const struct tp_option start_options[] = {
    { "run-migrations", 0, NULL, "accepted from Kong's scripts: migrations of SQLite run by themselves" },
    { 0 },
};
static const struct tp_option migration_options[] = {
    { "yes", 'y', NULL, "accepted from Kong's scripts" },
    { "quiet", 'q', NULL, "say nothing but errors" },
    { "force", 'f', NULL, "accepted from Kong's scripts" },
    { 0 },
};

const struct tp_command tp_commands[] = {
    { "run", NULL, 0, 0, "run in the foreground, fit to be a container's first process",
      "TERM, INT and QUIT drain and stop; HUP reads the settings again; USR1 opens the logs again.", NULL, false,
      tp_cmd_run },
    { "start", NULL, 0, 0, "start in the background; returns when clients are served", NULL, start_options, false,
      tp_cmd_start },
    { "stop", NULL, 0, 0, "stop, after the requests in flight (setting drain_timeout)", NULL, NULL, false,
      tp_cmd_stop },
    { "quit", NULL, 0, 0, "stop gracefully, with a limit of time", NULL, quit_options, false, tp_cmd_quit },
    { "reload", NULL, 0, 0, "read the settings again without losing a request", NULL, NULL, false, tp_cmd_reload },
    { "restart", NULL, 0, 0, "stop and start", NULL, start_options, false, tp_cmd_restart },
    { "health", NULL, 0, 0, "tell whether the instance runs", NULL, NULL, false, tp_cmd_health },
    { "check", "[FILE]", 0, 1, "check the settings and say everything that is wrong", NULL, NULL, false, tp_cmd_check },
    { "prepare", NULL, 0, 0, "make the prefix and its files, and start nothing", NULL, NULL, false, tp_cmd_prepare },
    { "version", NULL, 0, 0, "the version", NULL, version_options, false, tp_cmd_version },
    { "config show", NULL, 0, 0, "effective settings, and where each comes from", NULL, show_options, false,
      tp_cmd_config_show },
    { "config list", NULL, 0, 0, "every setting there is, with its meaning", NULL, NULL, false, tp_cmd_config_list },
    { "config import", "FILE.jsonl", 1, 1, "load many entities at once, all or none",
      "One JSON object a line, with one member: the collection's name and the entity as the Admin API takes it.\n"
      "  {\"consumers\": {\"username\": \"ann\"}}\n"
      "  {\"keyauth_credentials\": {\"consumer\": {\"username\": \"ann\"}, \"key\": \"k1\"}}\n"
      "Parents come before their children. An entity with the id of a stored one replaces it. '-' reads standard\n"
      "input. All lines are one transaction: a wrong line is named, and nothing is loaded.",
      import_options, false, tp_cmd_config_import },
    { "migrations up", NULL, 0, 0, "bring the database's schema up to date", NULL, migration_options, false,
      tp_cmd_migrations_up },
    { "migrations bootstrap", NULL, 0, 0, "the same, under Kong's name for the first time", NULL, migration_options,
      false, tp_cmd_migrations_up },
    { "migrations finish", NULL, 0, 0, "accepted from Kong's scripts: nothing is ever pending", NULL, migration_options,
      false, tp_cmd_migrations_finish },
    { "migrations list", NULL, 0, 0, "what is new; exit status 0: nothing, 3: no database yet, 5: something", NULL,
      migration_options, false, tp_cmd_migrations_list },
    { "migrations status", NULL, 0, 0, "the same as JSON", NULL, migration_options, false, tp_cmd_migrations_status },
    { "control", "PREFIX READY_FD", 2, 2, "the control daemon; started by run", NULL, NULL, true, tp_cmd_control },
    { 0 },
};

static bool asks_for_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

int main(int argc, char **argv)
{
    struct tp_diag *diag = tp_diag_new();
    struct tp_args args;
    int status;

    if (argc == 2 && asks_for_help(argv[1])) {
        tp_args_help(NULL);
        status = 0;
    } else if (argc == 3 && asks_for_help(argv[2]) && tp_args_group_help(argv[1])) {
        status = 0;
    } else if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("%s\n", TURNPIKE_VERSION);
        status = 0;
    } else if (!tp_args_parse(&args, argc, argv, diag)) {
        status = tp_fail(diag);
    } else if (tp_args_get(&args, "help")) {
        tp_args_help(args.command);
        status = 0;
    } else {
        status = args.command->run(&args);
    }
    tp_diag_free(diag);
    return status;
}
