/* Small helpers over jansson: text with length, dotted paths. Paths come from field tables only. */
#ifndef TP_MODEL_JSON_H
#define TP_MODEL_JSON_H

#include "turnpike/str.h"

#include <jansson.h>
#include <stdarg.h>

/* The text of a JSON string, borrowed; data NULL for anything else. */
struct tp_str tp_json_str(const json_t *value);

/* A JSON string; bytes from the first invalid UTF-8 sequence on are cut off. Owned. */
json_t *tp_json_text(struct tp_str text);
json_t *tp_json_textf(const char *format, ...) __attribute__((format(printf, 1, 2)));
json_t *tp_json_vtextf(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

static inline bool tp_json_is_null(const json_t *value)
{
    return !value || json_is_null(value);
}

/* "a.b.c" in nested objects; NULL when a step is missing or no object. Borrowed. */
json_t *tp_json_at(const json_t *object, const char *path);

/*
 * Put `value` (takes it) at a dotted path, making objects on the way. False, and nothing is changed, when
 * a step is taken by something that is not an object.
 */
bool tp_json_put(json_t *object, const char *path, json_t *value);

#endif
