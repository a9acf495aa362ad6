/* Compiling the plan's routes into entries, and matching (router.h). The inside: router_priv.h. */
#include "gateway/router.h"

#include "base/diag.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "gateway/router_priv.h"

#include <stdio.h>

/* Steps of one regex over one path or header value. A step may look at all of it: some 30 ms at worst. */
#define MATCH_LIMIT 10000
#define DEPTH_LIMIT 1000
#define HEAP_LIMIT_KIB 512
#define JIT_STACK_MAX (256 * 1024)
#define MAX_GROUPS 100

static const struct tp_str virtual_space_text = { "7f145bf9-0dce-4f91-98eb-debbce4b9f6b", TP_UUID_TEXT_LEN };

struct compiler {
    struct tp_router *router;
    struct tp_diag *diag;
    const struct tp_route *route;
};

static void free_limits(void *context)
{
    pcre2_match_context_free(context);
}

static void free_scratch(void *data)
{
    pcre2_match_data_free(data);
}

static void free_jit_stack(void *stack)
{
    pcre2_jit_stack_free(stack);
}

static struct tp_router *router_new(enum tp_router_flavor flavor)
{
    struct tp_arena *arena = tp_arena_new();
    struct tp_router *router = tp_arena_new_type(arena, struct tp_router);

    router->arena = arena;
    router->flavor = flavor;
    router->limits = pcre2_match_context_create(NULL);
    router->scratch = pcre2_match_data_create(MAX_GROUPS + 1, NULL);
    router->jit_stack = pcre2_jit_stack_create(32 * 1024, JIT_STACK_MAX, NULL);
    TP_ASSERT(router->limits && router->scratch);
    tp_arena_defer(arena, free_limits, router->limits);
    tp_arena_defer(arena, free_scratch, router->scratch);
    if (router->jit_stack) {
        tp_arena_defer(arena, free_jit_stack, router->jit_stack);
        pcre2_jit_stack_assign(router->limits, NULL, router->jit_stack);
    }
    pcre2_set_match_limit(router->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(router->limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(router->limits, HEAP_LIMIT_KIB);
    return router;
}

/* A regex of the route, or NULL: then the value is left out and the operator told. */
static const struct tp_regex *compile_regex(struct compiler *c, const char *field, struct tp_str pattern,
                                            uint32_t options)
{
    char message[200];
    const struct tp_regex *regex = tp_regex_compile(c->router, pattern, options, message, sizeof(message));

    if (regex && regex->group_count > MAX_GROUPS) {
        regex = NULL;
        snprintf(message, sizeof(message), "more than %d groups", MAX_GROUPS);
    }
    if (!regex)
        tp_diag_add(c->diag, field, "route %.*s: invalid regex '%.*s': %s", TP_STR_ARG(c->route->id_text),
                    TP_STR_ARG(pattern), message);
    return regex;
}

/* --- Attributes --------------------------------------------------------------------------------- */

static struct tp_str letters(struct tp_arena *arena, struct tp_str text, bool upper)
{
    struct tp_str copy = tp_arena_dup(arena, text);
    char *at = (char *)copy.data;

    for (size_t i = 0; i < copy.len; i++) {
        if (upper && at[i] >= 'a' && at[i] <= 'z')
            at[i] = (char)(at[i] - 0x20);
        else if (!upper && at[i] >= 'A' && at[i] <= 'Z')
            at[i] = (char)(at[i] | 0x20);
    }
    return copy;
}

static void compile_methods(struct compiler *c, struct tp_entry *entry)
{
    size_t count = c->route->methods.count;
    struct tp_str *methods = tp_arena_new_array(c->router->arena, struct tp_str, count);

    for (size_t i = 0; i < count; i++) {
        methods[i] = *TP_LIST_AT(c->route->methods, struct tp_str, i);
        if (c->router->flavor == TP_ROUTER_TRADITIONAL)
            methods[i] = letters(c->router->arena, methods[i], true);
    }
    entry->methods = methods;
    entry->method_count = count;
    entry->asks |= count ? TP_ASKS_METHOD : 0;
}

static const struct tp_host_pattern *parse_patterns(struct compiler *c, struct tp_list list,
                                                    struct tp_host_pattern (*parse)(struct tp_str))
{
    struct tp_host_pattern *patterns = tp_arena_new_array(c->router->arena, struct tp_host_pattern, list.count);

    for (size_t i = 0; i < list.count; i++)
        patterns[i] = parse(*TP_LIST_AT(list, struct tp_str, i));
    return patterns;
}

static void compile_names(struct compiler *c, struct tp_entry *entry)
{
    entry->hosts = parse_patterns(c, c->route->hosts, tp_host_pattern_parse);
    entry->host_count = c->route->hosts.count;
    entry->snis = parse_patterns(c, c->route->snis, tp_sni_pattern_parse);
    entry->sni_count = c->route->snis.count;
    entry->asks |= (entry->host_count ? TP_ASKS_HOST : 0) | (entry->sni_count ? TP_ASKS_SNI : 0);
}

/* "~*pattern" is a regex; in the traditional flavour only as the one value of its header. */
static void compile_header(struct compiler *c, const struct tp_route_header *header, struct tp_header_rule *rule)
{
    struct tp_arena *arena = c->router->arena;
    bool traditional = c->router->flavor == TP_ROUTER_TRADITIONAL;
    struct tp_str *values = tp_arena_new_array(arena, struct tp_str, header->values.count);
    const struct tp_regex **regexes = tp_arena_new_array(arena, const struct tp_regex *, header->values.count);

    rule->name = header->name;
    rule->values = values;
    rule->regexes = regexes;
    for (size_t i = 0; i < header->values.count; i++) {
        struct tp_str value = *TP_LIST_AT(header->values, struct tp_str, i);

        if (tp_str_starts(value, TP_STR("~*")) && (!traditional || header->values.count == 1)) {
            value = tp_str_from(value, 2);
            /* The default flavour lowers the pattern's text too, so "\D" becomes "\d": as Kong does. */
            regexes[rule->regex_count] = compile_regex(c, "headers", traditional ? value : letters(arena, value, false),
                                                       0);
            rule->regex_count += regexes[rule->regex_count] != NULL;
        } else {
            values[rule->value_count++] = letters(arena, value, false);
        }
    }
}

static void compile_headers(struct compiler *c, struct tp_entry *entry)
{
    size_t count = c->route->headers.count;
    struct tp_header_rule *rules = tp_arena_new_array(c->router->arena, struct tp_header_rule, count);

    for (size_t i = 0; i < count; i++)
        compile_header(c, TP_LIST_AT(c->route->headers, struct tp_route_header, i), &rules[i]);
    entry->headers = rules;
    entry->header_count = count;
    entry->asks |= count ? TP_ASKS_HEADER : 0;
}

/* --- Paths and virtual routes -------------------------------------------------------------------- */

static bool is_regex(struct tp_str path)
{
    return path.len > 0 && path.data[0] == '~';
}

/* Whether two paths belong to one virtual route: both regexes, or prefixes of one length. */
static bool same_group(const struct tp_router *router, struct tp_str a, struct tp_str b)
{
    if (router->flavor == TP_ROUTER_TRADITIONAL)
        return tp_str_eq(a, b); /* every path an entry of its own */
    return is_regex(a) == is_regex(b) && (is_regex(a) || a.len == b.len);
}

static struct tp_str path_at(const struct tp_route *route, size_t i)
{
    return *TP_LIST_AT(route->paths, struct tp_str, i);
}

static bool add_regex_path(struct compiler *c, struct tp_entry *entry, struct tp_str pattern, size_t room)
{
    struct tp_arena *arena = c->router->arena;
    const struct tp_regex *regex = compile_regex(c, "paths", pattern, PCRE2_ANCHORED);

    if (!regex)
        return false;
    if (!entry->regexes) {
        entry->regexes = tp_arena_new_array(arena, const struct tp_regex *, room);
        entry->regex_literals = tp_arena_new_array(arena, struct tp_str, room);
    }
    ((const struct tp_regex **)entry->regexes)[entry->regex_count] = regex;
    ((struct tp_str *)entry->regex_literals)[entry->regex_count++] = tp_regex_literal(arena, pattern);
    return true;
}

/* Take all paths of the group of path `first` into the entry; false when none of them is usable. */
static bool compile_paths(struct compiler *c, struct tp_entry *entry, size_t first)
{
    const struct tp_route *route = c->route;
    size_t count = route->paths.count;
    struct tp_str *prefixes = tp_arena_new_array(c->router->arena, struct tp_str, count);

    entry->asks |= TP_ASKS_PATH;
    for (size_t i = first; i < count; i++) {
        struct tp_str path = path_at(route, i);

        if (!same_group(c->router, path_at(route, first), path))
            continue;
        if (is_regex(path))
            add_regex_path(c, entry, tp_str_from(path, 1), count);
        else
            prefixes[entry->prefix_count++] = path;
    }
    entry->prefixes = prefixes;
    return entry->prefix_count || entry->regex_count;
}

static bool begins_group(const struct compiler *c, size_t path)
{
    for (size_t i = 0; i < path; i++) {
        if (same_group(c->router, path_at(c->route, i), path_at(c->route, path)))
            return false;
    }
    return true;
}

static struct tp_uuid virtual_id(const struct tp_route *route, size_t group)
{
    char name[TP_UUID_TEXT_LEN + 24];
    struct tp_uuid space;
    int len;

    TP_ASSERT(tp_uuid_parse(virtual_space_text, &space));
    len = snprintf(name, sizeof(name), "%.*s#%zu", TP_STR_ARG(tp_str_head(route->id_text, TP_UUID_TEXT_LEN)), group);
    return tp_uuid_v5(&space, tp_str_make(name, (size_t)len));
}

/* --- Entries ------------------------------------------------------------------------------------ */

static struct tp_entry *add_entry(struct tp_router *router)
{
    if (router->entry_count == router->entry_capacity) {
        size_t capacity = router->entry_capacity ? router->entry_capacity * 2 : 64;
        struct tp_entry *entries = tp_arena_new_array(router->arena, struct tp_entry, capacity);

        if (router->entry_count)
            memcpy(entries, router->entries, router->entry_count * sizeof(*entries));
        router->entries = entries;
        router->entry_capacity = capacity;
    }
    return &router->entries[router->entry_count++];
}

static bool serves_http(const struct tp_route *route)
{
    for (size_t i = 0; i < route->protocols.count; i++) {
        struct tp_str protocol = *TP_LIST_AT(route->protocols, struct tp_str, i);

        if (tp_str_starts(protocol, TP_STR("http")) || tp_str_starts(protocol, TP_STR("grpc")))
            return true;
    }
    return route->protocols.count == 0;
}

static void compile_route(struct compiler *c, size_t route_index)
{
    const struct tp_route *route = c->route;
    struct tp_entry base = { .route = route, .route_index = route_index, .id = route->id };
    size_t group = 0, groups = 0;

    compile_methods(c, &base);
    compile_names(c, &base);
    compile_headers(c, &base);
    if (route->paths.count == 0) {
        if (base.asks) /* a route that asks for nothing matches nothing: stream attributes only */
            *add_entry(c->router) = base;
        return;
    }
    for (size_t i = 0; i < route->paths.count; i++)
        groups += begins_group(c, i);
    for (size_t i = 0; i < route->paths.count; i++) {
        struct tp_entry entry = base;

        if (!begins_group(c, i))
            continue;
        group++;
        if (groups > 1 && c->router->flavor == TP_ROUTER_TRADITIONAL_COMPATIBLE)
            entry.id = virtual_id(route, group);
        if (compile_paths(c, &entry, i))
            *add_entry(c->router) = entry;
    }
}

enum tp_err tp_router_compile(struct tp_router **out, const struct tp_plan *plan, enum tp_router_flavor flavor,
                              struct tp_diag *diag)
{
    struct compiler c = { .router = router_new(flavor), .diag = diag };

    for (size_t i = 0; i < plan->route_count; i++) {
        c.route = plan->routes[i];
        if (serves_http(c.route))
            compile_route(&c, i);
    }
    tp_router_sort(c.router);
    tp_router_index(c.router);
    *out = c.router;
    return TP_OK;
}

void tp_router_free(struct tp_router *router)
{
    if (router)
        tp_arena_free(router->arena);
}

/* --- Matching ----------------------------------------------------------------------------------- */

static bool is_ascii(struct tp_str text)
{
    char all = 0;

    for (size_t i = 0; i < text.len; i++)
        all |= text.data[i];
    return !(all & 0x80);
}

void tp_router_match(const struct tp_router *router, const struct tp_router_input *input, struct tp_arena *arena,
                     struct tp_match *match)
{
    const struct tp_entry *entry;

    *match = (struct tp_match){ 0 };
    /* The default flavour's text is UTF-8: a path that is not matches nothing. */
    if (router->flavor == TP_ROUTER_TRADITIONAL_COMPATIBLE && !is_ascii(input->path) &&
        tp_utf8_valid_prefix(input->path) != input->path.len)
        return;
    entry = tp_router_search(router, input, arena, match);
    if (!entry)
        return;
    match->route = entry->route;
    match->route_index = entry->route_index;
}
