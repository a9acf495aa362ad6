/*
 * Error trees as text, and Kong's two ways of writing a Lua table: in one line ("{name=\"x\"}") and over
 * several with two spaces of indent.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "model/entity.h"
#include "model/json.h"

#include <ctype.h>
#include <stdio.h>

#define MAX_MESSAGE (1 << 20) /* bytes; a longer text is cut */
#define MAX_DEPTH 32

/* --- Keys in order ---------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of an object, sorted: an array owned by the caller, its texts the object's. */
static const char **sorted_names(const json_t *object, size_t *count)
{
    size_t n = json_object_size(object), i = 0;
    const char **names = tp_calloc(n + 1, sizeof(*names));
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)object, name, value)
        names[i++] = name;
    qsort(names, n, sizeof(*names), compare_names);
    *count = n;
    return names;
}

/* --- Lua notation ----------------------------------------------------------------------------- */

static bool is_plain_name(const char *name)
{
    static const char *const words[] = {
        "and",   "break", "do",  "else", "elseif", "end",    "false", "for",  "function", "if",    "in",
        "local", "nil",   "not", "or",   "repeat", "return", "then",  "true", "until",    "while", NULL,
    };

    if (!isalpha((unsigned char)*name) && *name != '_')
        return false;
    for (const char *c = name; *c; c++) {
        if (!isalnum((unsigned char)*c) && *c != '_')
            return false;
    }
    for (size_t i = 0; words[i]; i++) {
        if (strcmp(words[i], name) == 0)
            return false;
    }
    return true;
}

/* Text over several lines goes in long brackets, with as many '=' as keep its own brackets apart. */
static void add_long_text(struct tp_buf *buf, struct tp_str text)
{
    char level[MAX_DEPTH] = "";
    char closing[MAX_DEPTH + 4];

    for (size_t n = 0; n + 1 < sizeof(level); n++) {
        snprintf(closing, sizeof(closing), "]%s]", level);
        if (tp_str_find(text, tp_str_from_cstr(closing)) < 0)
            break;
        level[n] = '=';
    }
    tp_buf_addf(buf, "[%s[%s", level, text.len && text.data[0] == '\n' ? "\n" : "");
    tp_buf_add(buf, text);
    tp_buf_addf(buf, "]%s]", level);
}

static void add_text(struct tp_buf *buf, struct tp_str text)
{
    if (tp_str_chr(text, '\n') >= 0 && tp_str_chr(text, '\r') < 0) {
        add_long_text(buf, text);
        return;
    }
    tp_buf_add_char(buf, '"');
    for (size_t i = 0; i < text.len; i++) {
        switch (text.data[i]) {
        case '"': tp_buf_add_cstr(buf, "\\\""); break;
        case '\\': tp_buf_add_cstr(buf, "\\\\"); break;
        case '\n': tp_buf_add_cstr(buf, "\\\n"); break;
        case '\r': tp_buf_add_cstr(buf, "\\r"); break;
        case '\0': tp_buf_add_cstr(buf, "\\000"); break;
        default: tp_buf_add_char(buf, text.data[i]); break;
        }
    }
    tp_buf_add_char(buf, '"');
}

static void add_value(struct tp_buf *buf, const json_t *value, int indent, int depth);

static void add_scalar(struct tp_buf *buf, const json_t *value)
{
    if (json_is_string(value))
        add_text(buf, tp_json_str(value));
    else if (json_is_integer(value))
        tp_buf_addf(buf, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        tp_buf_addf(buf, "%.14g", json_real_value(value));
    else
        tp_buf_add_cstr(buf, json_is_true(value) ? "true" : json_is_false(value) ? "false" : "null");
}

/* What stands before an entry: a comma, a line and its indent; nothing of it in the short form (indent < 0). */
static void begin_entry(struct tp_buf *buf, bool *first, int indent)
{
    if (!*first)
        tp_buf_add_char(buf, ',');
    *first = false;
    if (indent >= 0)
        tp_buf_addf(buf, "\n%*s", indent + 2, "");
}

static void add_name(struct tp_buf *buf, const char *name, int indent)
{
    if (is_plain_name(name)) {
        tp_buf_add_cstr(buf, name);
    } else {
        tp_buf_add_char(buf, '[');
        add_text(buf, tp_str_from_cstr(name));
        tp_buf_add_char(buf, ']');
    }
    tp_buf_add_cstr(buf, indent >= 0 ? " = " : "=");
}

static void add_list(struct tp_buf *buf, const json_t *list, int indent, int depth, bool *first)
{
    const json_t *value;
    bool gap = false;
    size_t i;

    json_array_foreach((json_t *)list, i, value) {
        if (indent >= 0 && json_is_null(value)) { /* an error list: nothing wrong here */
            gap = true;
            continue;
        }
        begin_entry(buf, first, indent);
        if (gap)
            tp_buf_addf(buf, "[%zu] = ", i + 1);
        add_value(buf, value, indent >= 0 ? indent + 2 : indent, depth);
    }
}

static void add_object(struct tp_buf *buf, const json_t *object, int indent, int depth, bool *first)
{
    size_t count;
    const char **names = sorted_names(object, &count);

    for (size_t i = 0; i < count; i++) {
        begin_entry(buf, first, indent);
        add_name(buf, names[i], indent);
        add_value(buf, json_object_get(object, names[i]), indent >= 0 ? indent + 2 : indent, depth);
    }
    free(names);
}

static void add_value(struct tp_buf *buf, const json_t *value, int indent, int depth)
{
    bool first = true;

    if (!json_is_object(value) && !json_is_array(value)) {
        add_scalar(buf, value);
        return;
    }
    tp_buf_add_char(buf, '{');
    if (depth == MAX_DEPTH)
        tp_buf_add_cstr(buf, "...");
    else if (json_is_array(value))
        add_list(buf, value, indent, depth + 1, &first);
    else
        add_object(buf, value, indent, depth + 1, &first);
    if (indent >= 0 && !first)
        tp_buf_addf(buf, "\n%*s", indent, "");
    tp_buf_add_char(buf, '}');
}

char *tp_lua_literal(const json_t *value)
{
    struct tp_buf buf;

    tp_buf_init(&buf, 0);
    add_value(&buf, value, -1, 0);
    return tp_buf_take(&buf);
}

/* --- Messages --------------------------------------------------------------------------------- */

static void begin_violation(struct tp_buf *buf, size_t *count)
{
    if ((*count)++ > 0)
        tp_buf_add_cstr(buf, "; ");
}

static void add_error(struct tp_buf *buf, const json_t *err)
{
    if (json_is_string(err))
        tp_buf_add(buf, tp_json_str(err));
    else
        add_value(buf, err, 0, 0);
}

static void add_field_errors(struct tp_buf *buf, const char *field, const json_t *errors, size_t *count)
{
    const json_t *err;
    const char **names;
    size_t n, i;

    if (json_is_string(errors)) {
        begin_violation(buf, count);
        tp_buf_addf(buf, "%s: ", field);
        tp_buf_add(buf, tp_json_str(errors));
        return;
    }
    json_array_foreach((json_t *)errors, i, err) {
        if (json_is_null(err))
            continue;
        begin_violation(buf, count);
        tp_buf_addf(buf, "%s.%zu: ", field, i + 1);
        add_error(buf, err);
    }
    names = sorted_names(errors, &n);
    for (i = 0; i < n; i++) {
        begin_violation(buf, count);
        tp_buf_addf(buf, "%s.%s: ", field, names[i]);
        add_error(buf, json_object_get(errors, names[i]));
    }
    free(names);
}

char *tp_errors_message(const json_t *errors)
{
    const json_t *err;
    struct tp_buf body, text;
    const char **names;
    size_t n, i, count = 0;

    tp_buf_init(&body, 0);
    tp_buf_init(&text, 0);
    json_array_foreach(json_object_get(errors, "@entity"), i, err) {
        begin_violation(&body, &count);
        add_error(&body, err);
    }
    names = sorted_names(errors, &n);
    for (i = 0; i < n && body.len < MAX_MESSAGE; i++) {
        if (strcmp(names[i], "@entity") != 0)
            add_field_errors(&body, names[i], json_object_get(errors, names[i]), &count);
    }
    free(names);
    if (count == 1)
        tp_buf_add_cstr(&text, "schema violation (");
    else
        tp_buf_addf(&text, "%zu schema violations (", count);
    tp_buf_add(&text, tp_buf_str(&body));
    tp_buf_add_char(&text, ')');
    tp_buf_fini(&body);
    return tp_buf_take(&text);
}
