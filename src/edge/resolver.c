/* Names to addresses: resolver.h. */
#include "edge/resolver.h"

#include "base/map.h"
#include "base/mem.h"

#include <ctype.h>
#include <stdio.h>

/* --- Literals ------------------------------------------------------------------------------------ */

static bool parse_literal(struct tp_str name, struct tp_address *out)
{
    char text[INET6_ADDRSTRLEN];

    if (name.len >= 2 && name.data[0] == '[' && name.data[name.len - 1] == ']')
        name = tp_str_make(name.data + 1, name.len - 2);
    if (name.len == 0 || name.len >= sizeof(text))
        return false;
    memcpy(text, name.data, name.len);
    text[name.len] = '\0';
    *out = (struct tp_address){ 0 };
    if (inet_pton(AF_INET, text, out->bytes) == 1)
        return true;
    out->family_v6 = 1;
    return inet_pton(AF_INET6, text, out->bytes) == 1;
}

/* --- The hosts file ------------------------------------------------------------------------------ */

struct tp_edge_hosts {
    struct tp_map *names; /* lower case → struct tp_edge_addresses */
};

static struct tp_str lower(struct tp_str name, char *buffer, size_t size)
{
    size_t len = name.len < size ? name.len : size;

    for (size_t i = 0; i < len; i++)
        buffer[i] = (char)tolower((unsigned char)name.data[i]);
    return tp_str_make(buffer, len);
}

static void add_host(struct tp_edge_hosts *hosts, struct tp_str name, const struct tp_address *address)
{
    char buffer[256];
    struct tp_edge_addresses *list;

    name = lower(name, buffer, sizeof(buffer));
    list = tp_map_get(hosts->names, name);
    if (!list) {
        list = tp_new(struct tp_edge_addresses);
        tp_map_set(hosts->names, name, list);
    }
    if (list->count < TP_EDGE_MAX_ADDRESSES)
        list->items[list->count++] = *address;
}

/* "address name name # remark" */
static void read_line(struct tp_edge_hosts *hosts, char *line)
{
    struct tp_address address;
    char *rest = NULL, *word;

    line[strcspn(line, "#\n")] = '\0';
    word = strtok_r(line, " \t\r", &rest);
    if (!word || !parse_literal(tp_str_from_cstr(word), &address))
        return;
    while ((word = strtok_r(NULL, " \t\r", &rest)))
        add_host(hosts, tp_str_from_cstr(word), &address);
}

struct tp_edge_hosts *tp_edge_hosts_load(const char *path, ngx_log_t *log)
{
    struct tp_edge_hosts *hosts = tp_new(struct tp_edge_hosts);
    FILE *file = fopen(path, "re");
    char line[4096];

    hosts->names = tp_map_new();
    if (!file) {
        ngx_log_error(NGX_LOG_WARN, log, ngx_errno, "cannot read the hosts file \"%s\"", path);
        return hosts;
    }
    while (fgets(line, sizeof(line), file))
        read_line(hosts, line);
    fclose(file);
    return hosts;
}

void tp_edge_hosts_free(struct tp_edge_hosts *hosts)
{
    if (!hosts)
        return;
    tp_map_free(hosts->names, free);
    free(hosts);
}

static const struct tp_edge_addresses *find_host(const struct tp_edge_hosts *hosts, struct tp_str name)
{
    char buffer[256];

    return name.len > sizeof(buffer) ? NULL : tp_map_get(hosts->names, lower(name, buffer, sizeof(buffer)));
}

/* --- nginx's resolver ---------------------------------------------------------------------------- */

struct tp_edge_lookup {
    ngx_resolver_ctx_t *ctx;
    tp_edge_lookup_fn fn;
    void *data;
    bool in_call; /* nginx answers from its cache before ngx_resolve_name returns */
    bool answered;
    enum tp_err err;
    struct tp_edge_addresses addresses;
};

static enum tp_err error_of(ngx_int_t state)
{
    switch (state) {
    case NGX_OK: return TP_OK;
    case NGX_RESOLVE_NXDOMAIN: return TP_ERR_NOT_FOUND;
    case NGX_RESOLVE_TIMEDOUT: return TP_ERR_TIMEOUT;
    default: return TP_ERR_UNAVAILABLE;
    }
}

static void take_addresses(struct tp_edge_lookup *lookup, const ngx_resolver_ctx_t *ctx)
{
    struct tp_edge_addresses *to = &lookup->addresses;

    for (ngx_uint_t i = 0; i < ctx->naddrs && to->count < TP_EDGE_MAX_ADDRESSES; i++) {
        const struct sockaddr *sa = ctx->addrs[i].sockaddr;
        struct tp_address *address = &to->items[to->count++];

        *address = (struct tp_address){ .family_v6 = sa->sa_family == AF_INET6 };
        if (address->family_v6)
            memcpy(address->bytes, &((const struct sockaddr_in6 *)sa)->sin6_addr, 16);
        else
            memcpy(address->bytes, &((const struct sockaddr_in *)sa)->sin_addr, 4);
    }
}

static void on_answer(ngx_resolver_ctx_t *ctx)
{
    struct tp_edge_lookup *lookup = ctx->data;

    lookup->answered = true;
    lookup->err = error_of(ctx->state);
    if (!lookup->err)
        take_addresses(lookup, ctx);
    if (!lookup->err && lookup->addresses.count == 0)
        lookup->err = TP_ERR_NOT_FOUND;
    ngx_resolve_name_done(ctx);
    lookup->ctx = NULL;
    if (lookup->in_call)
        return;
    lookup->fn(lookup->data, lookup->err, &lookup->addresses);
    free(lookup);
}

static enum tp_err ask(struct tp_edge_worker *worker, struct tp_edge_lookup *lookup, struct tp_str name)
{
    const ngx_http_core_loc_conf_t *core = worker->conf->core;
    ngx_resolver_ctx_t *ctx, temp = { .name = tp_edge_ngx_str(name) };

    ctx = ngx_resolve_start(core->resolver, &temp);
    if (!ctx || ctx == NGX_NO_RESOLVER)
        return TP_ERR_UNAVAILABLE;
    ctx->name = temp.name;
    ctx->handler = on_answer;
    ctx->data = lookup;
    ctx->timeout = core->resolver_timeout;
    lookup->ctx = ctx;
    lookup->in_call = true;
    if (ngx_resolve_name(ctx) != NGX_OK) {
        lookup->ctx = NULL;
        return TP_ERR_UNAVAILABLE;
    }
    lookup->in_call = false;
    return lookup->answered ? lookup->err : TP_ERR_AGAIN;
}

enum tp_err tp_edge_lookup_start(struct tp_edge_worker *worker, struct tp_str name, struct tp_edge_addresses *now,
                                 tp_edge_lookup_fn fn, void *data, struct tp_edge_lookup **pending)
{
    const struct tp_edge_addresses *host;
    struct tp_edge_lookup *lookup;
    enum tp_err err;

    now->count = 1;
    if (parse_literal(name, &now->items[0]))
        return TP_OK;
    host = find_host(worker->hosts, name);
    if (host) {
        now->count = host->count;
        memcpy(now->items, host->items, host->count * sizeof(host->items[0]));
        return TP_OK;
    }
    lookup = tp_new(struct tp_edge_lookup);
    lookup->fn = fn;
    lookup->data = data;
    err = ask(worker, lookup, name);
    if (err == TP_ERR_AGAIN) {
        *pending = lookup;
        return err;
    }
    if (err == TP_OK)
        *now = lookup->addresses;
    free(lookup);
    return err;
}

void tp_edge_lookup_cancel(struct tp_edge_lookup *pending)
{
    if (!pending)
        return;
    if (pending->ctx)
        ngx_resolve_name_done(pending->ctx);
    free(pending);
}

/* --- For a request ------------------------------------------------------------------------------- */

static struct tp_address *keep(struct tp_edge_request *er, const struct tp_edge_addresses *addresses)
{
    struct tp_address *copy = tp_arena_new_array(tp_request_arena(er->req), struct tp_address, addresses->count);

    memcpy(copy, addresses->items, addresses->count * sizeof(*copy));
    return copy;
}

static void on_resolved(void *data, enum tp_err err, const struct tp_edge_addresses *addresses)
{
    struct tp_edge_request *er = data;
    struct tp_address *list = err ? NULL : keep(er, addresses);

    er->lookup = NULL;
    tp_request_on_resolved(er->req, err, list, err ? 0 : addresses->count);
    tp_edge_act_from_event(er);
}

/* Most names are literals: those make one small piece of memory and nothing else. */
enum tp_err tp_edge_resolve_for_request(struct tp_edge_request *er, struct tp_str name, struct tp_address **out,
                                        size_t *count)
{
    struct tp_edge_addresses now;
    struct tp_address literal;
    enum tp_err err;

    if (parse_literal(name, &literal)) {
        *out = tp_arena_alloc(tp_request_arena(er->req), sizeof(literal));
        **out = literal;
        *count = 1;
        return TP_OK;
    }
    err = tp_edge_lookup_start(er->worker, name, &now, on_resolved, er, &er->lookup);
    if (!err) {
        *out = keep(er, &now);
        *count = now.count;
    }
    return err;
}
