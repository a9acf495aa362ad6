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

/*
 * Absent text clears: what the client sent under that name never passes. `value` lives as long as the request.
 * Inline, so that the marks of the names are made by the compiler.
 */
static inline void set_or_clear(struct tp_request *req, struct tp_str name, struct tp_str value)
{
    if (value.data)
        tp_header_table_set(&req->headers, name, value);
    else
        tp_header_table_remove(&req->headers, name);
}

static struct tp_str safe(struct tp_request *req, struct tp_str text)
{
    return text.data ? tp_header_safe_value(req->arena, text) : text;
}

static struct tp_str id_text(struct tp_request *req, const struct tp_uuid *id)
{
    char *text = tp_arena_alloc(req->arena, TP_UUID_TEXT_LEN + 1);

    tp_uuid_format(id, text);
    return tp_str_make(text, TP_UUID_TEXT_LEN);
}

static void set_caller(struct tp_request *req, const struct tp_consumer *consumer,
                       const struct tp_credential *credential)
{
    req->consumer = consumer;
    req->credential = credential;
    req->caller_changed = true;
    set_or_clear(req, TP_STR("X-Consumer-ID"), consumer ? id_text(req, &consumer->id) : TP_STR_NULL);
    set_or_clear(req, TP_STR("X-Consumer-Custom-ID"), consumer ? safe(req, consumer->custom_id) : TP_STR_NULL);
    set_or_clear(req, TP_STR("X-Consumer-Username"), consumer ? safe(req, consumer->username) : TP_STR_NULL);
}

void tp_authenticate(struct tp_request *req, const struct tp_consumer *consumer, const struct tp_credential *credential,
                     struct tp_str identifier)
{
    set_caller(req, consumer, credential);
    set_or_clear(req, TP_STR("X-Credential-Identifier"), safe(req, tp_arena_dup(req->arena, identifier)));
    set_or_clear(req, TP_STR("X-Anonymous-Consumer"), TP_STR_NULL);
}

void tp_authenticate_anonymous(struct tp_request *req, const struct tp_consumer *consumer)
{
    set_caller(req, consumer, NULL);
    set_or_clear(req, TP_STR("X-Credential-Identifier"), TP_STR_NULL);
    set_or_clear(req, TP_STR("X-Anonymous-Consumer"), TP_STR("true"));
}
