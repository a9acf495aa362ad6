/*
 * Request bodies that plugins read and change: which kind they are, and forms as lists of arguments.
 * JSON is jansson's, freed with the arena.
 *
 * Reading a malformed body fails; it never guesses. Everything that comes out of a body is bounded.
 */
#ifndef TURNPIKE_BODY_H
#define TURNPIKE_BODY_H

#include "turnpike/request.h"

#include <jansson.h>

#define TP_BODY_ARGS_MAX 100 /* arguments of a form that are read; more are left unread, as in a query */
#define TP_BODY_PARTS_MAX 1000

enum tp_body_kind { TP_BODY_OTHER, TP_BODY_FORM, TP_BODY_JSON, TP_BODY_MULTIPART };

/* By what a Content-Type starts with (parameters ignored). */
enum tp_body_kind tp_body_kind_of(struct tp_str content_type);

/* Arguments of an application/x-www-form-urlencoded text, decoded, at most TP_BODY_ARGS_MAX. */
size_t tp_form_parse(struct tp_arena *arena, struct tp_str text, const struct tp_arg **out);
/* The text of such arguments, in the given order. */
struct tp_str tp_form_write(struct tp_arena *arena, const struct tp_arg *args, size_t count);
/* The order that Kong writes arguments in: by their encoded text. In place. */
void tp_args_sort(struct tp_arena *arena, struct tp_arg *args, size_t count);

/* One part of a multipart body. */
struct tp_part {
    struct tp_str name;    /* of Content-Disposition; absent: none */
    struct tp_str headers; /* as they came, lines ended by CR LF, without the empty line */
    struct tp_str value;
};

/*
 * The parts of a multipart/form-data body; text points into `body`. TP_ERR_INVALID: no boundary, or not
 * what the boundary promises.
 */
enum tp_err tp_multipart_parse(struct tp_arena *arena, struct tp_str content_type, struct tp_str body,
                               const struct tp_part **out, size_t *count);
/* The body of these parts, with the boundary that `content_type` names. */
struct tp_str tp_multipart_write(struct tp_arena *arena, struct tp_str content_type, const struct tp_part *parts,
                                 size_t count);
/* The headers of a plain field called `name`. */
struct tp_str tp_part_headers(struct tp_arena *arena, struct tp_str name);

/* NULL when the text is not JSON. The value is the arena's: borrow it. */
json_t *tp_json_parse(struct tp_arena *arena, struct tp_str text);
/* Compact, with '/' as "\/" as Kong writes it. */
struct tp_str tp_json_write(struct tp_arena *arena, const json_t *value);

#endif
