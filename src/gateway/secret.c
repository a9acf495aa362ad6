/*
 * Parts of the target that are secrets: a key in the path (tp_request_protect_capture) or in the query
 * (tp_request_protect_query_arg).
 *
 * A capture's text is normalised, the target is as sent: an escape or a doubled slash may make them differ. So the
 * raw text is searched for the letters themselves, and segment by segment decoded; and when neither finds the
 * secret, the whole path is masked. Better a log line that says less.
 */
#include "base/buf.h"
#include "base/url.h"
#include "gateway/request_priv.h"

#define MASK TP_STR("******")

/* `text` with every `part` replaced by `by`; `text` itself when there is none. */
static struct tp_str replace_all(struct tp_arena *arena, struct tp_str text, struct tp_str part, struct tp_str by)
{
    struct tp_str rest = text, out;
    struct tp_buf buf;
    ptrdiff_t at;

    if (part.len == 0 || tp_str_find(text, part) < 0)
        return text;
    tp_buf_init(&buf, 0);
    while ((at = tp_str_find(rest, part)) >= 0) {
        tp_buf_add(&buf, tp_str_head(rest, (size_t)at));
        tp_buf_add(&buf, by);
        rest = tp_str_from(rest, (size_t)at + part.len);
    }
    tp_buf_add(&buf, rest);
    out = tp_arena_dup(arena, tp_buf_str(&buf));
    tp_buf_fini(&buf);
    return out;
}

/* Segments of the path that hold the secret in another spelling. */
static struct tp_str mask_segments(struct tp_arena *arena, struct tp_str text, struct tp_str secret)
{
    struct tp_str rest = text, segment, out = text;
    bool found = false;
    struct tp_buf buf;

    tp_buf_init(&buf, 0);
    while (tp_str_next(&rest, '/', &segment)) {
        bool holds = tp_str_find(tp_url_decode(arena, segment, false), secret) >= 0;

        if (segment.data != text.data)
            tp_buf_add_char(&buf, '/');
        tp_buf_add(&buf, holds ? MASK : segment);
        found = found || holds;
    }
    if (found)
        out = tp_arena_dup(arena, tp_buf_str(&buf));
    tp_buf_fini(&buf);
    return out;
}

static struct tp_str mask_one(struct tp_arena *arena, struct tp_str text, struct tp_str secret)
{
    struct tp_str decoded = tp_url_decode(arena, secret, false); /* "%2F" in a capture stays encoded */
    struct tp_str out = replace_all(arena, text, secret, MASK);

    if (tp_str_chr(out, '%') < 0)
        return out;
    out = replace_all(arena, out, tp_path_encode(arena, secret), MASK);
    return mask_segments(arena, out, decoded);
}

struct tp_str tp_request_masked(const struct tp_request *req, struct tp_arena *arena, struct tp_str text)
{
    for (const struct tp_secret *secret = req->secrets; secret; secret = secret->next) {
        if (secret->text.len == 0)
            continue;
        text = mask_one(arena, text, secret->text);
    }
    return text;
}

/* The target for logs again, from what is masked by now. */
static void join_target(struct tp_request *req)
{
    struct tp_str path = req->masked_path.data ? req->masked_path : req->raw_path;
    struct tp_str query = req->masked_query.data ? req->masked_query : req->raw_query;

    req->log_target = path;
    if (query.data)
        req->log_target = tp_arena_printf(req->arena, "%.*s?%.*s", TP_STR_ARG(path),
                                          TP_STR_ARG(tp_request_masked(req, req->arena, query)));
}

static void mask_path(struct tp_request *req)
{
    struct tp_str path = tp_request_masked(req, req->arena, req->raw_path);

    if (path.data == req->raw_path.data) /* not found in any spelling */
        path = tp_arena_concat(req->arena, TP_STR("/"), MASK);
    req->masked_path = path;
    join_target(req);
}

/* --- Hiding from the upstream --------------------------------------------------------------------- */

/* Whether byte `at` of the normalised path is hidden: in a capture, or the slash before one. */
static bool is_hidden(const struct tp_request *req, size_t at)
{
    for (const struct tp_secret *s = req->secrets; s; s = s->next) {
        size_t start = (size_t)(s->text.data - req->path.data), end = start + s->text.len;

        if (start > 0 && req->path.data[start - 1] == '/')
            start--;
        if (s->hidden && at >= start && at < end)
            return true;
    }
    return false;
}

/* The upstream's path again, from what is left. */
static void cut_hidden(struct tp_request *req)
{
    const struct tp_route *route = req->match.route;
    char *text = tp_arena_alloc(req->arena, req->path.len + 2);
    size_t len = 0, matched = 0;
    struct tp_str path;

    for (size_t i = 0; i < req->path.len; i++) {
        if (is_hidden(req, i))
            continue;
        text[len++] = req->path.data[i];
        matched += i < req->match.matched_path.len;
    }
    if (len == 0)
        text[len++] = '/';
    path = tp_str_make(text, len);
    if (!req->route_info->grpc_service)
        path = tp_path_join(req->arena, route->service ? route->service->path : TP_STR("/"), path,
                            tp_str_head(path, matched), route->strip_path,
                            route->path_handling_v1 && req->gateway->settings.flavor == TP_ROUTER_TRADITIONAL);
    req->upstream_path = tp_path_encode(req->arena, path);
}

static void hide_capture(struct tp_request *req, struct tp_str text)
{
    struct tp_str encoded = tp_path_encode(req->arena, text);

    if (req->path_replaced) { /* a plugin has written the path: only the letters can be found */
        struct tp_str with_slash = tp_arena_concat(req->arena, TP_STR("/"), encoded);

        req->upstream_path = replace_all(req->arena, req->upstream_path, with_slash, TP_STR(""));
        req->upstream_path = replace_all(req->arena, req->upstream_path, encoded, TP_STR(""));
        if (req->upstream_path.len == 0)
            req->upstream_path = TP_STR("/");
    } else {
        cut_hidden(req);
    }
}

void tp_request_protect_capture(struct tp_request *req, struct tp_str name, bool hide)
{
    struct tp_secret *secret = req->secrets;
    struct tp_str text;

    if (!tp_request_capture(req, name, &text))
        return;
    while (secret && secret->text.data != text.data)
        secret = secret->next;
    if (!secret) {
        secret = tp_arena_new_type(req->arena, struct tp_secret);
        secret->text = text;
        secret->next = req->secrets;
        req->secrets = secret;
        if (text.len)
            mask_path(req);
    }
    secret->hidden = secret->hidden || (hide && text.len > 0);
    if (secret->hidden)
        hide_capture(req, text);
}

/* --- The query ------------------------------------------------------------------------------------ */

/* The value of "name=value" when the name, decoded, is the one meant. */
static bool is_argument(struct tp_arena *arena, struct tp_str argument, struct tp_str name, struct tp_str *value)
{
    ptrdiff_t equals = tp_str_chr(argument, '=');
    struct tp_str its_name;

    if (equals < 0 || (size_t)equals < name.len)
        return false;
    its_name = tp_str_head(argument, (size_t)equals);
    *value = tp_str_from(argument, (size_t)equals + 1);
    return value->len > 0 && tp_str_eq_nocase(tp_url_decode(arena, its_name, true), name);
}

void tp_request_protect_query_arg(struct tp_request *req, struct tp_str name)
{
    struct tp_str query = req->masked_query.data ? req->masked_query : req->raw_query, rest = query, argument, value;
    bool found = false;
    struct tp_buf buf;

    if (query.len <= name.len)
        return;
    tp_buf_init(&buf, 0);
    while (tp_str_next(&rest, '&', &argument)) {
        if (argument.data != query.data)
            tp_buf_add_char(&buf, '&');
        if (is_argument(req->arena, argument, name, &value)) {
            found = true;
            tp_buf_add(&buf, tp_str_head(argument, argument.len - value.len));
            tp_buf_add(&buf, MASK);
        } else {
            tp_buf_add(&buf, argument);
        }
    }
    if (found) {
        req->masked_query = tp_arena_dup(req->arena, tp_buf_str(&buf));
        join_target(req);
    }
    tp_buf_fini(&buf);
}

/* Without a route nobody has said which arguments are secret: all of them may be. */
static bool is_unknown_query(const struct tp_request *req)
{
    return !req->match.route && req->raw_query.len > 0;
}

struct tp_str tp_request_log_target(const struct tp_request *req)
{
    if (is_unknown_query(req))
        return tp_arena_concat(req->arena, req->raw_path, TP_STR("?******"));
    return req->log_target.data ? req->log_target : req->input.target;
}
