/*
 * The request path with a hostile client and a hostile upstream: the input's parts, separated by 0xff, are the target,
 * the headers, the body, a plugin's header value and the upstream's headers. The upstream's request must be one head
 * of whole lines, whatever came.
 */
#include "support/engine_mem.h"
#include "support/plan_maker.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tp_str plugin_value;

static enum tp_verdict on_access(struct tp_request *req, const void *conf)
{
    const struct tp_arg *args;
    size_t count = tp_request_query_args(req, &args);

    (void)conf;
    tp_request_set_header(req, TP_STR("X-Set"), plugin_value);
    tp_request_set_header(req, plugin_value, TP_STR("name"));
    tp_response_add_header(req, TP_STR("X-Added"), plugin_value);
    tp_request_protect_capture(req, TP_STR("key"), true);
    if (plugin_value.len % 3 == 1)
        tp_request_set_query_args(req, args, count);
    if (plugin_value.len % 3 == 2)
        tp_request_remove_query_arg(req, plugin_value);
    if (plugin_value.len % 5 == 4 && tp_request_set_upstream_path(req, plugin_value) == TP_OK)
        tp_request_set_body(req, plugin_value);
    return TP_NEXT;
}

static const struct tp_plugin plugin = { .name = "fuzzed", .priority = 1, .on_access = on_access };

/* The next part as text; what the engine's parser would never let through is changed. */
static const char *part(struct tp_arena *arena, struct tp_str *rest, const char *keep)
{
    struct tp_str item = TP_STR("");
    char *text;

    tp_str_next(rest, (char)0xff, &item);
    text = (char *)tp_arena_dup(arena, item).data;
    for (size_t i = 0; i < item.len; i++) {
        if ((unsigned char)text[i] < 0x20 && (text[i] == '\0' || !strchr(keep, text[i])))
            text[i] = '.';
    }
    return text;
}

/* One request line, header lines, one empty line; no line without ':' and no stray CR or LF. */
static void check_head(struct tp_str head)
{
    ptrdiff_t end = tp_str_find(head, TP_STR("\r\n\r\n"));
    struct tp_str rest, line;
    bool first = true;

    if (end < 0)
        abort();
    for (rest = tp_str_head(head, (size_t)end + 2); rest.len && tp_str_next(&rest, '\n', &line); first = false) {
        if (line.len < 2 || line.data[line.len - 1] != '\r' || tp_str_chr(tp_str_head(line, line.len - 1), '\r') >= 0 ||
            (!first && tp_str_chr(line, ':') <= 0))
            abort();
        if (!rest.len)
            break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tp_str rest = tp_str_make((const char *)data, size), value = TP_STR("");
    struct plan_maker *maker;
    struct tp_service *service;
    struct engine_mem *engine;
    struct mem_request *r;
    struct mem_input input = { 0 };

    if (size > 8192)
        return 0;
    maker = plan_maker_new();
    service = plan_maker_service(maker, "http://127.0.0.1:1/base");
    plan_maker_route(
        maker, (struct route_words){ .paths = "~/k/(?<key>[^/]+)/.* /s", .service = service, .keep_path = size % 2 });
    plan_maker_route(maker, (struct route_words){ .paths = "/", .service = service });
    plan_maker_plugin(maker, &plugin, NULL, NULL, NULL);
    engine = engine_mem_new(&maker->plan, size % 4 < 2 ? TP_ROUTER_TRADITIONAL_COMPATIBLE : TP_ROUTER_TRADITIONAL);
    input.target = part(maker->arena, &rest, "");
    input.headers = part(maker->arena, &rest, "\n");
    input.body = part(maker->arena, &rest, "\r\n");
    tp_str_next(&rest, (char)0xff, &value);
    plugin_value = value;
    engine_mem_answer(
        engine, (struct mem_answer){ .status = 200, .headers = part(maker->arena, &rest, "\n"), .body = "answer" });
    r = engine_mem_start(engine, &input);
    if (r->proxied)
        check_head(tp_buf_str(&r->upstream));
    if (!r->done)
        abort();
    engine_mem_free(engine);
    plan_maker_free(maker);
    return 0;
}
