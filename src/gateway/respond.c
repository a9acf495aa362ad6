/* Answers that are made here: errors by negotiation, plugins' own bodies, the page for a failed upstream. */
#include "gateway/error_response.h"
#include "gateway/request_priv.h"

#define STATUS_HEADERS_TOO_LARGE 494 /* nginx's own number: clients see 400 */

static struct tp_str client_header(const struct tp_request *req, struct tp_str name)
{
    struct tp_header h;

    for (size_t i = 0; tp_request_client_header_next(req, &i, &h);) {
        if (tp_header_name_eq(h.name, name))
            return h.value;
    }
    return TP_STR_NULL;
}

/* Over HTTP/1 a gRPC content type is only a content type. */
static bool is_grpc(const struct tp_request *req)
{
    return req->input.http_version == 20 &&
           tp_str_starts(client_header(req, TP_STR("Content-Type")), TP_STR("application/grpc"));
}

/* Start the answer anew: what an earlier attempt left in it goes. */
static void begin_answer(struct tp_request *req, int status, struct tp_str content_type, struct tp_str body)
{
    req->responded = true;
    req->answer.status = status == STATUS_HEADERS_TOO_LARGE ? 400 : status;
    req->answer.header_count = 0;
    req->answer_body = body;
    if (content_type.data)
        tp_answer_add(req, TP_STR("Content-Type"), content_type);
    if (status >= 200 && status != 204 && status != 304)
        tp_answer_add(req, TP_STR("Content-Length"), tp_arena_decimal(req->arena, body.len));
}

static void respond_grpc(struct tp_request *req, int status, const char *message)
{
    struct tp_grpc_error error = tp_grpc_error_of(status);

    begin_answer(req, status, TP_STR("application/grpc"), TP_STR(""));
    tp_answer_add(req, TP_STR("grpc-status"), tp_str_from_cstr(error.code));
    tp_answer_add(req, TP_STR("grpc-message"),
                  tp_header_safe_value(req->arena, tp_str_from_cstr(message ? message : error.message)));
}

static void respond_error(struct tp_request *req, int status, const char *message, bool server_level)
{
    struct tp_error_body page;

    if (is_grpc(req)) {
        respond_grpc(req, status, NULL); /* errors lose their own text there, as in Kong */
        return;
    }
    tp_error_body_make(req->arena, &req->gateway->settings, status, message, client_header(req, TP_STR("Accept")),
                       client_header(req, TP_STR("Content-Type")), server_level, tp_request_id(req), &page);
    begin_answer(req, status, page.content_type, page.body);
}

enum tp_verdict tp_respond(struct tp_request *req, int status, const char *message)
{
    respond_error(req, status, message, false);
    return TP_RESPONDED;
}

enum tp_verdict tp_respond_raw(struct tp_request *req, int status, const char *content_type, struct tp_str body)
{
    struct tp_str type = tp_header_safe_value(req->arena, tp_str_from_cstr(content_type));

    begin_answer(req, status, tp_arena_dup(req->arena, type), tp_arena_dup(req->arena, body.data ? body : TP_STR("")));
    return TP_RESPONDED;
}

void tp_respond_failed(struct tp_request *req)
{
    respond_error(req, 500, NULL, false);
}

void tp_respond_upstream_failed(struct tp_request *req, int status)
{
    respond_error(req, status, NULL, true);
}
