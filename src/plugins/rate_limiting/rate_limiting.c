/*
 * rate-limiting: so many calls a second … a year, for each consumer, credential, address, service, header or path.
 *
 * Windows are the calendar's, in UTC. A call that is refused is counted nowhere. Counters belong to the route and
 * service that the row is attached to, as in Kong: rows attached alike share them.
 */
#include "in_redis.h"

#include <math.h>

static const struct {
    struct tp_str limit, remaining;
} header_names[TP_PERIODS] = {
/* clang-format takes an initialiser in a macro for a block. */
/* clang-format off */
#define NAME(text) { text, sizeof(text) - 1 } /* as TP_STR, which C does not take here */
#define NAMES(period) { NAME("X-RateLimit-Limit-" period), NAME("X-RateLimit-Remaining-" period) }
    /* clang-format on */
    [TP_SECOND] = NAMES("Second"), [TP_MINUTE] = NAMES("Minute"), [TP_HOUR] = NAMES("Hour"),
    [TP_DAY] = NAMES("Day"),       [TP_MONTH] = NAMES("Month"),   [TP_YEAR] = NAMES("Year"),
#undef NAMES
#undef NAME
};

static void mix_in(struct tp_uuid *id, const struct tp_uuid *other)
{
    uint64_t a[2], b[2];

    memcpy(a, id->bytes, sizeof(a));
    memcpy(b, other->bytes, sizeof(b));
    a[0] ^= ~b[0];
    a[1] ^= ~b[1];
    memcpy(id->bytes, a, sizeof(a));
}

/* What the counters belong to: the route and service of the row, and the plugin's name when it is a clone. */
static struct tp_uuid instance_of(const struct tp_request *req)
{
    struct tp_plugin_scope scope;
    struct tp_uuid out;

    tp_request_plugin_scope(req, &scope);
    out = scope.route;
    if (!tp_uuid_is_nil(&scope.service))
        mix_in(&out, &scope.service);
    return tp_str_eq(scope.plugin, TP_STR("rate-limiting")) ? out : tp_uuid_v5(&out, scope.plugin);
}

static void use_id(struct tp_quota_key *key, const struct tp_uuid *id)
{
    key->table = TP_QUOTA_IDENTITIES;
    key->id = *id;
}

/* Marked by where it comes from: a header that spells somebody's address does not use up their calls. */
static void use_text(struct tp_request *req, struct tp_quota_key *key, struct tp_str mark, struct tp_str text)
{
    key->table = TP_QUOTA_ADDRESSES;
    key->identity = tp_arena_concat(tp_request_arena(req), mark, text);
}

static void identify(struct tp_request *req, const struct limiting_conf *conf, struct tp_quota_key *key)
{
    const struct tp_consumer *consumer = conf->by == BY_CONSUMER ? tp_request_consumer(req) : NULL;
    const struct tp_credential *credential = conf->by == BY_CONSUMER || conf->by == BY_CREDENTIAL
                                                 ? tp_request_credential(req)
                                                 : NULL;
    const struct tp_uuid *service = conf->by == BY_SERVICE ? tp_request_service_id(req) : NULL;
    struct tp_str text;

    if (consumer)
        use_id(key, &consumer->id);
    else if (credential)
        use_id(key, &credential->id);
    else if (service)
        use_id(key, service);
    else if (conf->by == BY_HEADER && conf->header_name.data && tp_request_header(req, conf->header_name, &text))
        use_text(req, key, TP_STR("header:"), text);
    else if (conf->by == BY_PATH && conf->path.data && tp_str_eq(tp_request_path(req), conf->path))
        use_text(req, key, TP_STR("path:"), conf->path);
    else
        use_text(req, key, TP_STR(""), tp_request_client_ip(req));
}

/* Calls left in a window, this one taken off when it was let through. */
static double remaining_in(const struct tp_quota_state *state, enum tp_period period)
{
    return fmax(0, state->limit[period] - (double)state->used[period]);
}

static struct tp_str number_text(struct tp_request *req, double number)
{
    if (number >= 0 && number < 1e14 && number == (double)(uint64_t)number)
        return tp_arena_decimal(tp_request_arena(req), (uint64_t)number); /* the same text, without printf's price */
    return tp_arena_printf(tp_request_arena(req), "%.14g", number);
}

/* The window with the fewest calls left speaks for all; of equal ones the longest. */
static enum tp_period tightest(const struct tp_quota_state *state)
{
    enum tp_period best = TP_PERIODS;

    for (int p = 0; p < TP_PERIODS; p++)
        if (!isnan(state->limit[p]) &&
            (best == TP_PERIODS || remaining_in(state, (enum tp_period)p) <= remaining_in(state, best)))
            best = (enum tp_period)p;
    return best;
}

static void tell_client(struct tp_request *req, const struct limiting_conf *conf, const struct tp_quota_state *state)
{
    enum tp_period best = tightest(state);
    struct tp_str remaining, best_remaining = TP_STR_NULL, reset_text;
    int64_t reset;

    for (int p = 0; p < TP_PERIODS; p++) {
        if (isnan(state->limit[p]))
            continue;
        remaining = number_text(req, remaining_in(state, (enum tp_period)p));
        if (p == (int)best)
            best_remaining = remaining;
        tp_response_set_plain_header(req, header_names[p].limit, conf->limit_text[p]);
        tp_response_set_plain_header(req, header_names[p].remaining, remaining);
    }
    if (best == TP_PERIODS)
        return;
    reset = state->window[best].start + state->window[best].length - tp_request_now_ms(req) / 1000;
    reset_text = tp_arena_decimal(tp_request_arena(req), reset > 1 ? (uint64_t)reset : 1);
    tp_response_set_plain_header(req, TP_STR("RateLimit-Limit"), conf->limit_text[best]);
    tp_response_set_plain_header(req, TP_STR("RateLimit-Remaining"), best_remaining);
    tp_response_set_plain_header(req, TP_STR("RateLimit-Reset"), reset_text);
    if (state->refused)
        tp_response_set_plain_header(req, TP_STR("Retry-After"), reset_text);
}

/* The call was counted or refused: say so. */
static enum tp_verdict conclude(struct tp_request *req, const struct limiting_conf *conf,
                                const struct tp_quota_state *state)
{
    if (!conf->hide_client_headers)
        tell_client(req, conf, state);
    if (conf->calls_header.data)
        tp_response_set_header(req, conf->calls_header, number_text(req, (double)state->used[conf->longest]));
    if (!state->refused)
        return TP_NEXT;
    if (conf->status == 0) {
        tp_request_log(req, TP_LOG_ERROR, "rate-limiting: error_code %.14g is not an error status", conf->error_code);
        return TP_FAIL;
    }
    return tp_respond(req, conf->status, conf->message_cstr);
}

static bool is_flat(const struct tp_request *req, const struct limiting_conf *conf)
{
    return conf->flat_windows == TP_UNSET ? tp_quota_flat_by_default(req) : conf->flat_windows == TP_TRUE;
}

static enum tp_verdict count_here(struct tp_request *req, const struct limiting_conf *conf,
                                  const struct tp_quota_key *key)
{
    struct tp_quota_state state = { .refused = false };

    memcpy(state.limit, conf->limit, sizeof(state.limit));
    tp_quota_take(req, key, is_flat(req, conf), &state);
    return conclude(req, conf, &state);
}

static enum tp_verdict on_counted(struct tp_request *req, const struct limiting_conf *conf,
                                  const struct tp_quota_key *key, enum tp_err err, struct tp_quota_state *state)
{
    if (!err)
        return conclude(req, conf, state);
    if (conf->fault_tolerant)
        return count_here(req, conf, key); /* redis.c has logged what is wrong, once */
    tp_request_log(req, TP_LOG_ERROR, "rate-limiting: cannot count in Redis: %s", tp_err_text(err));
    return TP_FAIL;
}

static enum tp_verdict on_access(struct tp_request *req, const void *data)
{
    const struct limiting_conf *conf = data;
    struct tp_quota_key *key = tp_arena_new_type(tp_request_arena(req), struct tp_quota_key);

    key->instance = instance_of(req);
    identify(req, conf, key);
    if (conf->in_redis)
        return tp_rate_limiting_in_redis(req, conf, key, is_flat(req, conf), on_counted);
    return count_here(req, conf, key);
}

const struct tp_plugin tp_plugin_rate_limiting = {
    .name = "rate-limiting",
    .priority = 910,
    .conf_size = sizeof(struct limiting_conf),
    .fields = tp_rate_limiting_fields,
    .checks = tp_rate_limiting_checks,
    .on_configure = tp_rate_limiting_configure,
    .on_access = on_access,
};
