/*
 * The policy `redis`. The time is Redis' own, so that nodes with different clocks agree on windows. A refused call
 * counts in none of them.
 */
#include "in_redis.h"

#include <openssl/evp.h>
#include <stdio.h>

/*
 * KEYS[1]: the identity's hash. ARGV: pairs of a period's letter and its limit in calls. Answers the time, whether
 * the call is refused, and each period's count.
 *
 * A field holds "window:count". A window just ahead of ours is counted in: after a fail-over the new server's clock
 * may be a little late.
 */
static const char script[] =
    "if redis.replicate_commands then redis.replicate_commands() end\n"
    "local now = tonumber(redis.call('TIME')[1])\n"
    "local function civil()\n"
    "  local z = math.floor(now / 86400) + 719468\n"
    "  local era = math.floor(z / 146097)\n"
    "  local doe = z - era * 146097\n"
    "  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524)"
    " - math.floor(doe / 146096)) / 365)\n"
    "  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))\n"
    "  local mp = math.floor((5 * doy + 2) / 153)\n"
    "  local m = mp < 10 and mp + 3 or mp - 9\n"
    "  return yoe + era * 400 + (m <= 2 and 1 or 0), m\n"
    "end\n"
    "local year, month = civil()\n"
    "local number = { s = now, m = math.floor(now / 60), h = math.floor(now / 3600), d = math.floor(now / 86400),\n"
    "                 M = year * 12 + month - 1, y = year }\n"
    "local keep = { s = 2, m = 61, h = 3601, d = 86401, M = 2678401, y = 31622401 }\n"
    "local refused, ttl, counts, windows = 0, 0, {}, {}\n"
    "for i = 1, #ARGV, 2 do\n"
    "  local p, count, window = ARGV[i], 0, number[ARGV[i]]\n"
    "  local value = redis.call('HGET', KEYS[1], p)\n"
    "  if value then\n"
    "    local w, c = string.match(value, '^(%d+):(%d+)$')\n"
    "    w = tonumber(w)\n"
    "    if w == window or w == window + 1 then window, count = w, tonumber(c) end\n"
    "  end\n"
    "  if count >= tonumber(ARGV[i + 1]) then refused = 1 end\n"
    "  counts[#counts + 1] = count\n"
    "  windows[#windows + 1] = window\n"
    "  ttl = math.max(ttl, keep[p])\n"
    "end\n"
    "if refused == 0 then\n"
    "  for i = 1, #counts do\n"
    "    counts[i] = counts[i] + 1\n"
    "    redis.call('HSET', KEYS[1], ARGV[2 * i - 1], string.format('%d:%d', windows[i], counts[i]))\n"
    "  end\n"
    "  redis.call('EXPIRE', KEYS[1], ttl)\n"
    "end\n"
    "local answer = { now, refused }\n"
    "for i = 1, #counts do answer[#answer + 1] = counts[i] end\n"
    "return answer\n";

static const char *const letters[TP_PERIODS] = {
    [TP_SECOND] = "s", [TP_MINUTE] = "m", [TP_HOUR] = "h", [TP_DAY] = "d", [TP_MONTH] = "M", [TP_YEAR] = "y",
};

#define ARGS_MAX (4 + 2 * TP_PERIODS)
#define TIME_MAX_S INT64_C(253402300799) /* the end of the year 9999 */
#define PLAIN_IDENTITY_MAX 64            /* longer ones stand in the key as a digest */

struct call {
    const struct limiting_conf *conf;
    const struct tp_quota_key *key;
    bool flat;
    bool whole; /* the script itself was sent, not its digest */
    counted_fn fn;
    struct tp_str argv[ARGS_MAX];
    size_t argc;
};

static struct tp_str hash_key(struct tp_request *req, const struct tp_quota_key *key)
{
    char instance[TP_UUID_TEXT_LEN + 1], digest[TP_UUID_TEXT_LEN + 1];
    struct tp_str identity = key->identity;

    tp_uuid_format(&key->instance, instance);
    if (!identity.data) {
        tp_uuid_format(&key->id, digest);
        identity = tp_str_make(digest, TP_UUID_TEXT_LEN);
    }
    if (identity.len > PLAIN_IDENTITY_MAX) {
        struct tp_uuid id = tp_uuid_v5(&key->instance, identity);

        tp_uuid_format(&id, digest);
        identity = tp_str_from_cstr(digest);
    }
    return tp_arena_printf(tp_request_arena(req), "turnpike:rate:%s:%.*s", instance, TP_STR_ARG(identity));
}

static struct tp_str script_digest(struct tp_arena *arena)
{
    unsigned char sha1[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    char *text = tp_arena_alloc(arena, 2 * EVP_MAX_MD_SIZE + 1);

    if (!EVP_Digest(script, sizeof(script) - 1, sha1, &len, EVP_sha1(), NULL))
        len = 0; /* then Redis answers NOSCRIPT and gets the script */
    for (unsigned i = 0; i < len; i++)
        snprintf(text + 2 * (size_t)i, 3, "%02x", sha1[i]);
    return tp_str_make(text, 2 * (size_t)len);
}

void tp_rate_limiting_prepare_redis(struct limiting_conf *conf, struct tp_arena *arena)
{
    conf->script_digest = script_digest(arena);
}

/* The array that the script answers, made into *state. False: it is something else. */
static bool read_answer(const struct call *call, const struct tp_redis_reply *reply, struct tp_quota_state *state)
{
    size_t at = 2;

    if (reply->type != TP_REDIS_ARRAY || reply->count < 2)
        return false;
    for (size_t i = 0; i < reply->count; i++)
        if (reply->items[i].type != TP_REDIS_INTEGER)
            return false;
    if (reply->items[0].integer < 0 || reply->items[0].integer > TIME_MAX_S)
        return false;
    memcpy(state->limit, call->conf->limit, sizeof(state->limit));
    state->refused = reply->items[1].integer != 0;
    for (int p = 0; p < TP_PERIODS; p++) {
        if (!call->conf->limit_text[p].data)
            continue;
        if (at == reply->count || reply->items[at].integer < 0)
            return false;
        state->window[p] = tp_window_at((enum tp_period)p, reply->items[0].integer, call->flat);
        state->used[p] = (uint64_t)reply->items[at++].integer;
        if (state->refused && (double)state->used[p] >= state->limit[p])
            state->refused_by = (enum tp_period)p;
    }
    return true;
}

static enum tp_verdict send_call(struct tp_request *req, struct call *call, bool whole);

static enum tp_verdict on_reply(struct tp_request *req, const void *conf, void *data)
{
    struct call *call = data;
    const struct tp_redis_reply *reply;
    struct tp_quota_state state;
    enum tp_err err = tp_redis_result(req, &reply);

    memset(&state, 0, sizeof(state));
    if (!err && reply->type == TP_REDIS_ERROR && !call->whole && tp_str_starts(reply->text, TP_STR("NOSCRIPT")))
        return send_call(req, call, true);
    if (!err && !read_answer(call, reply, &state)) {
        tp_request_log(req, TP_LOG_ERROR, "rate-limiting: Redis answered \"%.*s\"",
                       TP_STR_ARG(reply->type == TP_REDIS_ERROR ? tp_str_head(reply->text, 200) : TP_STR("nonsense")));
        err = TP_ERR_UNAVAILABLE;
    }
    return call->fn(req, conf, call->key, err, err ? NULL : &state);
}

static enum tp_verdict send_call(struct tp_request *req, struct call *call, bool whole)
{
    call->whole = whole;
    call->argv[0] = whole ? TP_STR("EVAL") : TP_STR("EVALSHA");
    call->argv[1] = whole ? TP_STR(script) : call->conf->script_digest;
    return tp_redis_call(req, &call->conf->redis, call->argv, call->argc, on_reply, call);
}

enum tp_verdict tp_rate_limiting_in_redis(struct tp_request *req, const struct limiting_conf *conf,
                                          const struct tp_quota_key *key, bool flat, counted_fn fn)
{
    struct call *call = tp_arena_new_type(tp_request_arena(req), struct call);

    call->conf = conf;
    call->key = key;
    call->flat = flat;
    call->fn = fn;
    call->argv[2] = TP_STR("1");
    call->argv[3] = hash_key(req, key);
    call->argc = 4;
    for (int p = 0; p < TP_PERIODS; p++) {
        if (!conf->limit_text[p].data)
            continue;
        call->argv[call->argc++] = tp_str_from_cstr(letters[p]);
        call->argv[call->argc++] = conf->calls_text[p];
    }
    return send_call(req, call, false);
}
