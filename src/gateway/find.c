/* Look-ups in the node's read model: a view lives inside one call, results are copies (engine-room.md, "Views"). */
#include "gateway/request_priv.h"

static enum tp_err begin(struct tp_request *req, struct tp_view **view)
{
    return req->gateway->read_model ? tp_view_begin(req->gateway->read_model, view) : TP_ERR_UNAVAILABLE;
}

static enum tp_err look_up_credential(struct tp_request *req, struct tp_view *view, const char *kind, struct tp_str key,
                                      const struct tp_credential **out)
{
    struct tp_credential *credential = tp_arena_alloc(req->arena, sizeof(*credential));
    enum tp_err err = tp_view_credential(view, tp_str_from_cstr(kind), key, req->arena, credential);

    if (err)
        return err;
    if (credential->expires_at && credential->expires_at <= tp_request_now_ms(req) / 1000)
        return TP_ERR_NOT_FOUND;
    *out = credential;
    return TP_OK;
}

static enum tp_err look_up_consumer(struct tp_request *req, struct tp_view *view, const struct tp_uuid *id,
                                    const struct tp_consumer **out)
{
    struct tp_consumer *consumer = tp_arena_alloc(req->arena, sizeof(*consumer));
    bool has_plugins;
    enum tp_err err = tp_view_consumer(view, id, req->arena, consumer, &has_plugins);

    if (err)
        return err;
    if (!has_plugins)
        req->without_rows = consumer;
    *out = consumer;
    return TP_OK;
}

enum tp_err tp_find_credential(struct tp_request *req, const char *kind, struct tp_str key,
                               const struct tp_credential **out)
{
    struct tp_view *view;
    enum tp_err err = begin(req, &view);

    if (err)
        return err;
    err = look_up_credential(req, view, kind, key, out);
    tp_view_end(view);
    return err;
}

enum tp_err tp_find_consumer(struct tp_request *req, const struct tp_uuid *id, const struct tp_consumer **out)
{
    struct tp_view *view;
    enum tp_err err = begin(req, &view);

    if (err)
        return err;
    err = look_up_consumer(req, view, id, out);
    tp_view_end(view);
    return err;
}

enum tp_err tp_find_caller(struct tp_request *req, const char *kind, struct tp_str key,
                           const struct tp_credential **credential, const struct tp_consumer **consumer)
{
    struct tp_view *view;
    enum tp_err err = begin(req, &view);

    if (err)
        return err;
    err = look_up_credential(req, view, kind, key, credential);
    if (!err)
        err = look_up_consumer(req, view, &(*credential)->consumer_id, consumer);
    tp_view_end(view);
    return err;
}

enum tp_err tp_find_consumer_named(struct tp_request *req, struct tp_str id_or_username, const struct tp_consumer **out)
{
    struct tp_consumer *consumer;
    struct tp_view *view;
    struct tp_uuid id;
    enum tp_err err = begin(req, &view);

    if (err)
        return err;
    err = TP_ERR_NOT_FOUND;
    if (tp_uuid_parse(id_or_username, &id))
        err = look_up_consumer(req, view, &id, out);
    if (err == TP_ERR_NOT_FOUND) {
        consumer = tp_arena_alloc(req->arena, sizeof(*consumer));
        err = tp_view_consumer_by_username(view, id_or_username, req->arena, consumer, NULL);
        if (!err)
            *out = consumer;
    }
    tp_view_end(view);
    return err;
}
