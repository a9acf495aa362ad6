/* The second engine: engine_mem.h. */
#include "support/engine_mem.h"

#include "base/mem.h"
#include "support/engine_mem_io.h"

#define START_MS 1800000000000

static struct engine_mem *of_engine(struct tp_engine *engine)
{
    return (struct engine_mem *)engine;
}

static struct mem_request *of(const struct tp_request *req)
{
    return tp_request_engine_data(req);
}

/* --- The end of a request ----------------------------------------------------------------------- */

static void finish(struct mem_request *r)
{
    struct tp_request *req = r->req;

    r->done = true;
    r->wake = false;
    r->timer_at = 0;
    tp_request_measures(req)->done_ms = r->engine->now_ms;
    tp_request_on_done(req);
    r->req = NULL;
    tp_request_free(req);
}

static void pass_body(struct mem_request *r, struct tp_str piece, bool last)
{
    if (tp_request_wants_body(r->req))
        tp_request_on_body_chunk(r->req, &piece, last);
    tp_buf_add(&r->out, piece);
}

static void take_head(struct mem_request *r)
{
    const struct tp_answer *answer;

    tp_request_on_response_head(r->req);
    answer = tp_request_answer(r->req);
    r->status = answer->status;
    for (size_t i = 0; i < answer->header_count; i++)
        tp_buf_addf(&r->head, "%.*s: %.*s\n", TP_STR_ARG(answer->headers[i].name),
                    TP_STR_ARG(answer->headers[i].value));
}

/* --- What the gateway calls --------------------------------------------------------------------- */

static int64_t now_ms(struct tp_engine *engine)
{
    return of_engine(engine)->now_ms;
}

static void wake(struct tp_request *req)
{
    of(req)->wake = true;
}

static void timer_set(struct tp_request *req, int64_t delay_ms)
{
    of(req)->timer_at = of(req)->engine->now_ms + delay_ms;
}

static void timer_clear(struct tp_request *req)
{
    of(req)->timer_at = 0;
}

static enum tp_err body_read(struct tp_request *req, uint64_t max, struct tp_str *out)
{
    struct mem_request *r = of(req);

    if (r->engine->body_late)
        return TP_ERR_AGAIN;
    if (r->body.len > max)
        return TP_ERR_TOO_LARGE;
    *out = r->body;
    return TP_OK;
}

static void send_own(struct tp_request *req, struct tp_str body)
{
    struct mem_request *r = of(req);

    r->sent = true;
    take_head(r);
    pass_body(r, body, true);
    finish(r);
}

static struct tp_address *addresses(struct tp_arena *arena, size_t count)
{
    struct tp_address *list = tp_arena_new_array(arena, struct tp_address, count);

    for (size_t i = 0; i < count; i++)
        memcpy(list[i].bytes, (uint8_t[]){ 10, 0, 0, (uint8_t)(i + 1) }, 4);
    return list;
}

static const struct mem_name *find_name(const struct engine_mem *e, struct tp_str name)
{
    for (size_t i = 0; i < e->name_count; i++) {
        if (tp_str_eq(name, tp_str_from_cstr(e->names[i].name)))
            return &e->names[i];
    }
    return NULL;
}

static enum tp_err resolve(struct tp_request *req, struct tp_str name, struct tp_address **out, size_t *count)
{
    struct mem_request *r = of(req);
    const struct mem_name *known = find_name(r->engine, name);

    r->target.host = name;
    if (!known)
        return TP_ERR_NOT_FOUND;
    if (known->late)
        return TP_ERR_AGAIN;
    *out = addresses(tp_request_arena(req), known->count);
    *count = known->count;
    return known->err;
}

static void add_headers(struct tp_request *req, const char *headers)
{
    struct tp_str rest = tp_str_from_cstr(headers), line;

    while (rest.len && tp_str_next(&rest, '\n', &line)) {
        ptrdiff_t colon = tp_str_chr(line, ':');

        if (colon > 0)
            tp_answer_add(req, tp_str_head(line, (size_t)colon), tp_str_trim(tp_str_from(line, (size_t)colon + 1)));
    }
}

void engine_mem_deliver(struct mem_request *r)
{
    struct tp_str body = tp_str_from_cstr(r->answer.body ? r->answer.body : "");
    struct tp_measures *measures = tp_request_measures(r->req);

    measures->upstream_head_ms = r->engine->now_ms;
    if (r->answer.fails) {
        tp_request_on_proxy_failed(r->req, r->answer.status); /* comes back through send_own */
        return;
    }
    tp_request_answer(r->req)->status = r->answer.status;
    add_headers(r->req, r->answer.headers);
    take_head(r);
    pass_body(r, tp_str_head(body, body.len / 2), false);
    pass_body(r, tp_str_from(body, body.len / 2), true);
    finish(r);
}

static void proxy(struct tp_request *req, const struct tp_target *target, const struct tp_address *list, size_t count)
{
    struct mem_request *r = of(req);
    struct engine_mem *e = r->engine;
    struct tp_str body = r->body;

    (void)list;
    r->proxied = true;
    r->target = *target;
    r->address_count = count;
    tp_request_replaced_body(req, &body);
    tp_request_write_upstream(req, target, r->body.data ? (int64_t)r->body.len : -1, r->body.data != NULL, &r->upstream);
    tp_buf_add(&r->upstream, body.data ? body : TP_STR(""));
    r->answer = (struct mem_answer){ .status = 200, .body = "ok" };
    if (e->answer_next < e->answer_count)
        r->answer = e->answers[e->answer_next++];
    if (!r->answer.late)
        engine_mem_deliver(r);
}

static void log_line(struct tp_engine *engine, struct tp_request *req, enum tp_log_level level, struct tp_str line)
{
    (void)req;
    (void)level;
    tp_buf_add(&of_engine(engine)->log, line);
    tp_buf_add_char(&of_engine(engine)->log, '\n');
}

static const struct tp_engine_ops ops = {
    .now_ms = now_ms,
    .wake = wake,
    .timer_set = timer_set,
    .timer_clear = timer_clear,
    .body_read = body_read,
    .send = send_own,
    .resolve = resolve,
    .proxy = proxy,
    .log = log_line,
    .conn_open = mem_conn_open,
    .conn_write = mem_conn_write,
    .conn_close = mem_conn_close,
    .timer_start = mem_timer_start,
    .timer_stop = mem_timer_stop,
};

/* --- What the test calls ------------------------------------------------------------------------ */

struct engine_mem *engine_mem_new(const struct tp_plan *plan, enum tp_router_flavor flavor)
{
    struct engine_mem *e = tp_new(struct engine_mem);

    e->engine.ops = &ops;
    e->now_ms = START_MS;
    e->gateway.engine = &e->engine;
    e->gateway.settings = (struct tp_gateway_settings){
        .flavor = flavor,
        .header_server_tokens = true,
        .header_latency_tokens = true,
        .header_request_id = true,
        .upstream_request_id = true,
    };
    if (plan)
        TP_ASSERT(tp_program_from_plan(&e->gateway.program, plan, flavor, NULL) == TP_OK);
    return e;
}

void engine_mem_free(struct engine_mem *e)
{
    while (e->requests) {
        struct mem_request *r = e->requests;

        e->requests = r->next;
        tp_request_free(r->req);
        tp_buf_fini(&r->upstream);
        tp_buf_fini(&r->head);
        tp_buf_fini(&r->out);
        tp_arena_free(r->arena);
        free(r);
    }
    tp_gateway_fini(&e->gateway); /* closes its connections and stops its timers */
    while (e->timers)
        mem_timer_stop(&e->engine, e->timers);
    mem_conns_free(e);
    tp_buf_fini(&e->log);
    free(e);
}

void engine_mem_answer(struct engine_mem *e, struct mem_answer answer)
{
    TP_ASSERT(e->answer_count < MEM_MAX);
    e->answers[e->answer_count++] = answer;
}

void engine_mem_name(struct engine_mem *e, struct mem_name name)
{
    TP_ASSERT(e->name_count < MEM_MAX);
    e->names[e->name_count++] = name;
}

/* Header lines into a list; Host is also told apart. */
static void read_headers(struct mem_request *r, struct tp_str text, struct tp_request_input *in)
{
    struct tp_header *list;
    struct tp_str rest = text, line;
    size_t lines = 0;

    while (rest.len && tp_str_next(&rest, '\n', &line))
        lines++;
    list = tp_arena_new_array(r->arena, struct tp_header, lines);
    for (rest = text; rest.len && tp_str_next(&rest, '\n', &line);) {
        ptrdiff_t colon = tp_str_chr(line, ':');

        if (colon <= 0)
            continue;
        list[in->header_count].name = tp_str_head(line, (size_t)colon);
        list[in->header_count].value = tp_str_trim(tp_str_from(line, (size_t)colon + 1));
        if (tp_str_eq_nocase(list[in->header_count].name, TP_STR("Host")))
            in->host_header = list[in->header_count].value;
        in->header_count++;
    }
    in->headers = list;
}

static struct tp_str copy(struct mem_request *r, const char *cstr, const char *otherwise)
{
    return tp_arena_dup(r->arena, tp_str_from_cstr(cstr ? cstr : otherwise));
}

struct mem_request *engine_mem_start(struct engine_mem *e, const struct mem_input *input)
{
    struct mem_request *r = tp_new(struct mem_request);
    struct tp_request_input in = { .content_length = -1 };

    r->engine = e;
    r->arena = tp_arena_new();
    r->next = e->requests;
    e->requests = r;
    in.method = copy(r, input->method, "GET");
    in.target = copy(r, input->target, "/");
    in.http_version = input->http_version ? input->http_version : 11;
    in.tls = input->tls;
    in.sni = copy(r, input->sni, "");
    in.peer_ip = in.client_ip = copy(r, input->peer_ip, "127.0.0.1");
    in.client_port = 50000;
    in.server_ip = TP_STR("127.0.0.1");
    in.server_port = (uint16_t)(input->port ? input->port : 8000);
    in.started_ms = e->now_ms;
    in.has_body = input->body != NULL;
    if (input->body) {
        r->body = copy(r, input->body, "");
        in.content_length = input->chunked ? -1 : (int64_t)r->body.len;
    }
    read_headers(r, copy(r, input->headers, ""), &in);
    r->req = tp_request_new(&e->gateway, &in, r);
    tp_request_run(r->req);
    return r;
}

struct mem_request *engine_mem_get(struct engine_mem *e, const char *target, const char *headers)
{
    return engine_mem_start(e, &(struct mem_input){ .target = target, .headers = headers });
}

void engine_mem_turn(struct engine_mem *e)
{
    for (struct mem_request *r = e->requests; r; r = r->next) {
        while (r->wake) {
            r->wake = false;
            tp_request_run(r->req);
        }
    }
}

void engine_mem_advance(struct engine_mem *e, int64_t ms)
{
    e->now_ms += ms;
    mem_timers_fire(e);
    for (struct mem_request *r = e->requests; r; r = r->next) {
        if (r->timer_at && r->timer_at <= e->now_ms) {
            r->timer_at = 0;
            tp_request_on_timer(r->req);
        }
    }
    engine_mem_turn(e);
}

void engine_mem_resolve_now(struct mem_request *r)
{
    const struct mem_name *name = find_name(r->engine, r->target.host);

    tp_request_on_resolved(r->req, name->err, addresses(r->arena, name->count), name->count);
}

void engine_mem_body_now(struct mem_request *r)
{
    tp_request_on_body(r->req, TP_OK, r->body);
}

void engine_mem_leave(struct mem_request *r)
{
    finish(r);
}

struct tp_str engine_mem_header(const struct mem_request *r, const char *name)
{
    struct tp_str rest = tp_buf_str(&r->head), line, wanted = tp_str_from_cstr(name);

    while (rest.len && tp_str_next(&rest, '\n', &line)) {
        if (line.len > wanted.len + 1 && line.data[wanted.len] == ':' && tp_str_starts_nocase(line, wanted))
            return tp_str_from(line, wanted.len + 2);
    }
    return TP_STR_NULL;
}
