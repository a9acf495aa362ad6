/*
 * The settings of an instance: one table of all that there are (settings_table.c), read from a file and from
 * the environment by Kong's rules of precedence:
 *
 *   command line  >  TURNPIKE_<NAME>  >  KONG_<NAME>  >  file  >  default
 *
 * What Kong forgives in silence (unknown names, bad booleans and numbers) stays forgiven for KONG_*; in our own
 * variables and in the file it is an error that names the setting and the nearest known one.
 */
#ifndef TP_CLI_SETTINGS_H
#define TP_CLI_SETTINGS_H

#include "base/diag.h"

#include <jansson.h>

enum tp_setting_type {
    TP_SETTING_TEXT,
    TP_SETTING_LIST, /* comma separated */
    TP_SETTING_NUMBER,
    TP_SETTING_BOOLEAN, /* on, true; off, false */
    TP_SETTING_ONOFF,   /* a boolean that nginx reads: kept as the text on or off */
    TP_SETTING_ENUM,
    TP_SETTING_BYTES, /* 10m, 64g, 1048576; in JSON the number of bytes */
};

enum tp_setting_use {
    TP_SETTING_USED,     /* Kong has it, and it means the same here */
    TP_SETTING_OURS,     /* Kong has none like it */
    TP_SETTING_ACCEPTED, /* Kong has it; nothing here depends on it */
};

/* An entry of the table. */
struct tp_setting {
    const char *name;
    enum tp_setting_type type;
    enum tp_setting_use use;
    const char *def;           /* NULL: unset */
    const char *const *one_of; /* ENUM; ends with NULL */
    bool ranged;               /* NUMBER, BYTES: min and max hold */
    double min, max;
    bool needed;       /* an empty value means the default, not "unset" */
    bool secret;       /* shown as ******; kept out of the workers' file */
    const char *about; /* one line for people */
};

extern const struct tp_setting tp_setting_table[];
extern const size_t tp_setting_count;

/* The directives that `nginx_<block>_<directive>` may go into; ends with NULL. */
extern const char *const tp_directive_blocks[];

/* Where a value came from. */
enum tp_setting_origin {
    TP_FROM_DEFAULT,
    TP_FROM_FILE,
    TP_FROM_KONG_ENV,
    TP_FROM_ENV,
    TP_FROM_COMMAND_LINE,
};

struct tp_settings_input {
    const char *file;                /* -c; NULL: the usual places */
    const char *prefix;              /* -p; NULL: not given */
    const char *const *environ_vars; /* "NAME=value", ends with NULL */
};

struct tp_settings;

/*
 * Read and check everything. On success *out is owned: tp_settings_free. On failure (TP_ERR_INVALID, TP_ERR_IO)
 * `diag` holds every finding, not only the first.
 */
enum tp_err tp_settings_load(struct tp_settings **out, const struct tp_settings_input *input, struct tp_diag *diag);
void tp_settings_free(struct tp_settings *settings);

/* The file that was read, or NULL when there was none. */
const char *tp_settings_file(const struct tp_settings *settings);

/* Values by name, which must be in the table. Text is valid until free; NULL: unset. */
const char *tp_settings_text(const struct tp_settings *settings, const char *name);
bool tp_settings_bool(const struct tp_settings *settings, const char *name);
double tp_settings_number(const struct tp_settings *settings, const char *name); /* BYTES too; unset: 0 */

/* Replace a value by what it means on this machine (auto → 4); the origin stays. */
void tp_settings_resolve(struct tp_settings *settings, const char *name, const char *value);

/* Walk over all of them, table order first, then injected directives. False behind the last. */
struct tp_setting_view {
    const struct tp_setting *setting;
    const char *value; /* NULL: unset */
    enum tp_setting_origin origin;
};
bool tp_settings_at(const struct tp_settings *settings, size_t i, struct tp_setting_view *out);

/* "default", "file /etc/x.conf", "TURNPIKE_PREFIX" … into `out`. */
void tp_settings_origin_text(const struct tp_settings *settings, const struct tp_setting_view *view, char *out,
                             size_t size);

/* If `name` is nginx_<block>_<directive>: *block and *directive, as parts of `name`. */
bool tp_setting_directive(const char *name, const char **block, const char **directive);

/*
 * A flat object of what is set, in JSON's types; secrets as "******" unless `secrets_only`, which gives just
 * those, in clear. Owned.
 */
json_t *tp_settings_json(const struct tp_settings *settings, bool secrets_only);

/* --- Shared with settings_check.c and the tests ---------------------------------------------------- */

/* The known name nearest to `name` by edit distance, or NULL when none is near. */
const char *tp_settings_nearest(const char *name);

/* "10m" → 10485760. False for anything that is not digits and one of k, m, g. */
bool tp_bytes_parse(const char *text, double *out);

/* Checks between settings (settings_check.c): adds every finding to `diag`. */
void tp_settings_check(const struct tp_settings *settings, struct tp_diag *diag);

/* True when an injected directive's value cannot end the directive or open a block by itself. */
bool tp_directive_value_safe(const char *value);

#endif
