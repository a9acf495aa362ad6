/* /tags: which entities carry which tag. Read only. */
#include "control/admin/dispatch.h"
#include "control/admin/errors.h"
#include "control/admin/keys.h"
#include "control/admin/listing.h"
#include "control/admin/reply.h"

/* Where the next page starts: behind this row. */
static json_t *key_of(const json_t *row, bool all_tags)
{
    if (!all_tags)
        return json_pack("[O]", json_object_get(row, "entity_id"));
    return json_pack("[OOO]", json_object_get(row, "entity_id"), json_object_get(row, "entity_name"),
                     json_object_get(row, "tag"));
}

static void answer(struct tp_admin_call *call, struct tp_str tag, const struct tp_admin_page *page)
{
    json_t *rows = NULL, *last = NULL;
    bool more = false;
    enum tp_err err = tp_store_tags(call->store, tag, &page->query, &rows, &more);
    size_t count = json_array_size(rows);

    if (err) {
        tp_admin_fail_store(call, NULL, err, NULL);
        return;
    }
    if (more && count)
        last = key_of(json_array_get(rows, count - 1), !tag.data);
    tp_admin_page_reply(call, page, rows, last, !tag.data);
}

static void list(struct tp_admin_call *call, struct tp_str tag)
{
    struct tp_admin_page page;

    if (tp_admin_page_parse(call, false, &page) && tp_admin_has_store(call))
        answer(call, tag, &page);
    tp_admin_page_fini(&page);
}

static void on_all(struct tp_admin_call *call)
{
    list(call, TP_STR_NULL);
}

static void on_one(struct tp_admin_call *call)
{
    char message[512];

    if (!tp_check_tag(call->params[0], message, sizeof(message)))
        tp_admin_fail_unique_key(call, "tag", message);
    else
        list(call, call->params[0]);
}

static void on_write(struct tp_admin_call *call)
{
    tp_admin_fail_schema(call, json_pack("{s:s}", "tags", "does not support insert/upsert/update/delete operations"));
}

const struct tp_admin_endpoint tp_admin_tag_endpoints[] = {
    { .pattern = "/tags", .on = { .get = on_all, .post = on_write } },
    { .pattern = "/tags/{tags}", .on = { .get = on_one, .put = on_write, .patch = on_write, .del = on_write } },
    { 0 },
};
