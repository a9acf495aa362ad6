/*
 * Commands and their options: one table entry each, from which parsing and --help come.
 */
#ifndef TP_CLI_ARGS_H
#define TP_CLI_ARGS_H

#include "base/diag.h"

#define TP_ARGS_MAX 16

struct tp_option {
    const char *name;  /* "prefix": --prefix; of one letter: also -p */
    char letter;       /* 0: none */
    const char *value; /* what the value is called in the help; NULL: takes none */
    const char *about;
};

struct tp_args;

struct tp_command {
    const char *name;       /* one word or two: "config show" */
    const char *parameters; /* in the help: "FILE"; NULL: none */
    size_t min_parameters, max_parameters;
    const char *about;               /* one line */
    const char *more;                /* further text of its --help; NULL: none */
    const struct tp_option *options; /* beside the universal ones; ends with { 0 }; NULL: none */
    bool hidden;
    int (*run)(const struct tp_args *args);
};

struct tp_args {
    const struct tp_command *command;
    struct {
        const char *name, *value;
    } options[TP_ARGS_MAX];
    size_t option_count;
    const char *parameters[TP_ARGS_MAX];
    size_t parameter_count;
};

/* Every command; ends with { 0 }. */
extern const struct tp_command tp_commands[];

/* Options of every command: -c, -p, --v, --vv, -h. */
extern const struct tp_option tp_universal_options[];

/* Find the command and take its options apart. False after a finding; args->command may be set then. */
bool tp_args_parse(struct tp_args *out, int argc, char **argv, struct tp_diag *diag);

/* The option's value ("" for one without), or NULL when it was not given. */
const char *tp_args_get(const struct tp_args *args, const char *name);

/* A number of seconds; false after a message when it is none. */
bool tp_args_seconds(const struct tp_args *args, const char *name, double def, double *out);

void tp_args_help(const struct tp_command *command); /* NULL: of the program */

/* Print the commands that begin with `word` ("config"). False, and nothing printed, when there are none. */
bool tp_args_group_help(const char *word);

#endif
