/* The settings file: "name = value" lines, comments by '#'. */
#include "cli/settings_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Cut a comment off, and turn "\#" into '#', in place. */
static void strip_comment(char *line)
{
    char *out = line;

    for (char *c = line; *c && *c != '#'; c++) {
        if (c[0] == '\\' && c[1] == '#')
            c++;
        *out++ = *c;
    }
    *out = '\0';
}

static void take_line(char *line, int number, tp_settings_entry_fn fn, void *data, struct tp_diag *diag)
{
    struct tp_str name, value;
    char *equals;

    line[strcspn(line, "\r\n")] = '\0';
    strip_comment(line);
    if (tp_str_trim(tp_str_from_cstr(line)).len == 0)
        return;
    equals = strchr(line, '=');
    if (!equals) {
        tp_diag_add(diag, NULL, "line %d is not of the form name = value", number);
        return;
    }
    name = tp_str_trim(tp_str_make(line, (size_t)(equals - line)));
    value = tp_str_trim(tp_str_from_cstr(equals + 1));
    fn(data, number, name, value);
}

enum tp_err tp_settings_read_file(const char *path, tp_settings_entry_fn fn, void *data, struct tp_diag *diag)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t capacity = 0;
    enum tp_err err = TP_OK;

    if (!file)
        return errno == ENOENT || errno == ENOTDIR ? TP_ERR_NOT_FOUND
                                                   : (tp_diag_add(diag, NULL, "%s: %m", path), TP_ERR_IO);
    for (int number = 1; getline(&line, &capacity, file) >= 0; number++)
        take_line(line, number, fn, data, diag);
    if (ferror(file)) {
        tp_diag_add(diag, NULL, "%s: cannot be read", path);
        err = TP_ERR_IO;
    }
    free(line);
    fclose(file);
    return err;
}
