/* What the commands share. */
#include "base/mem.h"
#include "cli/commands.h"

#include <stdio.h>
#include <unistd.h>

int tp_fail(const struct tp_diag *diag)
{
    for (size_t i = 0; i < tp_diag_count(diag); i++) {
        const char *path = tp_diag_path(diag, i), *message = tp_diag_message(diag, i);

        /* Kong's own messages start with the setting's name already. */
        if (path[0] && strncmp(message, path, strlen(path)) != 0)
            fprintf(stderr, "Error: %s: %s\n", path, message);
        else
            fprintf(stderr, "Error: %s\n", message);
    }
    fprintf(stderr, "\n  Run with --v (verbose) or --vv (debug) for more details\n");
    return 1;
}

struct tp_settings_input tp_args_settings(const struct tp_args *args)
{
    return (struct tp_settings_input){
        .file = tp_args_get(args, "conf"),
        .prefix = tp_args_get(args, "prefix"),
        .environ_vars = (const char *const *)environ,
    };
}

char *tp_find_prefix(const struct tp_args *args)
{
    struct tp_settings_input input = tp_args_settings(args);
    struct tp_diag *diag = tp_diag_new();
    struct tp_settings *settings = NULL;
    char *prefix = NULL, *found;

    if (input.prefix) {
        prefix = tp_strdup(input.prefix);
    } else if (tp_settings_load(&settings, &input, diag) == TP_OK) {
        prefix = tp_strdup(tp_settings_text(settings, "prefix"));
        tp_settings_free(settings);
    } else {
        tp_fail(diag);
    }
    tp_diag_free(diag);
    if (!prefix)
        return NULL;
    found = realpath(prefix, NULL);
    if (!found)
        fprintf(stderr, "Error: no such prefix: %s\n", prefix);
    free(prefix);
    return found;
}
