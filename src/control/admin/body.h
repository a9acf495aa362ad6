/*
 * A request body as a JSON object: JSON, urlencoded form, multipart form. Engine-free, fuzzed.
 */
#ifndef TP_CONTROL_ADMIN_BODY_H
#define TP_CONTROL_ADMIN_BODY_H

#include "turnpike/arena.h"
#include "turnpike/err.h"

#include <jansson.h>

enum tp_admin_body_type {
    TP_ADMIN_BODY_NONE, /* no Content-Type and no body */
    TP_ADMIN_BODY_JSON,
    TP_ADMIN_BODY_FORM,
    TP_ADMIN_BODY_MULTIPART,
    TP_ADMIN_BODY_UNSUPPORTED,
};

/* Kong's test: a case-sensitive prefix. `content_type` data NULL: none was sent. */
enum tp_admin_body_type tp_admin_body_type(struct tp_str content_type, size_t body_len);

/*
 * Parse. On success *out is an object, owned by the caller, {} for TP_ADMIN_BODY_NONE. On failure *message is for the
 * client (static).
 */
enum tp_err tp_admin_body_parse(struct tp_arena *arena, enum tp_admin_body_type type, struct tp_str content_type,
                                struct tp_str body, json_t **out, const char **message);

#endif
