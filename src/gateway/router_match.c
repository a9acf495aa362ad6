/* Whether an entry matches a request: all attributes it asks for, any value of each (routing.md §3). */
#include "gateway/header_table.h"
#include "gateway/router_priv.h"

#define MAX_HEADERS 100      /* further ones are invisible to routing */
#define MAX_HEADER_TEXT 4096 /* longer values match no rule */

static bool method_matches(const struct tp_entry *entry, struct tp_str method)
{
    for (size_t i = 0; i < entry->method_count; i++) {
        if (tp_str_eq(entry->methods[i], method))
            return true;
    }
    return entry->method_count == 0;
}

static bool host_matches(const struct tp_entry *entry, const struct tp_router_input *input, bool traditional)
{
    for (size_t i = 0; i < entry->host_count; i++) {
        if (tp_host_pattern_matches(&entry->hosts[i], input, traditional))
            return true;
    }
    return entry->host_count == 0;
}

static bool sni_matches(const struct tp_entry *entry, const struct tp_router_input *input)
{
    if (!input->tls)
        return true; /* plain http has none: the attribute counts as matched */
    for (size_t i = 0; i < entry->sni_count; i++) {
        if (tp_sni_pattern_matches(&entry->snis[i], input->sni))
            return true;
    }
    return entry->sni_count == 0;
}

static bool header_value_matches(const struct tp_router *router, const struct tp_header_rule *rule, struct tp_str value)
{
    for (size_t i = 0; i < rule->value_count; i++) {
        if (tp_str_eq(rule->values[i], value))
            return true;
    }
    for (size_t i = 0; i < rule->regex_count; i++) {
        if (tp_regex_match(router, rule->regexes[i], value, false) == TP_REGEX_YES)
            return true;
    }
    return false;
}

/* The traditional flavour also looks at the parts of a list value. */
static bool header_line_matches(const struct tp_router *router, const struct tp_header_rule *rule, struct tp_str value)
{
    char text[MAX_HEADER_TEXT];
    struct tp_str rest, item;

    if (value.len > sizeof(text))
        return false;
    for (size_t i = 0; i < value.len; i++)
        text[i] = value.data[i] >= 'A' && value.data[i] <= 'Z' ? (char)(value.data[i] | 0x20) : value.data[i];
    value = tp_str_make(text, value.len);
    if (header_value_matches(router, rule, value))
        return true;
    if (router->flavor != TP_ROUTER_TRADITIONAL || tp_str_chr(value, ',') < 0)
        return false;
    for (rest = value; tp_str_next(&rest, ',', &item);) {
        if (header_value_matches(router, rule, tp_str_trim(item)))
            return true;
    }
    return false;
}

static bool header_matches(const struct tp_router *router, const struct tp_header_rule *rule,
                           const struct tp_router_input *input)
{
    size_t count = input->header_count < MAX_HEADERS ? input->header_count : MAX_HEADERS;

    for (size_t i = 0; i < count; i++) {
        if (tp_header_name_eq(input->headers[i].name, rule->name) &&
            header_line_matches(router, rule, input->headers[i].value))
            return true;
    }
    return false;
}

static bool headers_match(const struct tp_router *router, const struct tp_entry *entry,
                          const struct tp_router_input *input)
{
    for (size_t i = 0; i < entry->header_count; i++) {
        if (!header_matches(router, &entry->headers[i], input))
            return false;
    }
    return true;
}

static void take_captures(const struct tp_router *router, const struct tp_regex *regex, struct tp_str path,
                          struct tp_arena *arena, struct tp_match *match)
{
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(router->scratch);
    struct tp_str *captures = tp_arena_new_array(arena, struct tp_str, regex->group_count + 1);
    bool any = false;

    for (uint32_t i = 0; i <= regex->group_count; i++) {
        if (at[2 * i] == PCRE2_UNSET || at[2 * i + 1] < at[2 * i])
            continue;
        captures[i] = tp_str_make(path.data + at[2 * i], at[2 * i + 1] - at[2 * i]);
        any = any || i > 0;
    }
    match->matched_path = tp_str_make(path.data, at[1]); /* anchored: from the start */
    match->captures = captures;
    match->capture_count = any ? regex->group_count + 1 : 0;
    match->names = regex->names;
}

static bool regex_matches(const struct tp_router *router, const struct tp_entry *entry, struct tp_str path,
                          struct tp_arena *arena, struct tp_match *match)
{
    for (size_t i = 0; i < entry->regex_count; i++) {
        if (!tp_str_starts(path, entry->regex_literals[i]))
            continue;
        switch (tp_regex_match(router, entry->regexes[i], path, true)) {
        case TP_REGEX_YES: take_captures(router, entry->regexes[i], path, arena, match); return true;
        case TP_REGEX_EXHAUSTED: match->exhausted = entry->route; break;
        case TP_REGEX_NO: break;
        }
    }
    return false;
}

static bool path_matches(const struct tp_router *router, const struct tp_entry *entry, struct tp_str path,
                         struct tp_arena *arena, struct tp_match *match)
{
    if (entry->regex_count)
        return regex_matches(router, entry, path, arena, match);
    for (size_t i = 0; i < entry->prefix_count; i++) {
        if (tp_str_starts(path, entry->prefixes[i])) {
            match->matched_path = tp_str_head(path, entry->prefixes[i].len);
            return true;
        }
    }
    return entry->prefix_count == 0;
}

/* Cheap questions first; the path's regex last, since it writes captures. */
bool tp_entry_matches(const struct tp_router *router, const struct tp_entry *entry, const struct tp_router_input *input,
                      struct tp_arena *arena, struct tp_match *match)
{
    return method_matches(entry, input->method) &&
           host_matches(entry, input, router->flavor == TP_ROUTER_TRADITIONAL) && sni_matches(entry, input) &&
           headers_match(router, entry, input) && path_matches(router, entry, input->path, arena, match);
}
