/* Routing of Admin API calls: dispatch.h. */
#include "control/admin/dispatch.h"

#include "base/mem.h"
#include "base/url.h"
#include "control/admin/body.h"
#include "control/admin/reply.h"

#define MAX_SEGMENTS 10

static const struct tp_admin_endpoint *const fixed_tables[] = {
    tp_admin_node_endpoints, tp_admin_status_endpoints,   tp_admin_schema_endpoints,
    tp_admin_tag_endpoints,  tp_admin_consumer_endpoints, tp_admin_closed_endpoints,
};

/* --- The table ----------------------------------------------------------------------------------- */

struct builder {
    struct tp_admin_endpoints *endpoints;
    size_t room;
};

static struct tp_admin_endpoint *find_pattern(struct tp_admin_endpoints *endpoints, const char *pattern)
{
    for (size_t i = 0; i < endpoints->count; i++) {
        if (strcmp(endpoints->items[i].pattern, pattern) == 0)
            return &endpoints->items[i];
    }
    return NULL;
}

static void refine(struct tp_admin_handlers *to, const struct tp_admin_handlers *from)
{
    to->get = from->get ? from->get : to->get;
    to->post = from->post ? from->post : to->post;
    to->put = from->put ? from->put : to->put;
    to->patch = from->patch ? from->patch : to->patch;
    to->del = from->del ? from->del : to->del;
}

static void add(struct builder *b, const struct tp_admin_endpoint *endpoint)
{
    struct tp_admin_endpoints *endpoints = b->endpoints;
    struct tp_admin_endpoint *old = find_pattern(endpoints, endpoint->pattern);

    if (old) {
        refine(&old->on, &endpoint->on);
        return;
    }
    if (endpoints->count == b->room) {
        b->room = b->room ? b->room * 2 : 64;
        endpoints->items = tp_realloc(endpoints->items, b->room * sizeof(*endpoints->items));
    }
    endpoints->items[endpoints->count++] = *endpoint;
}

static void add_generated(struct builder *b, struct tp_str pattern, const struct tp_admin_handlers *on,
                          const struct tp_entity *entity, const struct tp_field *foreign)
{
    struct tp_admin_endpoint endpoint = { .pattern = pattern.data, .on = *on, .entity = entity, .foreign = foreign };

    if (foreign)
        endpoint.parent = tp_entity_by_name(tp_str_from_cstr(foreign->reference));
    add(b, &endpoint);
}

static void add_foreign(struct builder *b, const struct tp_entity *entity, const struct tp_field *foreign)
{
    const struct tp_entity *parent = tp_entity_by_name(tp_str_from_cstr(foreign->reference));
    const char *nested = entity->nested_name ? entity->nested_name : entity->api_name;
    struct tp_arena *arena = b->endpoints->arena;

    if (!parent || !parent->api_name)
        return;
    add_generated(b, tp_arena_printf(arena, "/%s/{%s}/%s", parent->api_name, parent->name, nested), &tp_admin_children,
                  entity, foreign);
    add_generated(b, tp_arena_printf(arena, "/%s/{%s}/%s/{%s}", parent->api_name, parent->name, nested, entity->name),
                  &tp_admin_child, entity, foreign);
    add_generated(b, tp_arena_printf(arena, "/%s/{%s}/%s", entity->api_name, entity->name, foreign->name),
                  &tp_admin_shortcut, entity, foreign);
}

static void add_entity(struct builder *b, const struct tp_entity *entity)
{
    struct tp_arena *arena = b->endpoints->arena;

    if (!entity->api_name)
        return; /* internal */
    add_generated(b, tp_arena_printf(arena, "/%s", entity->api_name), &tp_admin_collection, entity, NULL);
    add_generated(b, tp_arena_printf(arena, "/%s/{%s}", entity->api_name, entity->name), &tp_admin_item, entity, NULL);
    for (const struct tp_field *field = entity->fields; field->type != TP_TYPE_END; field++) {
        if (field->type == TP_TYPE_FOREIGN)
            add_foreign(b, entity, field);
    }
}

/* Bytewise, but '/' before everything: parents before children, fixed words before parameters. */
static int by_pattern(const void *pa, const void *pb)
{
    const char *a = ((const struct tp_admin_endpoint *)pa)->pattern;
    const char *b = ((const struct tp_admin_endpoint *)pb)->pattern;

    while (*a && *a == *b) {
        a++;
        b++;
    }
    if (*a == '/' && *b)
        return -1;
    if (*b == '/' && *a)
        return 1;
    return (unsigned char)*a - (unsigned char)*b;
}

struct tp_admin_endpoints *tp_admin_endpoints_new(void)
{
    struct builder b = { .endpoints = tp_new(struct tp_admin_endpoints) };

    b.endpoints->arena = tp_arena_new();
    for (size_t i = 0; i < tp_entity_count; i++)
        add_entity(&b, tp_entities[i]);
    for (size_t i = 0; i < sizeof(fixed_tables) / sizeof(fixed_tables[0]); i++) {
        for (const struct tp_admin_endpoint *endpoint = fixed_tables[i]; endpoint->pattern; endpoint++)
            add(&b, endpoint);
    }
    qsort(b.endpoints->items, b.endpoints->count, sizeof(*b.endpoints->items), by_pattern);
    return b.endpoints;
}

void tp_admin_endpoints_free(struct tp_admin_endpoints *endpoints)
{
    if (!endpoints)
        return;
    tp_arena_free(endpoints->arena);
    free(endpoints->items);
    free(endpoints);
}

/* --- Matching ------------------------------------------------------------------------------------ */

struct segments {
    struct tp_str items[MAX_SEGMENTS]; /* decoded */
    size_t count;
};

/* Cut and decode the path. False: nothing of ours looks like it. */
static bool split_path(struct tp_admin_call *call, struct segments *segments)
{
    struct tp_str rest = call->path, segment;

    segments->count = 0;
    if (!tp_str_starts(rest, TP_STR("/")))
        return false;
    if (rest.len > 1 && tp_str_ends(rest, TP_STR("/")))
        rest.len--;
    call->plain_path = rest;
    rest = tp_str_from(rest, 1);
    if (!rest.len)
        return true;
    while (tp_str_next(&rest, '/', &segment)) {
        if (!segment.len || segments->count == MAX_SEGMENTS)
            return false;
        segments->items[segments->count++] = tp_url_decode(call->arena, segment, false);
    }
    return true;
}

static bool matches(struct tp_admin_call *call, const char *pattern, const struct segments *segments)
{
    struct tp_str rest = tp_str_from_cstr(pattern + 1), word;
    size_t i = 0, params = 0;

    if (!rest.len)
        return segments->count == 0;
    while (tp_str_next(&rest, '/', &word)) {
        if (i == segments->count)
            return false;
        if (word.data[0] == '{') {
            TP_ASSERT(params < TP_ADMIN_MAX_PARAMS);
            call->params[params++] = segments->items[i];
        } else if (!tp_str_eq(word, segments->items[i])) {
            return false;
        }
        i++;
    }
    call->param_count = params;
    return i == segments->count;
}

static const struct tp_admin_endpoint *find_endpoint(struct tp_admin_call *call)
{
    const struct tp_admin_endpoints *endpoints = call->context->endpoints;
    struct segments segments;

    if (!split_path(call, &segments))
        return NULL;
    for (size_t i = 0; i < endpoints->count; i++) {
        if (matches(call, endpoints->items[i].pattern, &segments))
            return &endpoints->items[i];
    }
    return NULL;
}

/* --- Methods ------------------------------------------------------------------------------------- */

static bool method_is(const struct tp_admin_call *call, const char *name)
{
    return tp_str_eq(call->method, tp_str_from_cstr(name));
}

static tp_admin_fn find_handler(const struct tp_admin_call *call, const struct tp_admin_handlers *on)
{
    if (method_is(call, "GET") || method_is(call, "HEAD"))
        return on->get;
    if (method_is(call, "POST"))
        return on->post;
    if (method_is(call, "PUT"))
        return on->put;
    if (method_is(call, "PATCH"))
        return on->patch;
    if (method_is(call, "DELETE"))
        return on->del;
    return NULL;
}

/* "GET, HEAD, OPTIONS": alphabetical. */
static struct tp_str allowed_methods(struct tp_admin_call *call, const struct tp_admin_handlers *on)
{
    return tp_arena_printf(call->arena, "%s%sOPTIONS%s%s%s", on->del ? "DELETE, " : "", on->get ? "GET, HEAD, " : "",
                           on->patch ? ", PATCH" : "", on->post ? ", POST" : "", on->put ? ", PUT" : "");
}

static void answer_options(struct tp_admin_call *call)
{
    struct tp_str allowed = allowed_methods(call, &call->endpoint->on);

    tp_admin_reply_empty(call, 204);
    tp_admin_reply_header(call, "Allow", allowed);
    tp_admin_reply_header(call, "Access-Control-Allow-Methods", allowed);
    tp_admin_reply_header(call, "Access-Control-Allow-Headers",
                          call->requested_headers.len ? call->requested_headers : TP_STR("Content-Type"));
}

/* Read the body into call->input. False: answered. */
static bool read_input(struct tp_admin_call *call, enum tp_admin_body_type type)
{
    const char *message = NULL;

    if (tp_admin_body_parse(call->arena, type, call->content_type, call->body, &call->input, &message)) {
        tp_admin_reply_message(call, 400, "%s", message);
        return false;
    }
    call->input_is_text = type == TP_ADMIN_BODY_FORM || type == TP_ADMIN_BODY_MULTIPART;
    return true;
}

static void answer(struct tp_admin_call *call)
{
    bool has_body = method_is(call, "POST") || method_is(call, "PUT") || method_is(call, "PATCH");
    enum tp_admin_body_type type = tp_admin_body_type(call->content_type, call->body.len);
    tp_admin_fn handler;

    call->endpoint = find_endpoint(call);
    if (!call->endpoint) {
        tp_admin_not_found(call);
        return;
    }
    if (method_is(call, "OPTIONS")) {
        answer_options(call);
        return;
    }
    if (has_body && type == TP_ADMIN_BODY_UNSUPPORTED) {
        tp_admin_reply_page(call, 415, "Unsupported Media Type");
        return;
    }
    handler = find_handler(call, &call->endpoint->on);
    if (!handler) {
        tp_admin_method_not_allowed(call); /* without Allow, as Kong answers */
        return;
    }
    if (tp_admin_pairs_parse(call->arena, call->query, &call->args)) {
        tp_admin_reply_message(call, 400, "Too many arguments");
        return;
    }
    if (!has_body || read_input(call, type))
        handler(call);
}

void tp_admin_handle(struct tp_admin_call *call)
{
    tp_admin_reply_cors(call);
    answer(call);
    TP_ASSERT(call->reply.status);
}

void tp_admin_call_fini(struct tp_admin_call *call)
{
    json_decref(call->input);
    call->input = NULL;
    free(call->reply.body);
    call->reply.body = NULL;
}
