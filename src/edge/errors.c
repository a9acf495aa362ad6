/*
 * Errors that nginx makes: before the content phase (400, 408, 414, 494 …), while it reads a body (400, 408, 413), and
 * for the upstream (502, 504). They leave in Kong's shape and with its headers; what they stand for decides which.
 */
#include "edge/edge.h"

/*
 * nginx answers 494 as 400 and forgets which it was, but for this: only after a header that was too large it still
 * means to read what the client goes on sending.
 */
static bool was_header_too_large(const ngx_http_request_t *r, ngx_uint_t status)
{
    return status == NGX_HTTP_BAD_REQUEST && r->lingering_close;
}

void tp_edge_error_answer(struct tp_edge_request *er, ngx_uint_t status)
{
    tp_edge_request_start(er);
    er->body = TP_STR_NULL;
    if (status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE && tp_request_body_limit(er->req))
        tp_request_on_body_too_large(er->req);
    else
        tp_request_on_proxy_failed(er->req, was_header_too_large(er->r, status) ? NGX_HTTP_REQUEST_HEADER_TOO_LARGE
                                                                                : (int)status);
    er->action = TP_EDGE_NOTHING; /* the gateway's wish to send is being granted */
}
