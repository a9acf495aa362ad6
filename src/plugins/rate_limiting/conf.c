/*
 * rate-limiting's fields, the checks between them, and what is derived from them once.
 */
#include "in_redis.h"

#include <math.h>
#include <stdio.h>

static const char *const limit_by_names[] = {
    [BY_CONSUMER] = "consumer",
    [BY_CREDENTIAL] = "credential",
    [BY_IP] = "ip",
    [BY_SERVICE] = "service",
    [BY_HEADER] = "header",
    [BY_PATH] = "path",
    NULL,
};
static const struct tp_pattern path_patterns[] = { { "//", "must not have empty segments" }, { 0 } };
static const char *const policies[] = { "local", "cluster", "redis", NULL };

#define LIMIT(member, text) TP_FIELD(struct limiting_conf, member, NUMBER, .gt = TP_GREATER(0), .about = (text))
#define MOVED(old, kind, path) TP_FIELD_ONLY(old, kind, .alias_of = (path))

const struct tp_field tp_rate_limiting_fields[] = {
    LIMIT(second, "How many calls may be made in a second."),
    LIMIT(minute, "How many calls may be made in a minute."),
    LIMIT(hour, "How many calls may be made in an hour."),
    LIMIT(day, "How many calls may be made in a day (UTC)."),
    LIMIT(month, "How many calls may be made in a calendar month (UTC)."),
    LIMIT(year, "How many calls may be made in a calendar year (UTC)."),
    TP_FIELD(struct limiting_conf, limit_by, STRING, .def = "consumer", .one_of = limit_by_names,
             .about = "Whose calls are counted together; what is absent falls back to the client's address."),
    TP_FIELD(struct limiting_conf, header_name, STRING, .check = tp_check_header_name,
             .about = "The header whose value is counted by, with limit_by = header."),
    TP_FIELD(struct limiting_conf, path, STRING, .starts_with = "/", .match_none = path_patterns,
             .check = tp_check_path, .about = "The request path that is counted by, with limit_by = path."),
    TP_FIELD(struct limiting_conf, policy, STRING, .def = "local", .one_of = policies, .nullable_text = true,
             .about = "Where calls are counted: on this node, or in Redis for all nodes."),
    TP_FIELD(struct limiting_conf, fault_tolerant, BOOLEAN, .required = true, .def = "true",
             .about = "When Redis is away: count on this node meanwhile (true) or answer 500 (false)."),
    TP_FIELD(struct limiting_conf, redis, RECORD, .required = true, .fields = tp_redis_fields,
             .about = "The Redis server, with policy = redis."),
    TP_FIELD(struct limiting_conf, hide_client_headers, BOOLEAN, .required = true, .def = "false",
             .about = "Leave the headers that tell limits and usage out of answers."),
    TP_FIELD(struct limiting_conf, error_code, NUMBER, .def = "429", .gt = TP_GREATER(0),
             .about = "The status of a refusal."),
    TP_FIELD(struct limiting_conf, error_message, STRING, .def = "API rate limit exceeded",
             .about = "The message of a refusal."),
    TP_FIELD(struct limiting_conf, sync_rate, NUMBER, .required = true, .def = "-1",
             .about = "Kept for compatibility: every call is counted in Redis at once, whatever is set here."),
    TP_FIELD(struct limiting_conf, calls_header, STRING, .extension = true, .check = tp_check_header_name,
             .about = "Name of a response header that tells the calls used in the longest limited window."),
    TP_FIELD(struct limiting_conf, flat_windows, BOOLEAN, .extension = true, .tristate = true,
             .about = "Tell resets by months of 30 and years of 365 days, as Kong does; unset: the node's setting."),
    MOVED("redis_host", STRING, "redis.host"),
    MOVED("redis_port", INTEGER, "redis.port"),
    TP_FIELD_ONLY("redis_password", STRING, .alias_of = "redis.password", .nullable_text = true, .secret = true),
    MOVED("redis_username", STRING, "redis.username"),
    MOVED("redis_ssl", BOOLEAN, "redis.ssl"),
    MOVED("redis_ssl_verify", BOOLEAN, "redis.ssl_verify"),
    MOVED("redis_server_name", STRING, "redis.server_name"),
    MOVED("redis_timeout", INTEGER, "redis.timeout"),
    MOVED("redis_database", INTEGER, "redis.database"),
    { 0 },
};

#define PATHS(...) ((const char *const[]){ __VA_ARGS__, NULL })
/* clang-format takes an initialiser in a macro for a block. */
/* clang-format off */
#define REQUIRED_WHEN(field, value, then) \
    { .kind = TP_CHECK_CONDITIONAL, .if_field = (field), .if_match = { .equals = (value) }, \
      .then_field = (then), .then_match = { .required = true } }
/* clang-format on */

/* A longer window must not have the smaller limit: it would make the shorter one pointless. */
static void check_order_of_limits(struct tp_check_context *ctx)
{
    const char *smaller_name = NULL;
    double smaller = 0;

    for (int p = 0; p < TP_PERIODS; p++) {
        char path[32];
        double limit;

        snprintf(path, sizeof(path), "config.%s", tp_period_name((enum tp_period)p));
        if (!tp_check_get_number(ctx, path, &limit))
            continue;
        if (smaller_name && limit < smaller) {
            tp_check_fail(ctx, "config", "The limit for %s(%.1f) cannot be lower than the limit for %s(%.1f)",
                          tp_period_name((enum tp_period)p), limit, smaller_name, smaller);
            return;
        }
        smaller_name = tp_period_name((enum tp_period)p);
        smaller = limit;
    }
}

static void check_sync_rate(struct tp_check_context *ctx)
{
    struct tp_str policy;
    double rate;

    if (!tp_check_get_number(ctx, "config.sync_rate", &rate) || rate == -1)
        return;
    if (!tp_check_get_text(ctx, "config.policy", &policy) || !tp_str_eq(policy, TP_STR("redis")))
        tp_check_fail(ctx, "config", "sync_rate can only be used with the redis policy");
    else if (rate < 0.02)
        tp_check_fail(ctx, "config", "sync_rate must be greater than 0.02, or -1 to disable");
}

const struct tp_check tp_rate_limiting_checks[] = {
    { .kind = TP_CHECK_AT_LEAST_ONE_OF,
      .fields = PATHS("config.second", "config.minute", "config.hour", "config.day", "config.month", "config.year") },
    REQUIRED_WHEN("config.policy", "redis", "config.redis.host"),
    REQUIRED_WHEN("config.policy", "redis", "config.redis.port"),
    REQUIRED_WHEN("config.policy", "redis", "config.redis.timeout"),
    REQUIRED_WHEN("config.limit_by", "header", "config.header_name"),
    REQUIRED_WHEN("config.limit_by", "path", "config.path"),
    { .kind = TP_CHECK_CUSTOM,
      .fields = PATHS("config.second", "config.minute", "config.hour", "config.day", "config.month", "config.year"),
      .fn = check_order_of_limits },
    { .kind = TP_CHECK_CUSTOM, .fields = PATHS("config.sync_rate", "config.policy"), .fn = check_sync_rate },
    { 0 },
};

static enum limit_by limit_by_of(struct tp_str name)
{
    for (int by = BY_CONSUMER; by <= BY_PATH; by++)
        if (tp_str_eq(name, tp_str_from_cstr(limit_by_names[by])))
            return (enum limit_by)by;
    return BY_IP; /* null: nothing but the address is always there */
}

enum tp_err tp_rate_limiting_configure(void *data, struct tp_arena *arena, struct tp_diag *diag)
{
    struct limiting_conf *conf = data;
    const double limits[TP_PERIODS] = { conf->second, conf->minute, conf->hour, conf->day, conf->month, conf->year };

    (void)diag;
    for (int p = 0; p < TP_PERIODS; p++) {
        conf->limit[p] = limits[p];
        if (isnan(limits[p]))
            continue;
        conf->longest = (enum tp_period)p;
        conf->limit_text[p] = tp_arena_printf(arena, "%.14g", limits[p]);
        conf->calls_text[p] = tp_arena_printf(arena, "%.0f", fmin(ceil(limits[p]), 1e15));
    }
    conf->by = limit_by_of(conf->limit_by);
    conf->in_redis = tp_str_eq(conf->policy, TP_STR("redis"));
    if (conf->in_redis)
        tp_rate_limiting_prepare_redis(conf, arena);
    conf->status = conf->error_code >= 400 && conf->error_code <= 599 ? (int)conf->error_code : 0;
    if (isnan(conf->error_code))
        conf->status = 429;
    conf->message_cstr = conf->error_message.data ? tp_arena_dup(arena, conf->error_message).data : NULL;
    return TP_OK;
}
