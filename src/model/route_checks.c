/* See route_checks.h. The first protocol says which family a route belongs to. */
#include "model/route_checks.h"

#include "base/buf.h"
#include "model/entities/common.h"
#include "model/json.h"
#include "model/regex_check.h"
#include "model/validate.h"

enum family { FAMILY_HTTP, FAMILY_STREAM, FAMILY_PASSTHROUGH, FAMILY_GRPC, FAMILY_UNKNOWN };

static enum family family_of(struct tp_str protocol)
{
    static const struct {
        const char *name;
        enum family family;
    } families[] = {
        { "http", FAMILY_HTTP },  { "https", FAMILY_HTTP }, { "tcp", FAMILY_STREAM },
        { "tls", FAMILY_STREAM }, { "udp", FAMILY_STREAM }, { "tls_passthrough", FAMILY_PASSTHROUGH },
        { "grpc", FAMILY_GRPC },  { "grpcs", FAMILY_GRPC },
    };

    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        if (tp_str_eq(protocol, tp_str_from_cstr(families[i].name)))
            return families[i].family;
    }
    return FAMILY_UNKNOWN;
}

static enum family route_family(struct tp_check_context *ctx)
{
    struct tp_str first;

    return tp_check_get_item(ctx, "protocols", 0, &first) ? family_of(first) : FAMILY_UNKNOWN;
}

static bool has_protocol(struct tp_check_context *ctx, struct tp_str wanted)
{
    struct tp_str protocol;

    for (size_t i = 0; tp_check_get_item(ctx, "protocols", i, &protocol); i++) {
        if (tp_str_eq(protocol, wanted))
            return true;
    }
    return false;
}

/* --- The first protocol ----------------------------------------------------------------------- */

/* Runs whatever else is wrong with `protocols`: Kong cannot even choose a schema, and says only that. */
static void check_family(struct tp_check_context *ctx)
{
    json_t *protocols = json_object_get(ctx->value, "protocols");
    struct tp_str first = TP_STR("nil");

    if (!json_is_array(protocols) || route_family(ctx) != FAMILY_UNKNOWN)
        return;
    if (json_array_size(protocols) > 0 && !tp_check_get_item(ctx, "protocols", 0, &first))
        return; /* not a text: the element's own error says so */
    json_object_set_new(ctx->errors, "protocols", tp_json_textf("unknown type: %.*s", TP_STR_ARG(first)));
}

/* --- Fields that a family does not have ------------------------------------------------------- */

static void forbid(struct tp_check_context *ctx, const char *const *fields, const char *protocols)
{
    for (; *fields; fields++) {
        if (tp_check_get_count(ctx, *fields) > 0)
            tp_check_fail(ctx, *fields, "cannot set '%s' when 'protocols' is %s", *fields, protocols);
    }
}

/* On an update only what was sent counts: the stored route keeps its value when its protocols change. */
static void forbid_strip_path(struct tp_check_context *ctx)
{
    if (json_is_true(json_object_get(ctx->input, "strip_path")))
        tp_check_fail(ctx, "strip_path", "cannot set 'strip_path' when 'protocols' is 'grpc' or 'grpcs'");
}

static void check_forbidden(struct tp_check_context *ctx)
{
    switch (route_family(ctx)) {
    case FAMILY_HTTP: forbid(ctx, TP_NAMES("sources", "destinations"), "'http' or 'https'"); break;
    case FAMILY_GRPC:
        forbid(ctx, TP_NAMES("methods", "sources", "destinations"), "'grpc' or 'grpcs'");
        forbid_strip_path(ctx);
        break;
    default:
        forbid(ctx, TP_NAMES("methods", "hosts", "paths", "headers"), "'tcp', 'tls', 'tls_passthrough' or 'udp'");
        break;
    }
}

/* --- Fields of which one must be there -------------------------------------------------------- */

static void check_snis(struct tp_check_context *ctx)
{
    if (tp_check_get_count(ctx, "snis") == 0 || has_protocol(ctx, TP_STR("https")) ||
        has_protocol(ctx, TP_STR("grpcs")) || has_protocol(ctx, TP_STR("tls")) ||
        has_protocol(ctx, TP_STR("tls_passthrough")))
        return;
    tp_check_fail(ctx, NULL, "'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or 'tls_passthrough'");
    tp_check_fail(ctx, "snis", "length must be 0");
}

/* Set to anything: a value of the wrong type has an error of its own. */
static bool is_given(struct tp_check_context *ctx, const char *field)
{
    const json_t *value = json_object_get(ctx->value, field);

    return tp_check_get_count(ctx, field) > 0 ||
           (!tp_json_is_null(value) && !json_is_array(value) && !json_is_object(value));
}

static void need_one(struct tp_check_context *ctx, const char *const *fields, const char *protocols)
{
    struct tp_buf buf;

    tp_buf_init(&buf, 0);
    for (size_t i = 0; fields[i]; i++) {
        if (is_given(ctx, fields[i]))
            goto out;
        tp_buf_addf(&buf, "%s'%s'", i ? ", " : "", fields[i]);
    }
    tp_check_fail(ctx, NULL, "must set one of %.*s when 'protocols' is %s", TP_STR_ARG(tp_buf_str(&buf)), protocols);
out:
    tp_buf_fini(&buf);
}

static void check_needed(struct tp_check_context *ctx)
{
    switch (route_family(ctx)) {
    case FAMILY_HTTP:
        if (has_protocol(ctx, TP_STR("https")))
            need_one(ctx, TP_NAMES("methods", "hosts", "headers", "paths", "snis"), "'https'");
        else
            need_one(ctx, TP_NAMES("methods", "hosts", "headers", "paths"), "'http'");
        break;
    case FAMILY_GRPC:
        if (has_protocol(ctx, TP_STR("grpcs")))
            need_one(ctx, TP_NAMES("hosts", "headers", "paths", "snis"), "'grpcs'");
        else
            need_one(ctx, TP_NAMES("hosts", "headers", "paths"), "'grpc'");
        break;
    case FAMILY_STREAM: need_one(ctx, TP_NAMES("sources", "destinations", "snis"), "'tcp', 'tls' or 'udp'"); break;
    default:
        if (!is_given(ctx, "snis"))
            tp_check_fail(ctx, NULL, "must set snis when 'protocols' is 'tls_passthrough'");
        break;
    }
}

/* --- What the router makes of it -------------------------------------------------------------- */

static void check_regex(struct tp_check_context *ctx, struct tp_str regex)
{
    char reason[2048];

    if (!tp_regex_compiles(regex, reason, sizeof(reason)) || !tp_regex_is_regular(regex, reason, sizeof(reason)))
        tp_check_fail(ctx, NULL, "Router Expression failed validation: %s", reason);
}

/* A single "~*…" among the values makes a regex of that header. */
static void check_header(struct tp_check_context *ctx, const json_t *values)
{
    const json_t *value;
    size_t i;

    if (json_array_size(values) == 0) {
        tp_check_fail(ctx, NULL,
                      "Router Expression failed validation:  --> 1:2\n  |\n1 | ()\n  |  ^---\n  |\n  = expected term");
        return;
    }
    json_array_foreach((json_t *)values, i, value) {
        struct tp_str text = tp_json_str(value);

        if (tp_str_starts(text, TP_STR("~*")))
            check_regex(ctx, tp_str_from(text, 2));
    }
}

/* The regexes must compile, and be of the kind that Kong's default router has: no look-around, no back-references. */
static void check_expression(struct tp_check_context *ctx)
{
    const char *name;
    json_t *values;
    struct tp_str path;

    if (json_object_size(ctx->errors) > 0)
        return;
    for (size_t i = 0; tp_check_get_item(ctx, "paths", i, &path); i++) {
        if (tp_str_starts(path, TP_STR("~")))
            check_regex(ctx, tp_str_from(path, 1));
    }
    json_object_foreach(json_object_get(ctx->value, "headers"), name, values)
        check_header(ctx, values);
}

const struct tp_check tp_route_checks[] = {
    { .kind = TP_CHECK_CUSTOM, .fn = check_family },
    { .kind = TP_CHECK_CUSTOM,
      .fields = TP_NAMES("protocols", "snis"),
      .fn = check_snis,
      .shown = "{\"conditional\": {\"if_field\": \"protocols\", \"if_match\": {\"elements\": {\"type\": \"string\","
               " \"not_one_of\": [\"grpcs\", \"https\", \"tls\", \"tls_passthrough\"]}}, \"then_field\": \"snis\","
               " \"then_match\": {\"len_eq\": 0}, \"then_err\": \"'snis' can only be set when 'protocols' is 'grpcs',"
               " 'https', 'tls' or 'tls_passthrough'\"}}" },
    { .kind = TP_CHECK_CUSTOM, .shown = "{\"custom_entity_check\": {\"field_sources\": [\"path_handling\"]}}" },
    { .kind = TP_CHECK_CUSTOM, .fields = TP_NAMES("protocols"), .fn = check_forbidden },
    { .kind = TP_CHECK_CUSTOM, .fields = TP_NAMES("protocols"), .fn = check_needed },
    { .kind = TP_CHECK_CUSTOM,
      .fn = check_expression,
      .shown = "{\"custom_entity_check\": {\"run_with_missing_fields\": true, \"field_sources\": [\"id\","
               " \"protocols\", \"snis\", \"sources\", \"destinations\", \"methods\", \"hosts\", \"paths\","
               " \"headers\", \"expression\", \"regex_priority\", \"priority\"]}}" },
    { 0 },
};

bool tp_check_route_host(struct tp_str value, char *message, size_t size)
{
    struct tp_buf buf;
    bool good;

    tp_buf_init(&buf, 0);
    for (size_t i = 0; i < value.len; i++) { /* any name will do for the wildcard */
        if (value.data[i] == '*')
            tp_buf_add_cstr(&buf, "abc");
        else
            tp_buf_add_char(&buf, value.data[i]);
    }
    good = tp_check_host_with_port(tp_buf_str(&buf), message, size);
    tp_buf_fini(&buf);
    return good;
}
