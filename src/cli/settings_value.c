/*
 * One setting's value: its form, its check, and the known name nearest to a wrong one.
 */
#include "base/mem.h"
#include "cli/settings_priv.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>

#define NAME_MAX_LEN 64

bool tp_bytes_parse(const char *text, double *out)
{
    char *end;
    double n;

    if (!isdigit((unsigned char)text[0]))
        return false;
    n = (double)strtoull(text, &end, 10);
    switch (tolower((unsigned char)*end)) {
    case 'k':
        n *= 1024;
        end++;
        break;
    case 'm':
        n *= 1024 * 1024;
        end++;
        break;
    case 'g':
        n *= 1024 * 1024 * 1024;
        end++;
        break;
    default: break;
    }
    if (*end != '\0')
        return false;
    *out = n;
    return true;
}

static bool in_range(const struct tp_setting *s, double n, char *message, size_t size)
{
    if (!s->ranged || (n >= s->min && n <= s->max))
        return true;
    if (s->max == 1000 && s->min == 1)
        snprintf(message, size, "%s must be an integer between 1 and 1000", s->name);
    else if (n < s->min && s->min > 0 && s->min < 1e-6)
        snprintf(message, size, "%s must be greater than 0", s->name);
    else
        snprintf(message, size, "%s must be between %.15g and %.15g", s->name, s->min, s->max);
    return false;
}

static bool check_number(const struct tp_setting *s, const char *text, char *message, size_t size)
{
    double n;

    if (!tp_str_to_double(tp_str_from_cstr(text), &n) || !isfinite(n)) {
        snprintf(message, size, "%s is not a number: '%s'", s->name, text);
        return false;
    }
    return in_range(s, n, message, size);
}

static bool check_bytes(const struct tp_setting *s, const char *text, char *message, size_t size)
{
    double n;

    if (!tp_bytes_parse(text, &n)) {
        snprintf(message, size, "%s is not a size: '%s' (examples: 64k, 10m, 2g)", s->name, text);
        return false;
    }
    return in_range(s, n, message, size);
}

static bool check_enum(const struct tp_setting *s, const char *text, char *message, size_t size)
{
    size_t at;

    for (size_t i = 0; s->one_of[i]; i++)
        if (strcmp(s->one_of[i], text) == 0)
            return true;
    at = (size_t)snprintf(message, size, "%s has an invalid value: '%s' (", s->name, text);
    for (size_t i = 0; s->one_of[i] && at < size; i++)
        at += (size_t)snprintf(message + at, size - at, "%s%s", i ? ", " : "", s->one_of[i]);
    if (at < size)
        snprintf(message + at, size - at, ")");
    return false;
}

/* on, true → "on"; off, false → "off"; else NULL. */
static const char *boolean_word(const char *text)
{
    if (strcmp(text, "on") == 0 || strcmp(text, "true") == 0)
        return "on";
    if (strcmp(text, "off") == 0 || strcmp(text, "false") == 0)
        return "off";
    return NULL;
}

/* Items trimmed, empty ones dropped, joined by ", ". NULL when none is left. */
static char *normal_list(const char *text)
{
    struct tp_str rest = tp_str_from_cstr(text), item;
    char *out = tp_malloc(strlen(text) * 2 + 3);
    size_t len = 0;

    while (tp_str_next(&rest, ',', &item)) {
        item = tp_str_trim(item);
        if (item.len == 0)
            continue;
        if (len > 0) {
            memcpy(out + len, ", ", 2);
            len += 2;
        }
        memcpy(out + len, item.data, item.len);
        len += item.len;
    }
    out[len] = '\0';
    if (len > 0)
        return out;
    free(out);
    return NULL;
}

bool tp_setting_normalize(const struct tp_setting *s, const char *text, char **normal, char *message, size_t size)
{
    const char *word;
    bool ok = true;

    *normal = NULL;
    if (*text == '\0')
        return true;
    switch (s->type) {
    case TP_SETTING_BOOLEAN:
    case TP_SETTING_ONOFF:
        word = boolean_word(text);
        if (!word)
            snprintf(message, size, "%s is not a boolean: '%s' (on, off)", s->name, text);
        *normal = tp_strdup(word);
        return word != NULL;
    case TP_SETTING_LIST: *normal = normal_list(text); return true;
    case TP_SETTING_NUMBER: ok = check_number(s, text, message, size); break;
    case TP_SETTING_BYTES: ok = check_bytes(s, text, message, size); break;
    case TP_SETTING_ENUM: ok = check_enum(s, text, message, size); break;
    case TP_SETTING_TEXT: break;
    }
    if (ok)
        *normal = tp_strdup(text);
    return ok;
}

/* Changes of one letter, and swaps of two neighbours, that make `a` into `b`. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b);
    unsigned char rows[3][NAME_MAX_LEN + 1];

    for (size_t j = 0; j <= lb; j++)
        rows[0][j] = (unsigned char)j;
    for (size_t i = 1; i <= la; i++) {
        unsigned char *now = rows[i % 3], *before = rows[(i + 2) % 3], *earlier = rows[(i + 1) % 3];

        now[0] = (unsigned char)i;
        for (size_t j = 1; j <= lb; j++) {
            unsigned best = before[j - 1] + (a[i - 1] != b[j - 1]);

            if (before[j] + 1u < best)
                best = before[j] + 1u;
            if (now[j - 1] + 1u < best)
                best = now[j - 1] + 1u;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && earlier[j - 2] + 1u < best)
                best = earlier[j - 2] + 1u;
            now[j] = (unsigned char)best;
        }
    }
    return rows[la % 3][lb];
}

const char *tp_settings_nearest(const char *name)
{
    size_t len = strlen(name), best = len / 3 + 2;
    const char *found = NULL;

    if (len > NAME_MAX_LEN)
        return NULL;
    for (size_t i = 0; i < tp_setting_count; i++) {
        size_t distance = edit_distance(name, tp_setting_table[i].name);

        if (distance < best) {
            best = distance;
            found = tp_setting_table[i].name;
        }
    }
    return found;
}

bool tp_setting_directive(const char *name, const char **block, const char **directive)
{
    if (strncmp(name, "nginx_", 6) != 0)
        return false;
    for (size_t i = 0; tp_directive_blocks[i]; i++) {
        size_t len = strlen(tp_directive_blocks[i]);
        const char *rest = name + 6 + len;

        if (strncmp(name + 6, tp_directive_blocks[i], len) != 0 || rest[0] != '_' || rest[1] == '\0')
            continue;
        if (strspn(rest + 1, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(rest + 1))
            return false;
        *block = tp_directive_blocks[i];
        *directive = rest + 1;
        return true;
    }
    return false;
}

/*
 * nginx's own lexer, as far as it matters: outside quotes ';', '{', '}' and '#' have a meaning, but "${name}" is a
 * variable; a backslash takes the next character along.
 */
bool tp_directive_value_safe(const char *value)
{
    char quote = '\0';

    for (const char *c = value; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return false;
        if (*c == '\\') {
            if (c[1] == '\0')
                return false;
            c++;
        } else if (quote) {
            if (*c == quote)
                quote = '\0';
        } else if (*c == '"' || *c == '\'') {
            quote = *c;
        } else if (*c == '$' && c[1] == '{') {
            size_t name = strspn(c + 2, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

            if (c[2 + name] != '}')
                return false;
            c += 2 + name;
        } else if (strchr(";{}#", *c)) {
            return false;
        }
    }
    return quote == '\0';
}
