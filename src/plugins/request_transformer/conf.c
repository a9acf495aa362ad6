/*
 * request-transformer's fields, their checks, and the compiling of their entries.
 */
#include "conf.h"

#include <stdio.h>

/* Name: up to the first colon. Value: behind it, less any colons that follow at once. */
static void split(struct tp_str entry, struct tp_str *name, struct tp_str *value)
{
    size_t n = 0;

    while (n < entry.len && entry.data[n] != ':')
        n++;
    *name = tp_str_head(entry, n);
    while (n < entry.len && entry.data[n] == ':')
        n++;
    *value = tp_str_from(entry, n);
}

static bool header_name_ok(struct tp_str name, char *message, size_t size)
{
    if (name.len > 0 && tp_check_header_name(name, message, size))
        return true;
    snprintf(message, size, "'%.*s' is not a valid header", TP_STR_ARG(name));
    return false;
}

static bool check_header_name_entry(struct tp_str entry, char *message, size_t size)
{
    struct tp_str name, value;

    split(entry, &name, &value);
    return header_name_ok(name, message, size);
}

static bool check_header_rename(struct tp_str entry, char *message, size_t size)
{
    struct tp_str name, value;

    split(entry, &name, &value);
    return header_name_ok(name, message, size) && header_name_ok(value, message, size);
}

static bool check_templated(struct tp_str entry, char *message, size_t size)
{
    struct tp_str name, value;
    char why[200];

    split(entry, &name, &value);
    if (value.len == 0) {
        snprintf(message, size, "key '%.*s' has no value", TP_STR_ARG(name));
        return false;
    }
    if (tp_template_check(value, why, sizeof(why)))
        return true;
    snprintf(message, size, "value '%.*s' is not in supported format, error:%s", TP_STR_ARG(value), why);
    return false;
}

static const struct tp_field name_element = { .type = TP_TYPE_STRING, .about = "A name." };
static const struct tp_field header_name_element = {
    .type = TP_TYPE_STRING,
    .about = "A header's name.",
    .check = check_header_name_entry,
};
static const struct tp_field header_rename_element = {
    .type = TP_TYPE_STRING,
    .about = "old:new",
    .match = "^[^:]+:.*$",
    .check = check_header_rename,
};
static const struct tp_field header_element = {
    .type = TP_TYPE_STRING,
    .about = "name:value",
    .match = "^[^:]+:.*$",
    .check = check_header_name_entry,
};
static const struct tp_field templated_element = {
    .type = TP_TYPE_STRING,
    .about = "name:value",
    .check = check_templated,
};

#define ENTRIES(strct, member, of, text)                                                                               \
    TP_FIELD(strct, member, ARRAY, .required = true, .def = "[]", .element = (of), .about = (text))

static const struct tp_field remove_fields[] = {
    ENTRIES(struct lists, body, &name_element, "Body fields to remove."),
    ENTRIES(struct lists, headers, &header_name_element, "Headers to remove."),
    ENTRIES(struct lists, querystring, &name_element, "Query arguments to remove."),
    { 0 },
};
static const struct tp_field rename_fields[] = {
    ENTRIES(struct lists, body, &templated_element, "Body fields to rename, each as old:new."),
    ENTRIES(struct lists, headers, &header_rename_element, "Headers to rename, each as old:new."),
    ENTRIES(struct lists, querystring, &templated_element, "Query arguments to rename, each as old:new."),
    { 0 },
};
static const struct tp_field replace_fields[] = {
    ENTRIES(struct replace_lists, body, &templated_element, "Body fields that get this value where they exist."),
    ENTRIES(struct replace_lists, headers, &header_element, "Headers that get this value where they exist."),
    ENTRIES(struct replace_lists, querystring, &templated_element,
            "Query arguments that get this value where they exist."),
    TP_FIELD(struct replace_lists, uri, STRING,
             .about = "The path of the upstream request, instead of the routed one; a template."),
    { 0 },
};
static const struct tp_field add_fields[] = {
    ENTRIES(struct lists, body, &templated_element, "Body fields to add where they are missing."),
    ENTRIES(struct lists, headers, &header_element, "Headers to add where they are missing."),
    ENTRIES(struct lists, querystring, &templated_element, "Query arguments to add where they are missing."),
    { 0 },
};
static const struct tp_field append_fields[] = {
    ENTRIES(struct lists, body, &templated_element, "Values to append to body fields."),
    ENTRIES(struct lists, headers, &header_element, "Headers to append, beside those of the same name."),
    ENTRIES(struct lists, querystring, &templated_element, "Query arguments to append, beside those of that name."),
    { 0 },
};

const struct tp_field tp_request_transformer_fields[] = {
    TP_FIELD(struct transformer_conf, http_method, STRING, .match = "^%u+$",
             .about = "The method of the upstream request, in upper case."),
    TP_FIELD(struct transformer_conf, remove, RECORD, .required = true, .fields = remove_fields,
             .about = "What to take out, by name."),
    TP_FIELD(struct transformer_conf, rename, RECORD, .required = true, .fields = rename_fields,
             .about = "What to call differently."),
    TP_FIELD(struct transformer_conf, replace, RECORD, .required = true, .fields = replace_fields,
             .about = "What to change where it exists."),
    TP_FIELD(struct transformer_conf, add, RECORD, .required = true, .fields = add_fields,
             .about = "What to add where it is missing."),
    TP_FIELD(struct transformer_conf, append, RECORD, .required = true, .fields = append_fields,
             .about = "What to add in any case."),
    { 0 },
};

/* --- Compiling -------------------------------------------------------------------------------- */

/*
 * A value that holds no expression is used as it is. One that cannot be compiled is kept as broken: the Admin API
 * accepts it in headers and paths, as Kong's does, and the requests that meet it fail.
 */
static void compile_value(struct tp_arena *arena, struct tp_str value, struct rule *rule)
{
    struct tp_template *tpl = NULL;
    char message[200];

    rule->value = value;
    if (tp_str_find(value, TP_STR("$(")) < 0)
        return;
    rule->broken = tp_template_compile(value, arena, &tpl, message, sizeof(message)) != TP_OK;
    rule->tpl = tpl;
}

static struct rules compile_rules(struct tp_arena *arena, struct tp_list list, bool has_templates)
{
    struct rule *rules = tp_arena_new_array(arena, struct rule, list.count + 1);

    for (size_t i = 0; i < list.count; i++) {
        split(*TP_LIST_AT(list, struct tp_str, i), &rules[i].name, &rules[i].value);
        if (has_templates)
            compile_value(arena, rules[i].value, &rules[i]);
    }
    return (struct rules){ rules, list.count };
}

struct part_lists {
    struct tp_list remove, rename, replace, add, append;
};

static void compile_part(struct tp_arena *arena, const struct part_lists *lists, bool rename_has_templates,
                         struct edits *out)
{
    out->remove = compile_rules(arena, lists->remove, false);
    out->rename = compile_rules(arena, lists->rename, rename_has_templates);
    out->replace = compile_rules(arena, lists->replace, true);
    out->add = compile_rules(arena, lists->add, true);
    out->append = compile_rules(arena, lists->append, true);
    out->any = out->remove.count || out->rename.count || out->replace.count || out->add.count || out->append.count;
}

static bool names_content_type(const struct rules *rules)
{
    for (size_t i = 0; i < rules->count; i++)
        if (tp_str_eq_nocase(rules->items[i].name, TP_STR("content-type")))
            return true;
    return false;
}

enum tp_err tp_request_transformer_configure(void *data, struct tp_arena *arena, struct tp_diag *diag)
{
    struct transformer_conf *c = data;
    const struct part_lists headers = { c->remove.headers, c->rename.headers, c->replace.headers, c->add.headers,
                                        c->append.headers };
    const struct part_lists query = { c->remove.querystring, c->rename.querystring, c->replace.querystring,
                                      c->add.querystring, c->append.querystring };
    const struct part_lists body = { c->remove.body, c->rename.body, c->replace.body, c->add.body, c->append.body };

    (void)diag;
    compile_part(arena, &headers, false, &c->headers);
    compile_part(arena, &query, true, &c->query);
    compile_part(arena, &body, true, &c->body);
    if (c->replace.uri.data)
        compile_value(arena, c->replace.uri, &c->uri);
    c->sets_content_type = names_content_type(&c->headers.add) || names_content_type(&c->headers.append) ||
                           names_content_type(&c->headers.replace) || c->headers.rename.count > 0;
    c->method_is_form_query = tp_str_eq(c->http_method, TP_STR("GET")) || tp_str_eq(c->http_method, TP_STR("HEAD")) ||
                              tp_str_eq(c->http_method, TP_STR("TRACE"));
    return TP_OK;
}
