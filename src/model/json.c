/* See json.h. */
#include "model/json.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "turnpike/err.h"

#include <stdio.h>

#define MAX_STEP 128 /* bytes of one name in a path, from our own tables */

struct tp_str tp_json_str(const json_t *value)
{
    if (!json_is_string(value))
        return TP_STR_NULL;
    return tp_str_make(json_string_value(value), json_string_length(value));
}

json_t *tp_json_text(struct tp_str text)
{
    return json_stringn_nocheck(text.data ? text.data : "", tp_utf8_valid_prefix(text));
}

json_t *tp_json_vtextf(const char *format, va_list args)
{
    char *text;
    int len = vasprintf(&text, format, args);
    json_t *json;

    TP_ASSERT(len >= 0);
    json = tp_json_text(tp_str_make(text, (size_t)len));
    free(text);
    return json;
}

json_t *tp_json_textf(const char *format, ...)
{
    json_t *json;
    va_list args;

    va_start(args, format);
    json = tp_json_vtextf(format, args);
    va_end(args);
    return json;
}

/* Cut the first name off *path into `step`; *path is NULL behind the last one. */
static void next_step(const char **path, char step[MAX_STEP])
{
    const char *dot = strchr(*path, '.');
    size_t len = dot ? (size_t)(dot - *path) : strlen(*path);

    TP_ASSERT(len < MAX_STEP);
    memcpy(step, *path, len);
    step[len] = '\0';
    *path = dot ? dot + 1 : NULL;
}

json_t *tp_json_at(const json_t *object, const char *path)
{
    const json_t *at = object;
    char step[MAX_STEP];

    while (path && at) {
        next_step(&path, step);
        at = json_object_get(at, step);
    }
    return (json_t *)at;
}

bool tp_json_put(json_t *object, const char *path, json_t *value)
{
    char step[MAX_STEP];

    for (;;) {
        json_t *below;

        next_step(&path, step);
        if (!path)
            break;
        below = json_object_get(object, step);
        if (tp_json_is_null(below)) {
            below = json_object();
            json_object_set_new(object, step, below);
        } else if (!json_is_object(below)) {
            json_decref(value);
            return false;
        }
        object = below;
    }
    json_object_set_new(object, step, value);
    return true;
}
