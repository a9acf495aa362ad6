/* Plans by hand: plan_maker.h. */
#include "support/plan_maker.h"

#include "base/mem.h"
#include "turnpike/err.h"

struct plan_maker *plan_maker_new(void)
{
    struct plan_maker *m = tp_new(struct plan_maker);

    m->arena = tp_arena_new();
    m->plan.services = m->services;
    m->plan.routes = m->routes;
    m->plan.plugins = m->plugins;
    return m;
}

void plan_maker_free(struct plan_maker *m)
{
    tp_arena_free(m->arena);
    free(m);
}

/* The n-th of a kind: 00000001-…, ids that sort as they were made. */
static struct tp_uuid counted_id(uint8_t kind, size_t n)
{
    struct tp_uuid id = { { (uint8_t)(n >> 8), (uint8_t)n, kind } };

    id.bytes[15] = 1;
    return id;
}

static struct tp_str id_text(struct plan_maker *m, const struct tp_uuid *id)
{
    char text[TP_UUID_TEXT_LEN + 1];

    tp_uuid_format(id, text);
    return tp_arena_dup(m->arena, tp_str_make(text, TP_UUID_TEXT_LEN));
}

static struct tp_list split(struct plan_maker *m, struct tp_str text, char separator)
{
    struct tp_str *list = tp_arena_new_array(m->arena, struct tp_str, text.len + 1), item;
    size_t count = 0;

    text = tp_arena_dup(m->arena, text);
    while (text.len && tp_str_next(&text, separator, &item))
        list[count++] = item;
    return (struct tp_list){ list, count };
}

struct tp_list plan_maker_words(struct plan_maker *m, const char *words)
{
    return split(m, tp_str_from_cstr(words), ' ');
}

static struct tp_list header_rules(struct plan_maker *m, const char *words)
{
    struct tp_list list = plan_maker_words(m, words);
    struct tp_route_header *rules = tp_arena_new_array(m->arena, struct tp_route_header, list.count);

    for (size_t i = 0; i < list.count; i++) {
        struct tp_str value = *TP_LIST_AT(list, struct tp_str, i);

        tp_str_next(&value, '=', &rules[i].name);
        rules[i].values = split(m, value, '|');
    }
    return (struct tp_list){ rules, list.count };
}

struct tp_service *plan_maker_service(struct plan_maker *m, const char *url)
{
    struct tp_service *s = tp_arena_new_type(m->arena, struct tp_service);
    struct tp_str rest = tp_arena_dup(m->arena, tp_str_from_cstr(url));
    ptrdiff_t at = tp_str_find(rest, TP_STR("://"));

    TP_ASSERT(at > 0);
    s->id = counted_id(1, m->plan.service_count);
    s->id_text = id_text(m, &s->id);
    s->enabled = true;
    s->protocol = tp_str_head(rest, (size_t)at);
    rest = tp_str_from(rest, (size_t)at + 3);
    at = tp_str_chr(rest, '/');
    if (at >= 0) {
        s->path = tp_str_from(rest, (size_t)at);
        rest = tp_str_head(rest, (size_t)at);
    }
    s->port = tp_str_ends(s->protocol, TP_STR("s")) ? 443 : 80;
    at = tp_str_chr(rest, ':');
    s->host = at < 0 ? rest : tp_str_head(rest, (size_t)at);
    if (at >= 0)
        tp_str_to_i64(tp_str_from(rest, (size_t)at + 1), &s->port);
    s->retries = TP_INT_NULL;
    s->tls_verify = TP_UNSET;
    s->tls_verify_depth = TP_INT_NULL;
    s->connect_timeout = s->read_timeout = s->write_timeout = 60000;
    m->services[m->plan.service_count++] = s;
    return s;
}

struct tp_route *plan_maker_route(struct plan_maker *m, struct route_words w)
{
    struct tp_route *r = tp_arena_new_type(m->arena, struct tp_route);

    TP_ASSERT(m->plan.route_count < PLAN_MAKER_MAX);
    r->id = counted_id(2, m->plan.route_count);
    if (w.id)
        TP_ASSERT(tp_uuid_parse(tp_str_from_cstr(w.id), &r->id));
    r->id_text = id_text(m, &r->id);
    r->name = tp_arena_dup(m->arena, tp_str_from_cstr(w.name));
    r->protocols = plan_maker_words(m, w.protocols ? w.protocols : "http https");
    r->methods = plan_maker_words(m, w.methods);
    r->hosts = plan_maker_words(m, w.hosts);
    r->paths = plan_maker_words(m, w.paths);
    r->snis = plan_maker_words(m, w.snis);
    r->headers = header_rules(m, w.headers);
    r->https_redirect_status_code = w.redirect ? w.redirect : 426;
    r->regex_priority = w.regex_priority;
    r->created_at = w.created_at;
    r->strip_path = !w.keep_path;
    r->preserve_host = w.preserve_host;
    r->path_handling_v1 = w.v1;
    r->request_buffering = r->response_buffering = true;
    r->service = w.service;
    if (w.service)
        r->service_id = w.service->id;
    m->routes[m->plan.route_count++] = r;
    return r;
}

struct tp_plugin_row *plan_maker_plugin(struct plan_maker *m, const struct tp_plugin *plugin, const void *conf,
                                        const struct tp_route *route, const struct tp_service *service)
{
    struct tp_plugin_row *row = tp_arena_new_type(m->arena, struct tp_plugin_row);

    row->id = counted_id(3, m->plan.plugin_count);
    row->plugin = plugin;
    row->name = tp_str_from_cstr(plugin->name);
    row->priority = plugin->priority;
    row->conf = conf;
    if (route)
        row->route = route->id;
    if (service)
        row->service = service->id;
    m->plugins[m->plan.plugin_count++] = row;
    return row;
}
