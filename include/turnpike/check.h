/*
 * Checks between fields, run when the fields themselves have been looked at.
 *
 * A table of them ends with { 0 }. Paths are dotted, from the root of the entity ("config.minute"); in a
 * record's own checks from the record.
 */
#ifndef TURNPIKE_CHECK_H
#define TURNPIKE_CHECK_H

#include "turnpike/str.h"

enum tp_check_kind {
    TP_CHECK_END = 0,
    TP_CHECK_AT_LEAST_ONE_OF,
    TP_CHECK_ONLY_ONE_OF,        /* exactly one */
    TP_CHECK_MUTUALLY_EXCLUSIVE, /* one or none */
    TP_CHECK_MUTUALLY_REQUIRED,  /* all or none */
    TP_CHECK_CONDITIONAL,        /* if_field … then_field … */
    TP_CHECK_CUSTOM,             /* fn, model/ and plugins' own; skipped when one of .fields is invalid */
};

/* What a field's value must satisfy in a conditional; the first member that is set counts. */
struct tp_condition {
    const char *const *one_of;
    const char *const *not_one_of;
    const char *equals;
    bool is_null;
    bool required; /* not null */
};

struct tp_check_context; /* read access to the merged entity: tp_check_get_… below */

/*
 * A custom check. Reports every violation with tp_check_fail and returns nothing; `path` NULL means the
 * entity as a whole.
 */
typedef void (*tp_check_fn)(struct tp_check_context *ctx);

struct tp_check {
    enum tp_check_kind kind;
    const char *const *fields; /* ends with NULL; also what a CUSTOM check reads */
    const char *if_field;
    struct tp_condition if_match;
    const char *then_field;
    struct tp_condition then_match;
    tp_check_fn fn;
    const char *shown; /* CUSTOM: what /schemas shows, as JSON text; NULL: nothing */
};

/* The value at a dotted path: false when it is null or absent. Text is valid during the check. */
bool tp_check_get_number(struct tp_check_context *ctx, const char *path, double *out);
bool tp_check_get_text(struct tp_check_context *ctx, const char *path, struct tp_str *out);
bool tp_check_get_bool(struct tp_check_context *ctx, const char *path, bool *out);
/* The number of elements of a list, set or map; 0 when it is null or absent. */
size_t tp_check_get_count(struct tp_check_context *ctx, const char *path);
/* Element `i` of a list or set of text. */
bool tp_check_get_item(struct tp_check_context *ctx, const char *path, size_t i, struct tp_str *out);
/* A field that is invalid already keeps its first message. A record's path ("config") takes one too. */
void tp_check_fail(struct tp_check_context *ctx, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
