/*
 * Settings of an instance: merging of the sources, and access by name. Immutable after load, but for
 * tp_settings_resolve.
 */
#include "cli/settings.h"

#include "base/mem.h"
#include "cli/settings_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <unistd.h>

struct value {
    const struct tp_setting *setting;
    char *text; /* NULL: unset */
    enum tp_setting_origin origin;
    int line; /* in the file */
};

struct tp_settings {
    struct value *values;     /* in table order */
    struct value *directives; /* injected ones that are not in the table; each owns its setting */
    size_t directive_count;
    char *file;
};

/* What reading one source needs to know. */
struct reading {
    struct tp_settings *settings;
    struct tp_diag *diag;
    enum tp_setting_origin origin;
    const char *env_prefix; /* "TURNPIKE_", "KONG_"; NULL: the file */
    int line;
};

static struct value *find_value(const struct tp_settings *s, const char *name)
{
    for (size_t i = 0; i < tp_setting_count; i++)
        if (strcmp(tp_setting_table[i].name, name) == 0)
            return &s->values[i];
    for (size_t i = 0; i < s->directive_count; i++)
        if (strcmp(s->directives[i].setting->name, name) == 0)
            return &s->directives[i];
    return NULL;
}

/* A name that the table has not, but that is a directive to inject: make an entry for it. */
static struct value *add_directive(struct tp_settings *s, const char *name)
{
    const char *block, *directive;
    struct tp_setting *setting;
    struct value *value;

    if (!tp_setting_directive(name, &block, &directive))
        return NULL;
    s->directives = tp_realloc(s->directives, (s->directive_count + 1) * sizeof(*s->directives));
    setting = tp_new(struct tp_setting);
    setting->name = tp_strdup(name);
    setting->type = TP_SETTING_TEXT;
    setting->about = "a directive for nginx";
    value = &s->directives[s->directive_count++];
    *value = (struct value){ .setting = setting };
    return value;
}

/* How the entry is called where the operator wrote it. */
static void written_name(const struct reading *r, const char *name, char *out, size_t size)
{
    if (!r->env_prefix) {
        snprintf(out, size, "%s (line %d)", name, r->line);
        return;
    }
    snprintf(out, size, "%s%s", r->env_prefix, name);
    for (char *c = out; *c; c++)
        *c = (char)toupper((unsigned char)*c);
}

static void report_unknown(const struct reading *r, const char *name)
{
    const char *nearest = tp_settings_nearest(name);
    char written[256], suggestion[256];

    if (r->origin == TP_FROM_KONG_ENV)
        return; /* as Kong does: its variables may be meant for something else */
    written_name(r, name, written, sizeof(written));
    if (!nearest) {
        tp_diag_add(r->diag, written, "unknown setting");
        return;
    }
    if (r->env_prefix)
        written_name(r, nearest, suggestion, sizeof(suggestion));
    else
        snprintf(suggestion, sizeof(suggestion), "%s", nearest);
    tp_diag_add(r->diag, written, "unknown setting; did you mean %s?", suggestion);
}

static void set_value(struct value *value, char *text, const struct reading *r)
{
    free(value->text);
    value->text = text;
    value->origin = r->origin;
    value->line = r->line;
}

/* Kong takes any bad boolean as false and any bad number as unset, and says nothing. */
static bool kong_forgives(const struct tp_setting *s, char **normal)
{
    if (s->type != TP_SETTING_BOOLEAN && s->type != TP_SETTING_ONOFF && s->type != TP_SETTING_NUMBER)
        return false;
    *normal = s->type == TP_SETTING_NUMBER ? NULL : tp_strdup("off");
    return true;
}

static void take_entry(const struct reading *r, const char *name, const char *text)
{
    struct value *value = find_value(r->settings, name);
    char message[512], written[256];
    char *normal = NULL;

    if (!value)
        value = add_directive(r->settings, name);
    if (!value) {
        report_unknown(r, name);
        return;
    }
    if (!tp_setting_normalize(value->setting, text, &normal, message, sizeof(message)) &&
        !(r->origin == TP_FROM_KONG_ENV && !value->setting->ranged && kong_forgives(value->setting, &normal))) {
        written_name(r, name, written, sizeof(written));
        tp_diag_add(r->diag, written, "%s", message);
        free(normal);
        return;
    }
    if (!normal && value->setting->needed)
        normal = tp_strdup(value->setting->def);
    set_value(value, normal, r);
}

static void on_file_entry(void *data, int line, struct tp_str name, struct tp_str text)
{
    struct reading *r = data;
    char *name_cstr = tp_strndup(name), *text_cstr = tp_strndup(text);

    r->line = line;
    take_entry(r, name_cstr, text_cstr);
    free(name_cstr);
    free(text_cstr);
}

/* Only upper case counts in a variable's name: lower-case letters make an unknown one. */
static void swap_case(char *name)
{
    for (char *c = name; *c; c++) {
        if ((*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z'))
            *c = (char)(*c ^ 0x20);
    }
}

static void read_environment(struct reading *r, const char *const *vars)
{
    size_t prefix_len = strlen(r->env_prefix);

    for (; vars && *vars; vars++) {
        const char *equals = strchr(*vars, '=');
        char *name;

        if (!equals || strncmp(*vars, r->env_prefix, prefix_len) != 0)
            continue;
        name = tp_strndup(tp_str_make(*vars + prefix_len, (size_t)(equals - *vars) - prefix_len));
        swap_case(name);
        take_entry(r, name, equals + 1);
        free(name);
    }
}

/* The value of a variable, ours before Kong's; NULL: neither is set. */
static const char *environment_text(const char *const *vars, const char *ours, const char *kongs)
{
    const char *found = NULL;

    for (; vars && *vars; vars++) {
        if (strncmp(*vars, ours, strlen(ours)) == 0)
            return *vars + strlen(ours);
        if (strncmp(*vars, kongs, strlen(kongs)) == 0)
            found = *vars + strlen(kongs);
    }
    return found;
}

/* Read the given file, or the first of the usual ones that exists. */
static enum tp_err read_file(struct reading *r, const struct tp_settings_input *input)
{
    const char *prefix = input->prefix ? input->prefix
                                       : environment_text(input->environ_vars, "TURNPIKE_PREFIX=", "KONG_PREFIX=");
    const char *usual[] = { NULL, "/etc/turnpike/turnpike.conf", "/etc/kong/kong.conf", "/etc/kong.conf" };
    char in_prefix[4096];
    enum tp_err err;

    if (input->file) {
        r->settings->file = tp_strdup(input->file);
        err = tp_settings_read_file(input->file, on_file_entry, r, r->diag);
        if (err == TP_ERR_NOT_FOUND)
            tp_diag_add(r->diag, NULL, "no file at: %s", input->file);
        return err;
    }
    if (prefix && snprintf(in_prefix, sizeof(in_prefix), "%s/turnpike.conf", prefix) < (int)sizeof(in_prefix))
        usual[0] = in_prefix;
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
        if (!usual[i])
            continue;
        err = tp_settings_read_file(usual[i], on_file_entry, r, r->diag);
        if (err == TP_ERR_NOT_FOUND)
            continue;
        r->settings->file = tp_strdup(usual[i]);
        return err;
    }
    return TP_OK;
}

static struct tp_settings *settings_new(void)
{
    struct tp_settings *s = tp_new(struct tp_settings);
    const char *home = getenv("HOME");
    char prefix[4096];

    s->values = tp_calloc(tp_setting_count, sizeof(*s->values));
    for (size_t i = 0; i < tp_setting_count; i++) {
        s->values[i].setting = &tp_setting_table[i];
        s->values[i].text = tp_strdup(tp_setting_table[i].def);
    }
    /* Only root may write to /var/lib. */
    if (geteuid() != 0 && home && snprintf(prefix, sizeof(prefix), "%s/.turnpike", home) < (int)sizeof(prefix))
        tp_settings_resolve(s, "prefix", prefix);
    return s;
}

enum tp_err tp_settings_load(struct tp_settings **out, const struct tp_settings_input *input, struct tp_diag *diag)
{
    struct tp_settings *s = settings_new();
    struct reading file = { s, diag, TP_FROM_FILE, NULL, 0 };
    struct reading kong = { s, diag, TP_FROM_KONG_ENV, "KONG_", 0 };
    struct reading ours = { s, diag, TP_FROM_ENV, "TURNPIKE_", 0 };
    struct reading command_line = { s, diag, TP_FROM_COMMAND_LINE, NULL, 0 };
    size_t before = tp_diag_count(diag);
    enum tp_err err;

    err = read_file(&file, input);
    if (err)
        goto out;
    read_environment(&kong, input->environ_vars);
    read_environment(&ours, input->environ_vars);
    if (input->prefix)
        take_entry(&command_line, "prefix", input->prefix);
    tp_settings_check(s, diag);
    if (tp_diag_count(diag) > before) {
        err = TP_ERR_INVALID;
        goto out;
    }
    *out = s;
    s = NULL;
out:
    tp_settings_free(s);
    return err;
}

void tp_settings_free(struct tp_settings *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < tp_setting_count; i++)
        free(s->values[i].text);
    for (size_t i = 0; i < s->directive_count; i++) {
        free((char *)s->directives[i].setting->name);
        free((struct tp_setting *)s->directives[i].setting);
        free(s->directives[i].text);
    }
    free(s->directives);
    free(s->values);
    free(s->file);
    free(s);
}

const char *tp_settings_file(const struct tp_settings *s)
{
    return s->file;
}

const char *tp_settings_text(const struct tp_settings *s, const char *name)
{
    struct value *value = find_value(s, name);

    TP_ASSERT(value != NULL);
    return value->text;
}

bool tp_settings_bool(const struct tp_settings *s, const char *name)
{
    const char *text = tp_settings_text(s, name);

    return text && strcmp(text, "on") == 0;
}

static double value_number(const struct value *value)
{
    double n = 0;

    if (!value->text)
        return 0;
    if (value->setting->type == TP_SETTING_BYTES)
        tp_bytes_parse(value->text, &n);
    else
        tp_str_to_double(tp_str_from_cstr(value->text), &n);
    return n;
}

double tp_settings_number(const struct tp_settings *s, const char *name)
{
    struct value *value = find_value(s, name);

    TP_ASSERT(value != NULL);
    return value_number(value);
}

void tp_settings_resolve(struct tp_settings *s, const char *name, const char *text)
{
    struct value *value = find_value(s, name);

    TP_ASSERT(value != NULL);
    free(value->text);
    value->text = tp_strdup(text);
}

bool tp_settings_at(const struct tp_settings *s, size_t i, struct tp_setting_view *out)
{
    const struct value *value;

    if (i >= tp_setting_count + s->directive_count)
        return false;
    value = i < tp_setting_count ? &s->values[i] : &s->directives[i - tp_setting_count];
    *out = (struct tp_setting_view){ value->setting, value->text, value->origin };
    return true;
}

void tp_settings_origin_text(const struct tp_settings *s, const struct tp_setting_view *view, char *out, size_t size)
{
    struct reading r = { .origin = view->origin };

    switch (view->origin) {
    case TP_FROM_DEFAULT: snprintf(out, size, "default"); return;
    case TP_FROM_COMMAND_LINE: snprintf(out, size, "command line"); return;
    case TP_FROM_FILE: snprintf(out, size, "%s:%d", s->file, find_value(s, view->setting->name)->line); return;
    case TP_FROM_KONG_ENV: r.env_prefix = "KONG_"; break;
    case TP_FROM_ENV: r.env_prefix = "TURNPIKE_"; break;
    }
    written_name(&r, view->setting->name, out, size);
}

static json_t *list_json(const char *text)
{
    json_t *list = json_array();
    struct tp_str rest = tp_str_from_cstr(text), item;

    while (tp_str_next(&rest, ',', &item)) {
        item = tp_str_trim(item);
        json_array_append_new(list, json_stringn(item.data, item.len));
    }
    return list;
}

static json_t *value_json(const struct value *value)
{
    double n;

    switch (value->setting->type) {
    case TP_SETTING_LIST: return list_json(value->text);
    case TP_SETTING_BOOLEAN: return json_boolean(strcmp(value->text, "on") == 0);
    case TP_SETTING_NUMBER:
    case TP_SETTING_BYTES:
        n = value_number(value);
        return n == (double)(json_int_t)n ? json_integer((json_int_t)n) : json_real(n);
    default: return json_string(value->text);
    }
}

json_t *tp_settings_json(const struct tp_settings *s, bool secrets_only)
{
    json_t *object = json_object();

    for (size_t i = 0; i < tp_setting_count + s->directive_count; i++) {
        const struct value *value = i < tp_setting_count ? &s->values[i] : &s->directives[i - tp_setting_count];

        if (!value->text || (secrets_only && !value->setting->secret))
            continue;
        json_object_set_new(object, value->setting->name,
                            value->setting->secret && !secrets_only ? json_string("******") : value_json(value));
    }
    return object;
}
