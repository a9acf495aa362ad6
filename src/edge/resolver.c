/*
 * Names to addresses: resolver.h.
 *
 * A name may stand for several full names (search_list.h). nginx's resolver remembers what it found, but not what does
 * not exist; so which candidate was the right one is remembered here, or each request would ask for the wrong ones
 * anew.
 */
#include "edge/resolver.h"

#include "base/map.h"
#include "base/mem.h"
#include "edge/hosts.h"
#include "edge/search_list.h"

enum {
    MAX_REMEMBERED = 1024, /* names; above it all are forgotten */
    REMEMBER_S = 30,
};

/* The candidate that existed. */
struct remembered {
    size_t index;
    time_t until;
};

struct tp_edge_resolver {
    struct tp_edge_hosts *hosts;
    struct tp_edge_search_list search;
    struct tp_map *remembered; /* name as asked → struct remembered */
};

struct tp_edge_resolver *tp_edge_resolver_new(const struct tp_edge_settings *settings, ngx_log_t *log)
{
    struct tp_edge_resolver *resolver = tp_new(struct tp_edge_resolver);

    resolver->hosts = tp_edge_hosts_new(settings->hosts_file.data, log);
    resolver->search = (struct tp_edge_search_list){ settings->search_domains, settings->search_ndots };
    resolver->remembered = tp_map_new();
    return resolver;
}

void tp_edge_resolver_free(struct tp_edge_resolver *resolver)
{
    if (!resolver)
        return;
    tp_edge_hosts_free(resolver->hosts);
    tp_map_free(resolver->remembered, free);
    free(resolver);
}

/* --- Literals ------------------------------------------------------------------------------------ */

bool tp_edge_address_parse(struct tp_str name, struct tp_address *out)
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

/* --- nginx's resolver ---------------------------------------------------------------------------- */

struct tp_edge_lookup {
    struct tp_edge_worker *worker;
    ngx_resolver_ctx_t *ctx;
    tp_edge_lookup_fn fn;
    void *data;
    struct tp_str name; /* as asked; owned */
    size_t index;       /* of the candidate that is being asked for */
    bool by_memory;     /* it is the one that existed before */
    char candidate[TP_EDGE_NAME_BYTES];
    bool in_call; /* nginx answers from its cache before ngx_resolve_name returns */
    bool answered;
    enum tp_err err;     /* of this candidate */
    enum tp_err failure; /* of those before: what is not "no such name" counts */
    struct tp_edge_addresses addresses;
};

static void lookup_free(struct tp_edge_lookup *lookup)
{
    free((char *)lookup->name.data);
    free(lookup);
}

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

static enum tp_err ask(struct tp_edge_lookup *lookup);

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
    lookup->err = ask(lookup);
    if (lookup->err == TP_ERR_AGAIN)
        return;
    lookup->fn(lookup->data, lookup->err, &lookup->addresses);
    lookup_free(lookup);
}

/* TP_ERR_AGAIN: on_answer will be called. */
static enum tp_err ask_candidate(struct tp_edge_lookup *lookup)
{
    const ngx_http_core_loc_conf_t *core = lookup->worker->conf->core;
    ngx_resolver_ctx_t *ctx, temp = { .name = { strlen(lookup->candidate), (u_char *)lookup->candidate } };

    if (temp.name.len == 0)
        return TP_ERR_NOT_FOUND;
    ctx = ngx_resolve_start(core->resolver, &temp);
    if (!ctx || ctx == NGX_NO_RESOLVER)
        return TP_ERR_UNAVAILABLE;
    ctx->name = temp.name;
    ctx->handler = on_answer;
    ctx->data = lookup;
    ctx->timeout = core->resolver_timeout;
    lookup->ctx = ctx;
    lookup->answered = false;
    lookup->in_call = true;
    if (ngx_resolve_name(ctx) != NGX_OK) {
        lookup->in_call = false;
        lookup->ctx = NULL;
        return TP_ERR_UNAVAILABLE;
    }
    lookup->in_call = false;
    return lookup->answered ? lookup->err : TP_ERR_AGAIN;
}

static void remember(struct tp_edge_lookup *lookup)
{
    struct tp_edge_resolver *resolver = lookup->worker->resolver;
    struct remembered *entry;

    if (resolver->search.domains.count == 0)
        return;
    if (tp_map_count(resolver->remembered) >= MAX_REMEMBERED) {
        tp_map_free(resolver->remembered, free);
        resolver->remembered = tp_map_new();
    }
    entry = tp_map_get(resolver->remembered, lookup->name);
    if (!entry) {
        entry = tp_new(struct remembered);
        tp_map_set(resolver->remembered, lookup->name, entry);
    }
    *entry = (struct remembered){ lookup->index, ngx_time() + REMEMBER_S };
}

static void start_with_remembered(struct tp_edge_lookup *lookup)
{
    const struct remembered *entry = tp_map_get(lookup->worker->resolver->remembered, lookup->name);

    if (!entry || entry->until < ngx_time())
        return;
    lookup->index = entry->index;
    lookup->by_memory = true;
}

static void next_candidate(struct tp_edge_lookup *lookup, enum tp_err err)
{
    if (err != TP_ERR_NOT_FOUND)
        lookup->failure = err;
    lookup->index = lookup->by_memory ? 0 : lookup->index + 1;
    lookup->by_memory = false;
    lookup->err = TP_ERR_AGAIN;
}

/* Candidates in turn, until one exists; silence ends it too, for it would last as long with each. */
static enum tp_err ask(struct tp_edge_lookup *lookup)
{
    enum tp_err err = lookup->err; /* AGAIN: not asked yet */

    for (;;) {
        if (err == TP_OK)
            remember(lookup);
        if (err == TP_OK || err == TP_ERR_TIMEOUT)
            return err;
        if (err != TP_ERR_AGAIN)
            next_candidate(lookup, err);
        if (!tp_edge_search_list_name(&lookup->worker->resolver->search, lookup->name, lookup->index,
                                      lookup->candidate))
            return lookup->failure;
        err = ask_candidate(lookup);
        if (err == TP_ERR_AGAIN)
            return err;
    }
}

enum tp_err tp_edge_lookup_start(struct tp_edge_worker *worker, struct tp_str name, struct tp_edge_addresses *now,
                                 tp_edge_lookup_fn fn, void *data, struct tp_edge_lookup **pending)
{
    const struct tp_edge_addresses *host;
    struct tp_edge_lookup *lookup;
    enum tp_err err;

    now->count = 1;
    if (tp_edge_address_parse(name, &now->items[0]))
        return TP_OK;
    host = tp_edge_hosts_find(worker->resolver->hosts, name);
    if (host) {
        now->count = host->count;
        memcpy(now->items, host->items, host->count * sizeof(host->items[0]));
        return TP_OK;
    }
    lookup = tp_new(struct tp_edge_lookup);
    lookup->worker = worker;
    lookup->fn = fn;
    lookup->data = data;
    lookup->name = tp_str_make(tp_strndup(name), name.len);
    lookup->err = TP_ERR_AGAIN;
    lookup->failure = TP_ERR_NOT_FOUND;
    start_with_remembered(lookup);
    err = ask(lookup);
    if (err == TP_ERR_AGAIN) {
        *pending = lookup;
        return err;
    }
    if (err == TP_OK)
        *now = lookup->addresses;
    lookup_free(lookup);
    return err;
}

void tp_edge_lookup_cancel(struct tp_edge_lookup *pending)
{
    if (!pending)
        return;
    if (pending->ctx)
        ngx_resolve_name_done(pending->ctx);
    lookup_free(pending);
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

    if (tp_edge_address_parse(name, &literal)) {
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
