/* Who is calling: tp_authenticate and its headers (proxying.md §11). */
#include "gateway/request_priv.h"

const struct tp_consumer *tp_request_consumer(const struct tp_request *req)
{
    return req->consumer;
}

const struct tp_credential *tp_request_credential(const struct tp_request *req)
{
    return req->credential;
}

/* Absent text clears: what the client sent under that name never passes. */
static void set_or_clear(struct tp_request *req, struct tp_str name, struct tp_str value)
{
    if (value.data)
        tp_request_set_header(req, name, value);
    else
        tp_request_clear_header(req, name);
}

static void set_caller(struct tp_request *req, const struct tp_consumer *consumer,
                       const struct tp_credential *credential)
{
    char id[TP_UUID_TEXT_LEN + 1];

    req->consumer = consumer;
    req->credential = credential;
    req->caller_changed = true;
    if (consumer)
        tp_uuid_format(&consumer->id, id);
    set_or_clear(req, TP_STR("X-Consumer-ID"), consumer ? tp_str_make(id, TP_UUID_TEXT_LEN) : TP_STR_NULL);
    set_or_clear(req, TP_STR("X-Consumer-Custom-ID"), consumer ? consumer->custom_id : TP_STR_NULL);
    set_or_clear(req, TP_STR("X-Consumer-Username"), consumer ? consumer->username : TP_STR_NULL);
}

void tp_authenticate(struct tp_request *req, const struct tp_consumer *consumer,
                     const struct tp_credential *credential, struct tp_str identifier)
{
    set_caller(req, consumer, credential);
    set_or_clear(req, TP_STR("X-Credential-Identifier"), identifier);
    tp_request_clear_header(req, TP_STR("X-Anonymous-Consumer"));
}

void tp_authenticate_anonymous(struct tp_request *req, const struct tp_consumer *consumer)
{
    set_caller(req, consumer, NULL);
    tp_request_clear_header(req, TP_STR("X-Credential-Identifier"));
    tp_request_set_header(req, TP_STR("X-Anonymous-Consumer"), TP_STR("true"));
}
