/*
 * Query strings and urlencoded forms as pairs of decoded text. Knows no HTTP and no entities.
 */
#ifndef TP_CONTROL_ADMIN_FORM_H
#define TP_CONTROL_ADMIN_FORM_H

#include "turnpike/arena.h"
#include "turnpike/err.h"

#define TP_ADMIN_MAX_ARGS 1000

struct tp_admin_pair {
    struct tp_str name;
    struct tp_str value; /* data NULL: there was no '=' */
};

struct tp_admin_pairs {
    struct tp_admin_pair *items;
    size_t count;
};

/*
 * Split and decode "a=1&b=2". Pairs without a name are dropped. TP_ERR_TOO_LARGE: more than TP_ADMIN_MAX_ARGS.
 * The text in *out lives in the arena or in `text`.
 */
enum tp_err tp_admin_pairs_parse(struct tp_arena *arena, struct tp_str text, struct tp_admin_pairs *out);

/* The first value of `name`; data NULL when it is absent. `*count` (may be NULL): how often it was given. */
struct tp_str tp_admin_pairs_get(const struct tp_admin_pairs *pairs, const char *name, size_t *count);

#endif
