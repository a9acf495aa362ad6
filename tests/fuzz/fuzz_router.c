/*
 * Router: the input's first lines make routes ("paths|hosts|methods|headers|snis"), the last line is the request
 * ("method path host headers sni"). Both flavours must compile, match within their limits, and agree with a scan over
 * all entries; what matched must be a prefix of the path.
 */
#include "base/diag.h"
#include "gateway/router_priv.h"
#include "support/plan_maker.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_ROUTES 32

static void check(int ok)
{
    if (!ok)
        abort();
}

static const char *cstr(struct tp_arena *arena, struct tp_str *rest, char separator)
{
    struct tp_str item = TP_STR_NULL;

    return tp_str_next(rest, separator, &item) && item.len ? tp_arena_dup(arena, item).data : NULL;
}

static void add_route(struct plan_maker *maker, struct tp_str line, size_t n)
{
    struct route_words words = { .name = "r", .created_at = (int64_t)n, .regex_priority = (int64_t)n };

    words.paths = cstr(maker->arena, &line, '|');
    words.hosts = cstr(maker->arena, &line, '|');
    words.methods = cstr(maker->arena, &line, '|');
    words.headers = cstr(maker->arena, &line, '|');
    words.snis = cstr(maker->arena, &line, '|');
    plan_maker_route(maker, words);
}

/* The rank of the first entry that matches, by asking all. */
static const struct tp_entry *scan(const struct tp_router *router, const struct tp_router_input *in,
                                   struct tp_arena *arena)
{
    struct tp_match match = { 0 };

    for (size_t i = 0; i < router->entry_count; i++) {
        if (tp_entry_matches(router, &router->entries[i], in, arena, &match))
            return &router->entries[i];
    }
    return NULL;
}

static void try_flavor(const struct plan_maker *maker, const struct tp_router_input *in, enum tp_router_flavor flavor)
{
    struct tp_diag *diag = tp_diag_new();
    struct tp_arena *arena = tp_arena_new();
    struct tp_router *router;
    struct tp_match match;

    check(tp_router_compile(&router, &maker->plan, flavor, diag) == TP_OK);
    tp_router_match(router, in, arena, &match);
    check(!match.route || !match.matched_path.data || tp_str_starts(in->path, match.matched_path));
    if (match.route && flavor == TP_ROUTER_TRADITIONAL_COMPATIBLE)
        check(scan(router, in, arena)->route == match.route);
    for (size_t i = 0; i < match.capture_count; i++)
        check(!match.captures[i].data ||
              (match.captures[i].data >= in->path.data &&
               match.captures[i].data + match.captures[i].len <= in->path.data + in->path.len));
    tp_router_free(router);
    tp_arena_free(arena);
    tp_diag_free(diag);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tp_str rest = tp_str_make((const char *)data, size), line = TP_STR_NULL;
    struct plan_maker *maker;
    struct tp_header header = { TP_STR("x-a"), TP_STR("") };
    struct tp_router_input in = { .port = 8000, .headers = &header, .header_count = 1 };
    struct tp_str word = TP_STR("");

    if (size > 4096)
        return 0;
    maker = plan_maker_new();
    while (tp_str_next(&rest, '\n', &line) && rest.data && maker->plan.route_count < MAX_ROUTES)
        add_route(maker, line, maker->plan.route_count);
    tp_str_next(&line, ' ', &in.method);
    tp_str_next(&line, ' ', &word);
    in.path = tp_path_normalize(maker->arena, word);
    word = TP_STR("");
    tp_str_next(&line, ' ', &word);
    in.host = in.host_text = word;
    if (tp_str_chr(word, ':') >= 0)
        in.host = tp_str_head(word, (size_t)tp_str_chr(word, ':'));
    tp_str_next(&line, ' ', &header.value);
    if (tp_str_next(&line, ' ', &in.sni))
        in.tls = true;
    tp_path_join(maker->arena, in.host, in.path, TP_STR_NULL, true, true);
    try_flavor(maker, &in, TP_ROUTER_TRADITIONAL_COMPATIBLE);
    try_flavor(maker, &in, TP_ROUTER_TRADITIONAL);
    plan_maker_free(maker);
    return 0;
}
