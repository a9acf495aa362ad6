/* Parsing of the command line by the table of commands. */
#include "cli/args.h"

#include <math.h>
#include <stdio.h>

const struct tp_option tp_universal_options[] = {
    { "conf", 'c', "FILE", "settings file" },
    { "prefix", 'p', "DIR", "folder of the instance; wins over every other source" },
    { "v", 0, NULL, "say more" },
    { "vv", 0, NULL, "say everything" },
    { "help", 'h', NULL, "this text" },
    { 0 },
};

static const struct tp_option *find_in(const struct tp_option *options, const char *name, size_t len, char letter)
{
    for (; options && options->name; options++)
        if (letter ? options->letter == letter : strlen(options->name) == len && !memcmp(options->name, name, len))
            return options;
    return NULL;
}

static const struct tp_option *find_option(const struct tp_command *command, const char *name, size_t len, char letter)
{
    const struct tp_option *found = find_in(tp_universal_options, name, len, letter);

    return found ? found : find_in(command->options, name, len, letter);
}

/* The longest match: two words before one. *used is how many. */
static const struct tp_command *find_command(int argc, char **argv, int *used)
{
    char two[128] = "";

    if (argc > 2)
        snprintf(two, sizeof(two), "%s %s", argv[1], argv[2]);
    for (const struct tp_command *c = tp_commands; c->name; c++)
        if (strcmp(c->name, two) == 0)
            return *used = 2, c;
    for (const struct tp_command *c = tp_commands; c->name; c++)
        if (argc > 1 && strcmp(c->name, argv[1]) == 0)
            return *used = 1, c;
    return NULL;
}

/* One option and, where it takes one, its value. Returns how many words were used; 0 after a finding. */
static int take_option(struct tp_args *out, char **words, struct tp_diag *diag)
{
    const char *word = words[0], *equals = strchr(word, '=');
    bool is_long = word[1] == '-';
    size_t len = equals ? (size_t)(equals - word) : strlen(word);
    const struct tp_option *option = is_long ? find_option(out->command, word + 2, len - 2, 0)
                                             : find_option(out->command, NULL, 0, word[1]);
    const char *value = "";
    int used = 1;

    if (!option || (!is_long && word[2] != '\0')) {
        tp_diag_add(diag, NULL, "unknown option '%s' of 'turnpike %s'", word, out->command->name);
        return 0;
    }
    if (option->value) {
        value = is_long && equals ? equals + 1 : words[1];
        used = is_long && equals ? 1 : 2;
    }
    if (!value || (!option->value && equals)) {
        tp_diag_add(diag, NULL, option->value ? "option '%s' needs a value" : "option '%s' takes no value", word);
        return 0;
    }
    if (out->option_count == TP_ARGS_MAX) {
        tp_diag_add(diag, NULL, "too many options");
        return 0;
    }
    out->options[out->option_count].name = option->name;
    out->options[out->option_count++].value = value;
    return used;
}

bool tp_args_parse(struct tp_args *out, int argc, char **argv, struct tp_diag *diag)
{
    int used = 0, step;

    *out = (struct tp_args){ .command = find_command(argc, argv, &used) };
    if (!out->command) {
        tp_diag_add(diag, NULL, argc > 1 ? "unknown command '%s': see turnpike --help" : "a command is needed%s",
                    argc > 1 ? argv[1] : ": see turnpike --help");
        return false;
    }
    for (int i = 1 + used; i < argc; i += step) {
        step = 1;
        if (argv[i][0] == '-' && argv[i][1] != '\0') {
            step = take_option(out, argv + i, diag);
            if (step == 0)
                return false;
        } else if (out->parameter_count < out->command->max_parameters) {
            out->parameters[out->parameter_count++] = argv[i];
        } else {
            tp_diag_add(diag, NULL, "'%s' is one word too many for 'turnpike %s'", argv[i], out->command->name);
            return false;
        }
    }
    if (out->parameter_count < out->command->min_parameters && !tp_args_get(out, "help")) {
        tp_diag_add(diag, NULL, "'turnpike %s' needs %s", out->command->name, out->command->parameters);
        return false;
    }
    return true;
}

const char *tp_args_get(const struct tp_args *args, const char *name)
{
    for (size_t i = args->option_count; i > 0; i--)
        if (strcmp(args->options[i - 1].name, name) == 0)
            return args->options[i - 1].value;
    return NULL;
}

bool tp_args_seconds(const struct tp_args *args, const char *name, double def, double *out)
{
    const char *text = tp_args_get(args, name);

    *out = def;
    if (!text || (tp_str_to_double(tp_str_from_cstr(text), out) && isfinite(*out) && *out >= 0 && *out <= 1e6))
        return true;
    fprintf(stderr, "Error: --%s needs a number of seconds, not '%s'\n", name, text);
    return false;
}

static void print_options(const struct tp_option *options)
{
    for (; options && options->name; options++) {
        char left[64], letter[8] = "    ";

        if (options->letter)
            snprintf(letter, sizeof(letter), "-%c, ", options->letter);
        snprintf(left, sizeof(left), "%s--%s %s", letter, options->name, options->value ? options->value : "");
        printf("  %-26s %s\n", left, options->about);
    }
}

static bool in_group(const struct tp_command *command, const char *word)
{
    size_t len = strlen(word);

    return !command->hidden && strncmp(command->name, word, len) == 0 && command->name[len] == ' ';
}

bool tp_args_group_help(const char *word)
{
    bool found = false;

    for (const struct tp_command *c = tp_commands; c->name; c++) {
        if (!in_group(c, word))
            continue;
        if (!found)
            printf("Usage: turnpike %s COMMAND [OPTIONS]\n\nCommands:\n", word);
        printf("  %-20s %s\n", c->name, c->about);
        found = true;
    }
    if (found)
        printf("\n'turnpike %s COMMAND --help' tells more.\n", word);
    return found;
}

static void print_program_help(void)
{
    printf("Turnpike %s: an API gateway\n\nUsage: turnpike COMMAND [OPTIONS]\n\nCommands:\n", TURNPIKE_VERSION);
    for (const struct tp_command *c = tp_commands; c->name; c++)
        if (!c->hidden)
            printf("  %-20s %s\n", c->name, c->about);
    printf("\nOptions of every command:\n");
    print_options(tp_universal_options);
    printf("\nSettings come from a file (%s, %s or %s) and from\n"
           "the environment as TURNPIKE_<NAME> or KONG_<NAME>; 'turnpike config list' explains each.\n",
           "-c FILE, <prefix>/turnpike.conf", "/etc/turnpike/turnpike.conf", "/etc/kong/kong.conf");
}

void tp_args_help(const struct tp_command *c)
{
    if (!c) {
        print_program_help();
        return;
    }
    printf("Usage: turnpike %s [OPTIONS]%s%s\n\n%s\n", c->name, c->parameters ? " " : "",
           c->parameters ? c->parameters : "", c->about);
    if (c->more)
        printf("\n%s\n", c->more);
    printf("\nOptions:\n");
    print_options(c->options);
    print_options(tp_universal_options);
}
