/*
 * The answer's head: what plugins do to it, and the gateway's own headers (proxying.md §4), for proxied answers and
 * for those made here.
 */
#include "gateway/request_priv.h"

#define OWN_HEADERS 16 /* room for what plugins and the gateway add, before the list grows */

/* --- The list ----------------------------------------------------------------------------------- */

struct tp_answer *tp_request_answer(struct tp_request *req)
{
    return &req->answer;
}

static void reserve(struct tp_request *req, size_t capacity)
{
    struct tp_answer *a = &req->answer;
    struct tp_header *headers = tp_arena_alloc(req->arena, capacity * sizeof(*headers));

    if (a->header_count)
        memcpy(headers, a->headers, a->header_count * sizeof(*headers));
    a->headers = headers;
    a->header_capacity = capacity;
}

struct tp_header *tp_answer_begin_fill(struct tp_request *req, size_t count)
{
    req->answer.header_count = 0;
    if (count + OWN_HEADERS > req->answer.header_capacity)
        reserve(req, count + OWN_HEADERS);
    return req->answer.headers;
}

void tp_answer_end_fill(struct tp_request *req, size_t count)
{
    struct tp_answer *a = &req->answer;

    a->header_count = count;
    for (size_t i = 0; i < count; i++)
        a->name_lengths |= UINT64_C(1) << (a->headers[i].name.len & 63);
}

void tp_answer_add(struct tp_request *req, struct tp_str name, struct tp_str value)
{
    struct tp_answer *a = &req->answer;

    if (a->header_count == a->header_capacity)
        reserve(req, a->header_capacity ? a->header_capacity * 2 : OWN_HEADERS);
    a->headers[a->header_count++] = (struct tp_header){ name, value };
    a->name_lengths |= UINT64_C(1) << (name.len & 63);
}

static struct tp_header *find(struct tp_answer *a, struct tp_str name)
{
    if (!(a->name_lengths >> (name.len & 63) & 1))
        return NULL; /* as for most that are asked for */
    for (size_t i = 0; i < a->header_count; i++) {
        if (tp_header_name_eq(a->headers[i].name, name))
            return &a->headers[i];
    }
    return NULL;
}

/* Drop every `name` but `keep`. */
static void drop(struct tp_answer *a, struct tp_str name, const struct tp_header *keep)
{
    size_t w = 0;

    for (size_t r = 0; r < a->header_count; r++) {
        if (&a->headers[r] == keep || !tp_header_name_eq(a->headers[r].name, name))
            a->headers[w++] = a->headers[r]; /* NOLINT(clang-analyzer-core.NullDereference): a count means headers */
    }
    a->header_count = w;
}

static void apply(struct tp_request *req, const struct tp_answer_edit *edit)
{
    struct tp_header *first = find(&req->answer, edit->header.name);

    switch (edit->kind) {
    case TP_EDIT_ADD: tp_answer_add(req, edit->header.name, edit->header.value); break;
    case TP_EDIT_CLEAR: drop(&req->answer, edit->header.name, NULL); break;
    case TP_EDIT_SET:
        if (first) {
            first->value = edit->header.value;
            drop(&req->answer, edit->header.name, first);
        } else {
            tp_answer_add(req, edit->header.name, edit->header.value);
        }
        break;
    }
}

/* At once when there is a head, else kept for it. */
static void edit(struct tp_request *req, int kind, struct tp_str name, struct tp_str value)
{
    struct tp_answer_edit e = { .kind = kind, .header = { name, value } };

    if (req->head_done) {
        apply(req, &e);
        return;
    }
    if (req->edit_count == req->edit_capacity) {
        size_t capacity = req->edit_capacity ? req->edit_capacity * 2 : 8;
        struct tp_answer_edit *edits = tp_arena_alloc(req->arena, capacity * sizeof(*edits));

        if (req->edit_count)
            memcpy(edits, req->edits, req->edit_count * sizeof(*edits));
        req->edits = edits;
        req->edit_capacity = capacity;
    }
    req->edits[req->edit_count++] = e;
}

/* The same with copies; what could break out of its line is made harmless. */
static void edit_copy(struct tp_request *req, int kind, struct tp_str name, struct tp_str value)
{
    if (!tp_header_name_valid(name)) {
        tp_request_log(req, TP_LOG_WARN, "not a header name, left out: \"%.*s\"", TP_STR_ARG(tp_str_head(name, 64)));
        return;
    }
    value = tp_header_safe_value(req->arena, value.data ? value : TP_STR(""));
    edit(req, kind, tp_arena_dup(req->arena, name), tp_arena_dup(req->arena, value));
}

void tp_response_set_header(struct tp_request *req, struct tp_str name, struct tp_str value)
{
    edit_copy(req, TP_EDIT_SET, name, value);
}

void tp_response_add_header(struct tp_request *req, struct tp_str name, struct tp_str value)
{
    edit_copy(req, TP_EDIT_ADD, name, value);
}

void tp_response_clear_header(struct tp_request *req, struct tp_str name)
{
    edit_copy(req, TP_EDIT_CLEAR, name, TP_STR_NULL);
}

void tp_response_set_plain_header(struct tp_request *req, struct tp_str name, struct tp_str value)
{
    edit(req, TP_EDIT_SET, name, value);
}

bool tp_response_header(const struct tp_request *req, struct tp_str name, struct tp_str *out)
{
    const struct tp_header *h = find((struct tp_answer *)&req->answer, name);

    if (h)
        *out = h->value;
    return h != NULL;
}

int tp_response_status(const struct tp_request *req)
{
    return req->answer.status;
}

void tp_response_set_status(struct tp_request *req, int status)
{
    req->answer.status = status;
}

bool tp_response_is_proxied(const struct tp_request *req)
{
    return req->answer.proxied;
}

/* --- The gateway's own headers -------------------------------------------------------------------- */

static struct tp_str milliseconds(struct tp_arena *arena, int64_t ms)
{
    return tp_arena_decimal(arena, ms < 0 ? 0 : (uint64_t)ms);
}

/* Before the plugins: Server, which they may change; then what they asked for in access. */
void tp_answer_begin(struct tp_request *req)
{
    const struct tp_gateway_settings *s = &req->gateway->settings;

    if (req->measures.upstream_start_ms && !req->measures.upstream_head_ms)
        req->measures.upstream_head_ms = tp_request_now_ms(req);
    if (req->answer.proxied && !req->responded && (s->header_server_tokens || s->header_server) &&
        !find(&req->answer, TP_STR("Server")))
        tp_answer_add(req, TP_STR("Server"), TP_STR(TP_SERVER_TOKEN));
    if (!req->responded && find(&req->answer, TP_STR("Trailer")) && !tp_request_wants_trailers(req))
        drop(&req->answer, TP_STR("Trailer"), NULL); /* announces what this client does not read */
    req->head_done = true;
    for (size_t i = 0; i < req->edit_count; i++)
        apply(req, &req->edits[i]);
    if (tp_request_wants_body(req)) {
        req->answer.drop_length = true;
        drop(&req->answer, TP_STR("Content-Length"), NULL);
    }
}

static void add_latencies(struct tp_request *req)
{
    const struct tp_gateway_settings *s = &req->gateway->settings;
    const struct tp_measures *m = &req->measures;
    struct tp_arena *arena = req->arena;

    if (!req->answer.proxied) {
        if (s->header_latency_tokens || s->header_response_latency)
            tp_answer_add(req, TP_STR("X-Kong-Response-Latency"),
                          milliseconds(arena, tp_request_now_ms(req) - req->input.started_ms));
        return;
    }
    if (s->header_latency_tokens || s->header_upstream_latency)
        tp_answer_add(req, TP_STR("X-Kong-Upstream-Latency"),
                      milliseconds(arena, m->upstream_head_ms - m->upstream_start_ms));
    if (s->header_latency_tokens || s->header_proxy_latency)
        tp_answer_add(req, TP_STR("X-Kong-Proxy-Latency"),
                      milliseconds(arena, m->upstream_start_ms - req->input.started_ms));
}

static void add_via(struct tp_request *req)
{
    bool grpc = req->route_info && req->route_info->grpc_service;
    struct tp_str own = grpc ? TP_STR("2 " TP_SERVER_TOKEN) : TP_STR("1.1 " TP_SERVER_TOKEN);
    struct tp_header *via = find(&req->answer, TP_STR("Via"));

    if (!via)
        tp_answer_add(req, TP_STR("Via"), own);
    else
        via->value = tp_arena_printf(req->arena, "%.*s, %.*s", TP_STR_ARG(via->value), TP_STR_ARG(own));
}

/* Which route and service it was, for the operator who sends Kong-Debug. */
static void add_debug(struct tp_request *req)
{
    const struct tp_route *route = req->match.route;
    if (!req->gateway->settings.allow_debug_header || !route ||
        tp_header_table_find(&req->headers, TP_STR("Kong-Debug"), 0) == req->headers.count)
        return;
    tp_answer_add(req, TP_STR("Kong-Route-Id"), route->id_text);
    if (route->name.data)
        tp_answer_add(req, TP_STR("Kong-Route-Name"), route->name);
    if (!route->service)
        return;
    tp_answer_add(req, TP_STR("Kong-Service-Id"), route->service->id_text);
    if (route->service->name.data)
        tp_answer_add(req, TP_STR("Kong-Service-Name"), route->service->name);
}

/* The last of the upstream's statuses, when `headers` lists it. */
static void add_upstream_status(struct tp_request *req)
{
    const struct tp_measures *m = &req->measures;
    int status = m->try_count ? m->tries[m->try_count - 1].status : req->responded ? 0 : req->answer.status;

    if (status)
        tp_answer_add(req, TP_STR("X-Kong-Upstream-Status"), milliseconds(req->arena, status));
}

/* Behind the plugins: nothing they set stays under these names, but for Server and Via of the upstream. */
void tp_answer_finish(struct tp_request *req)
{
    const struct tp_gateway_settings *s = &req->gateway->settings;

    add_latencies(req);
    if (req->answer.proxied) {
        if (s->header_server_tokens || s->header_via)
            add_via(req);
        if (s->header_upstream_status)
            add_upstream_status(req);
    }
    if (req->responded && (s->header_server_tokens || s->header_server) && !find(&req->answer, TP_STR("Server")))
        tp_answer_add(req, TP_STR("Server"), TP_STR(TP_SERVER_TOKEN));
    add_debug(req);
    if (s->header_request_id) {
        if (find(&req->answer, TP_STR("X-Kong-Request-Id")))
            drop(&req->answer, TP_STR("X-Kong-Request-Id"), NULL);
        tp_answer_add(req, TP_STR("X-Kong-Request-Id"), tp_request_id(req));
    }
}
