/* What plugins can read of a request (turnpike/request.h), its notes and its log lines. */
#include "gateway/request_priv.h"

#include <stdarg.h>
#include <stdio.h>

struct tp_arena *tp_request_arena(struct tp_request *req)
{
    return req->arena;
}

struct tp_str tp_request_id(const struct tp_request *req)
{
    return tp_str_make(req->id, 32);
}

struct tp_str tp_request_method(const struct tp_request *req)
{
    return req->input.method;
}

struct tp_str tp_request_path(const struct tp_request *req)
{
    return req->path;
}

struct tp_str tp_request_raw_path(const struct tp_request *req)
{
    return req->raw_path;
}

struct tp_str tp_request_raw_query(const struct tp_request *req)
{
    return req->raw_query;
}

struct tp_str tp_request_scheme(const struct tp_request *req)
{
    return req->input.tls ? TP_STR("https") : TP_STR("http");
}

struct tp_str tp_request_host(const struct tp_request *req)
{
    return req->host;
}

uint16_t tp_request_port(const struct tp_request *req)
{
    return req->port;
}

struct tp_str tp_request_client_ip(const struct tp_request *req)
{
    return req->input.client_ip;
}

int tp_request_http_version(const struct tp_request *req)
{
    return req->input.http_version;
}

int64_t tp_request_started_ms(const struct tp_request *req)
{
    return req->input.started_ms;
}

int64_t tp_request_now_ms(const struct tp_request *req)
{
    return req->gateway->engine->ops->now_ms(req->gateway->engine);
}

int64_t tp_request_content_length(const struct tp_request *req)
{
    return req->input.content_length;
}

/* --- The match ---------------------------------------------------------------------------------- */

const struct tp_uuid *tp_request_route_id(const struct tp_request *req)
{
    return req->match.route ? &req->match.route->id : NULL;
}

const struct tp_uuid *tp_request_service_id(const struct tp_request *req)
{
    return req->match.route && req->match.route->service ? &req->match.route->service->id : NULL;
}

size_t tp_request_capture_count(const struct tp_request *req)
{
    return req->match.capture_count;
}

bool tp_request_capture_at(const struct tp_request *req, size_t index, struct tp_str *out)
{
    if (index >= req->match.capture_count || !req->match.captures[index].data)
        return false;
    *out = req->match.captures[index];
    return true;
}

bool tp_request_capture(const struct tp_request *req, struct tp_str name, struct tp_str *out)
{
    for (size_t i = 1; i < req->match.capture_count; i++) {
        if (req->match.names[i].data && req->match.captures[i].data && tp_str_eq(req->match.names[i], name)) {
            *out = req->match.captures[i];
            return true;
        }
    }
    return false;
}

bool tp_request_client_header_next(const struct tp_request *req, size_t *i, struct tp_header *out)
{
    if (*i >= req->input.header_count)
        return false;
    *out = req->input.headers[(*i)++];
    return true;
}

/* --- Notes and log ------------------------------------------------------------------------------ */

void *tp_request_get_note(const struct tp_request *req, const char *key)
{
    for (const struct tp_note *note = req->notes; note; note = note->next) {
        if (strcmp(note->key, key) == 0)
            return note->value;
    }
    return NULL;
}

void tp_request_set_note(struct tp_request *req, const char *key, void *value)
{
    struct tp_note *note = req->notes;

    while (note && strcmp(note->key, key) != 0)
        note = note->next;
    if (!note) {
        note = tp_arena_new_type(req->arena, struct tp_note);
        note->key = tp_arena_dup(req->arena, tp_str_from_cstr(key)).data;
        note->next = req->notes;
        req->notes = note;
    }
    note->value = value;
}

void tp_request_log(struct tp_request *req, enum tp_log_level level, const char *format, ...)
{
    struct tp_engine *engine = req->gateway->engine;
    char line[2048];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(line, sizeof(line) - 64, format, args);
    va_end(args);
    if (len < 0)
        return;
    if ((size_t)len >= sizeof(line) - 64)
        len = sizeof(line) - 65;
    for (int i = 0; i < len; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = ' '; /* a peer's text must not make lines of its own */
    }
    len += snprintf(line + len, 64, ", request_id: \"%s\"", req->id);
    engine->ops->log(engine, req, level, tp_str_make(line, (size_t)len));
}
