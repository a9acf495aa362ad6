/* Look-ups in the node's read model: a view lives inside one call, results are copies (engine-room.md, "Views"). */
#include "gateway/request_priv.h"

static enum tp_err begin(struct tp_request *req, struct tp_view **view)
{
    return req->gateway->read_model ? tp_view_begin(req->gateway->read_model, view) : TP_ERR_UNAVAILABLE;
}

enum tp_err tp_find_credential(struct tp_request *req, const char *kind, struct tp_str key,
                               const struct tp_credential **out)
{
    struct tp_credential *credential = tp_arena_new_type(req->arena, struct tp_credential);
    struct tp_view *view;
    enum tp_err err;

    err = begin(req, &view);
    if (err)
        return err;
    err = tp_view_credential(view, tp_str_from_cstr(kind), key, req->arena, credential);
    tp_view_end(view);
    if (err)
        return err;
    if (credential->expires_at && credential->expires_at <= tp_request_now_ms(req) / 1000)
        return TP_ERR_NOT_FOUND;
    *out = credential;
    return TP_OK;
}

enum tp_err tp_find_consumer(struct tp_request *req, const struct tp_uuid *id, const struct tp_consumer **out)
{
    struct tp_consumer *consumer = tp_arena_new_type(req->arena, struct tp_consumer);
    struct tp_view *view;
    enum tp_err err;

    err = begin(req, &view);
    if (err)
        return err;
    err = tp_view_consumer(view, id, req->arena, consumer);
    tp_view_end(view);
    if (!err)
        *out = consumer;
    return err;
}

enum tp_err tp_find_consumer_named(struct tp_request *req, struct tp_str id_or_username,
                                   const struct tp_consumer **out)
{
    struct tp_consumer *consumer = tp_arena_new_type(req->arena, struct tp_consumer);
    struct tp_view *view;
    struct tp_uuid id;
    enum tp_err err;

    err = begin(req, &view);
    if (err)
        return err;
    err = TP_ERR_NOT_FOUND;
    if (tp_uuid_parse(id_or_username, &id))
        err = tp_view_consumer(view, &id, req->arena, consumer);
    if (err == TP_ERR_NOT_FOUND)
        err = tp_view_consumer_by_username(view, id_or_username, req->arena, consumer);
    tp_view_end(view);
    if (!err)
        *out = consumer;
    return err;
}
