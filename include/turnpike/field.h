/*
 * Field tables: one description of a configuration, from which everything else derives.
 *
 * A table is an array of struct tp_field that ends with { 0 }. From it come validation with Kong's
 * messages, defaults, the type inference of form bodies, the JSON schema under /schemas, the UI
 * forms, the tables in the documentation, and the decoding into a C struct (model/fields.h).
 *
 * How a decoded value lies in the C struct, by type:
 *
 *   STRING            struct tp_str               null: data == NULL
 *   INTEGER           int64_t                     null: TP_INT_NULL
 *   SIZE              int64_t, bytes              JSON: an integer, or text such as "10M", "64k"
 *   NUMBER            double                      null: NaN
 *   BOOLEAN           bool                        null: false
 *   BOOLEAN .tristate enum tp_tristate            null: TP_UNSET
 *   ARRAY SET         struct tp_list of the element's type
 *   MAP               struct tp_list of struct { struct tp_str key; <element's type> value; }
 *   RECORD            the struct itself, embedded; null: all members null
 *   FOREIGN           struct tp_uuid              null: nil
 *
 * Decoded text and lists live in the arena given to the decoder.
 */
#ifndef TURNPIKE_FIELD_H
#define TURNPIKE_FIELD_H

#include "turnpike/str.h"
#include "turnpike/uuid.h"

enum tp_type {
    TP_TYPE_END = 0,
    TP_TYPE_STRING,
    TP_TYPE_INTEGER,
    TP_TYPE_SIZE,
    TP_TYPE_NUMBER,
    TP_TYPE_BOOLEAN,
    TP_TYPE_ARRAY,
    TP_TYPE_SET,
    TP_TYPE_MAP,
    TP_TYPE_RECORD,
    TP_TYPE_FOREIGN,
    TP_TYPE_ANY, /* any JSON value; decoded as its text, struct tp_str */
};

#define TP_INT_NULL INT64_MIN

enum tp_tristate { TP_UNSET = -1, TP_FALSE = 0, TP_TRUE = 1 };

struct tp_list {
    const void *items;
    size_t count;
};

/* Element `i` of a decoded list, as a pointer to `type`. */
#define TP_LIST_AT(list, type, i) (&((const type *)(list).items)[i])

struct tp_pair {
    struct tp_str key;
    struct tp_str value;
};

/*
 * A further check on one string value. Returns true, or false after writing the message (without
 * the field's name) into `message`, at most `size` bytes with the NUL.
 */
typedef bool (*tp_field_check_fn)(struct tp_str value, char *message, size_t size);

/* Why a number is restricted: both bounds inclusive, as in "value should be between A and B". */
struct tp_range {
    double min;
    double max;
    bool set;
};
/* clang-format takes an initialiser in a macro for a block. */
/* clang-format off */
#define TP_BETWEEN(lo, hi) { .min = (lo), .max = (hi), .set = true }
#define TP_AT_LEAST(n) TP_BETWEEN((n), TP_NO_LIMIT) /* for .length */
#define TP_GREATER(n) { .min = (n), .set = true }   /* for .gt */
/* clang-format on */
#define TP_NO_LIMIT __builtin_inf()

/*
 * A Lua pattern ("^%u+$"), the notation in which Kong's schemas show them: what the table says is what
 * /schemas answers. Lists of them end with { 0 }.
 */
struct tp_pattern {
    const char *pattern;
    const char *err; /* message of its own; NULL: "invalid value: X" */
};

struct tp_check;

struct tp_field {
    const char *name;
    enum tp_type type;
    bool decoded; /* `offset` is valid */
    bool tristate;
    size_t offset;
    size_t size; /* RECORD as list element: sizeof the C struct */

    const char *about; /* one sentence for people: in the schema and in the docs */
    const char *def;   /* the default as JSON text; bare text is taken as a string ("10M") */

    bool required;
    bool optional; /* /schemas says "required": false; no other effect */
    bool unique;
    bool automatic;     /* filled by the server when absent: id, timestamps, random key */
    bool nullable_text; /* an empty text is allowed */
    bool secret;        /* masked in logs, audit and UI */
    bool referenceable; /* may be {vault://…}; then other checks are skipped */
    bool must_be_null;  /* Kong's eq = null */
    bool write_only;    /* shorthand: accepted, translated, never stored under this name */
    bool encrypted;     /* /schemas says so; no other effect */
    bool extension;     /* ours, not Kong's: not in /schemas, and in answers only when it is set */

    struct tp_range between;
    struct tp_range gt;     /* .min only: "value must be greater than N" */
    struct tp_range length; /* of text, arrays, sets, maps */
    const char *starts_with;
    const char *match; /* a Lua pattern; failure: "invalid value: X" */
    const struct tp_pattern *match_none, *match_all, *match_any;
    const char *match_any_err;
    const char *const *one_of;     /* ends with NULL; numbers too are written as text here */
    const char *const *not_one_of; /* ends with NULL */
    bool uuid;
    bool timestamp;
    tp_field_check_fn check;
    /* Sets of members that cannot be mixed: lists ending with NULL, the list of lists too. */
    const char *const *const *exclusive_sets;

    const struct tp_field *element; /* ARRAY SET: element; MAP: value */
    const struct tp_field *key;     /* MAP: key */
    const struct tp_field *fields;  /* RECORD */
    const struct tp_check *checks;  /* RECORD: paths start in the record; ends with { 0 } */
    const char *reference;          /* FOREIGN: the entity's table name */
    bool cascade;                   /* FOREIGN: delete with the parent; else the delete is refused */

    /* Deprecated alias: the value is stored under this dotted path, and echoed under both names. */
    const char *alias_of;
};

/* clang-format off */
/* A member of `strct` under its own name: TP_FIELD(struct conf, limit, INTEGER, .def = "5") */
#define TP_FIELD(strct, member, kind, ...) TP_FIELD_AS(strct, member, #member, kind, __VA_ARGS__)

/* The same under another API name. */
#define TP_FIELD_AS(strct, member, api_name, kind, ...) \
    { .name = (api_name), .type = TP_TYPE_##kind, .decoded = true, .offset = offsetof(strct, member), __VA_ARGS__ }

/* A field that is validated and stored but not decoded into C. */
#define TP_FIELD_ONLY(api_name, kind, ...) { .name = (api_name), .type = TP_TYPE_##kind, __VA_ARGS__ }
/* clang-format on */

/* All protocols that Kong knows, sorted; ends with NULL. */
extern const char *const tp_protocols_all[];

/* Ready-made string checks: the field types that Kong calls header_name, host, path, url, … */
bool tp_check_header_name(struct tp_str value, char *message, size_t size);
bool tp_check_host(struct tp_str value, char *message, size_t size);
bool tp_check_host_with_port(struct tp_str value, char *message, size_t size);
bool tp_check_path(struct tp_str value, char *message, size_t size);
bool tp_check_url(struct tp_str value, char *message, size_t size);
bool tp_check_regex(struct tp_str value, char *message, size_t size);
bool tp_check_utf8_name(struct tp_str value, char *message, size_t size);
bool tp_check_tag(struct tp_str value, char *message, size_t size);
bool tp_check_ip_or_cidr(struct tp_str value, char *message, size_t size);
bool tp_check_sni(struct tp_str value, char *message, size_t size);
bool tp_check_wildcard_host(struct tp_str value, char *message, size_t size);

#endif
