/*
 * Error bodies: what type the client wants, and the exact bytes (proxying.md §5).
 */
#include "gateway/error_response.h"

#include "base/buf.h"
#include "gateway/request.h"

#include <stdio.h>
#include <stdlib.h>

enum { HTML, JSON, XML, PLAIN }; /* the order of settings.error_template */

static const struct tp_str content_types[] = {
    [HTML] = { "text/html; charset=utf-8", 24 },
    [JSON] = { "application/json; charset=utf-8", 31 },
    [XML] = { "application/xml; charset=utf-8", 30 },
    [PLAIN] = { "text/plain; charset=utf-8", 25 },
};

/* Two %s each: the message, the request id. */
static const char *const templates[] = {
    [HTML] = "<!doctype html>\n<html>\n  <head>\n    <meta charset=\"utf-8\">\n    <title>Error</title>\n  </head>\n"
             "  <body>\n    <h1>Error</h1>\n    <p>%s.</p>\n    <p>request_id: %s</p>\n  </body>\n</html>\n",
    [JSON] = "{\n  \"message\":\"%s\",\n  \"request_id\":\"%s\"\n}",
    [XML] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n  <message>%s</message>\n"
            "  <requestid>%s</requestid>\n</error>\n",
    [PLAIN] = "%s\nrequest_id: %s\n",
};

static const struct {
    int status;
    const char *text;
} texts[] = {
    { 400, "Bad request" },
    { 401, "Unauthorized" },
    { 402, "Payment required" },
    { 403, "Forbidden" },
    { 404, "Not found" },
    { 405, "Method not allowed" },
    { 406, "Not acceptable" },
    { 407, "Proxy authentication required" },
    { 408, "Request timeout" },
    { 409, "Conflict" },
    { 410, "Gone" },
    { 411, "Length required" },
    { 412, "Precondition failed" },
    { 413, "Payload too large" },
    { 414, "URI too long" },
    { 415, "Unsupported media type" },
    { 416, "Range not satisfiable" },
    { 417, "Expectation failed" },
    { 418, "I'm a teapot" },
    { 421, "Misdirected request" },
    { 422, "Unprocessable entity" },
    { 423, "Locked" },
    { 424, "Failed dependency" },
    { 425, "Too early" },
    { 426, "Upgrade required" },
    { 428, "Precondition required" },
    { 429, "Too many requests" },
    { 431, "Request header fields too large" },
    { 451, "Unavailable for legal reasons" },
    { 494, "Request header or cookie too large" },
    { 500, "An unexpected error occurred" },
    { 501, "Not implemented" },
    { 502, "An invalid response was received from the upstream server" },
    { 503, "The upstream server is currently unavailable" },
    { 504, "The upstream server is timing out" },
    { 505, "HTTP version not supported" },
    { 506, "Variant also negotiates" },
    { 507, "Insufficient storage" },
    { 508, "Loop detected" },
    { 510, "Not extended" },
    { 511, "Network authentication required" },
};

const char *tp_error_text(int status)
{
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].status == status)
            return texts[i].text;
    }
    return NULL;
}

/* --- Errors that keep the server's own page --------------------------------------------------------- */

static const struct {
    int status;
    const char *title;
} server_pages[] = {
    { 421, "421 Misdirected Request" },
    { 501, "501 Not Implemented" },
    { 505, "505 HTTP Version Not Supported" },
};

/* Kong gives a page of its own only to the errors that it lists; these few are left as nginx writes them. */
static bool make_server_page(struct tp_arena *arena, int status, struct tp_error_body *out)
{
    for (size_t i = 0; i < sizeof(server_pages) / sizeof(server_pages[0]); i++) {
        const char *title = server_pages[i].title;

        if (server_pages[i].status != status)
            continue;
        out->content_type = TP_STR("text/html; charset=UTF-8");
        out->body = tp_arena_printf(
            arena,
            "<html>\r\n<head><title>%s</title></head>\r\n<body>\r\n<center><h1>%s</h1></center>\r\n"
            "</body>\r\n</html>\r\n",
            title, title);
        return true;
    }
    return false;
}

/* --- Which type --------------------------------------------------------------------------------- */

static bool is_type(struct tp_str type)
{
    ptrdiff_t slash = tp_str_chr(type, '/');

    return slash > 0 && (size_t)slash + 1 < type.len;
}

static int type_of(struct tp_str type)
{
    if (tp_str_eq_nocase(type, TP_STR("text/html")) || tp_str_eq_nocase(type, TP_STR("application/xhtml+xml")))
        return tp_str_eq_nocase(type, TP_STR("text/html")) ? HTML : JSON;
    if (tp_str_eq_nocase(type, TP_STR("application/xml")))
        return XML;
    if (tp_str_eq_nocase(type, TP_STR("text/plain")) || tp_str_eq_nocase(type, TP_STR("text/*")))
        return PLAIN;
    return JSON; /* asterisks, JSON, and everything unknown */
}

/* "q=0.5" among the parameters; 1 when absent. */
static double quality(struct tp_str parameters)
{
    struct tp_str item;
    double q;

    while (parameters.len && tp_str_next(&parameters, ';', &item)) {
        item = tp_str_trim(item);
        if (!tp_str_starts_nocase(item, TP_STR("q=")))
            continue;
        return tp_str_to_double(tp_str_from(item, 2), &q) ? q : 0;
    }
    return 1;
}

/* The highest q wins, the first on ties. */
static int negotiate(struct tp_str accept)
{
    double best = 0;
    int type = JSON;
    struct tp_str item, name;

    while (accept.len && tp_str_next(&accept, ',', &item)) {
        struct tp_str parameters = item;
        double q;

        if (!tp_str_next(&parameters, ';', &name))
            continue;
        name = tp_str_trim(name);
        q = parameters.data ? quality(parameters) : 1;
        if (is_type(name) && q > best) {
            best = q;
            type = type_of(name);
        }
    }
    return type;
}

/* --- Bodies ------------------------------------------------------------------------------------- */

/* The template with its first two %s filled; an operator's template is never a format. */
static struct tp_str fill(struct tp_arena *arena, struct tp_str format, struct tp_str message, struct tp_str id)
{
    const struct tp_str values[] = { message, id };
    struct tp_str rest = format, out;
    struct tp_buf buf;

    tp_buf_init(&buf, 0);
    for (size_t i = 0; i < 2; i++) {
        ptrdiff_t at = tp_str_find(rest, TP_STR("%s"));

        if (at < 0)
            break;
        tp_buf_add(&buf, tp_str_head(rest, (size_t)at));
        tp_buf_add(&buf, values[i]);
        rest = tp_str_from(rest, (size_t)at + 2);
    }
    tp_buf_add(&buf, rest);
    out = tp_arena_dup(arena, tp_buf_str(&buf));
    tp_buf_fini(&buf);
    return out;
}

static struct tp_str template_of(const struct tp_gateway_settings *settings, int type)
{
    return settings->error_template[type].data ? settings->error_template[type] : tp_str_from_cstr(templates[type]);
}

void tp_error_body_make(struct tp_arena *arena, const struct tp_gateway_settings *settings, int status,
                        const char *message, struct tp_str accept, struct tp_str content_type, bool server_level,
                        struct tp_str request_id, struct tp_error_body *out)
{
    struct tp_str wish = accept;
    struct tp_str text;
    int type;

    if (server_level && !message && make_server_page(arena, status, out))
        return;
    if (!message)
        message = tp_error_text(status);
    text = message ? tp_str_from_cstr(message)
                   : tp_arena_printf(arena, "The upstream server responded with %d", status);
    if (server_level && !wish.data)
        wish = content_type.data                   ? content_type
               : settings->error_default_type.data ? settings->error_default_type
                                                   : TP_STR("text/plain");
    if (server_level && tp_str_starts(wish, TP_STR("application/grpc"))) {
        /* Kong's own page for gRPC types over HTTP/1: compact, without request id. */
        out->content_type = content_types[JSON];
        out->body = tp_arena_printf(arena, "{\"message\":\"%.*s\"}", TP_STR_ARG(text));
        return;
    }
    if (!server_level && tp_str_starts(wish, TP_STR("application/grpc"))) {
        out->content_type = TP_STR("application/grpc");
        out->body = TP_STR("");
        return;
    }
    type = negotiate(wish);
    out->content_type = content_types[type];
    out->body = fill(arena, template_of(settings, type), text, request_id);
}

/* --- gRPC (proxying.md §5.1) ---------------------------------------------------------------------- */

struct tp_grpc_error tp_grpc_error_of(int status)
{
    switch (status) {
    case 401: return (struct tp_grpc_error){ "16", "Unauthenticated" };
    case 403: return (struct tp_grpc_error){ "7", "PermissionDenied" };
    case 404: return (struct tp_grpc_error){ "5", "NotFound" };
    case 409: return (struct tp_grpc_error){ "6", "AlreadyExists" };
    case 429: return (struct tp_grpc_error){ "8", "ResourceExhausted" };
    case 499: return (struct tp_grpc_error){ "1", "Canceled" };
    case 501: return (struct tp_grpc_error){ "12", "Unimplemented" };
    case 503: return (struct tp_grpc_error){ "14", "Unavailable" };
    case 504: return (struct tp_grpc_error){ "4", "DeadlineExceeded" };
    }
    switch (status / 100) {
    case 2: return (struct tp_grpc_error){ "0", "OK" };
    case 4: return (struct tp_grpc_error){ "3", "InvalidArgument" };
    case 5: return (struct tp_grpc_error){ "13", "Internal" };
    default: return (struct tp_grpc_error){ "2", "Unknown" };
    }
}
