/* Lists: listing.h. */
#include "control/admin/listing.h"

#include "base/url.h"
#include "control/admin/errors.h"
#include "control/admin/keys.h"
#include "control/admin/reply.h"

#include <sodium.h>

#define OFFSET_TEXT_MAX 512

/* --- size ---------------------------------------------------------------------------------------- */

static bool parse_size(struct tp_admin_call *call, struct tp_admin_page *page)
{
    size_t count;
    struct tp_str text = tp_admin_pairs_get(&call->args, "size", &count);
    double size = 0;

    page->query.size = TP_ADMIN_PAGE_DEFAULT;
    if (!text.data)
        return true;
    if (count > 1 || !tp_str_to_double(tp_str_trim(text), &size))
        return tp_admin_fail_size(call, "size must be a number");
    if (size < 1 || size > TP_ADMIN_PAGE_MAX || size != (double)(size_t)size)
        return tp_admin_fail_size(call, "size must be an integer between 1 and 1000");
    page->query.size = (size_t)size;
    page->size_text = text;
    return true;
}

/* --- offset: base64 of a list, ["<last id>"] or ["<id>", "<entity>", "<tag>"] ------------------------ */

/* True when every character belongs to base64: Kong then blames the JSON inside. */
static bool is_base64(struct tp_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];

        if (!(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '+' && c != '/')
            return false;
    }
    return true;
}

static struct tp_str text_at(const json_t *list, size_t i)
{
    const json_t *text = json_array_get(list, i);

    return tp_str_make(json_string_value(text), json_string_length(text));
}

static bool parse_offset(struct tp_admin_call *call, struct tp_admin_page *page)
{
    struct tp_str text = tp_admin_pairs_get(&call->args, "offset", NULL), core = text;
    unsigned char bytes[OFFSET_TEXT_MAX];
    size_t len = 0;

    if (!text.data)
        return true;
    while (tp_str_ends(core, TP_STR("=")))
        core.len--;
    if (!is_base64(core))
        return tp_admin_fail_offset(call, text, "bad base64 encoding");
    if (sodium_base642bin(bytes, sizeof(bytes), core.data, core.len, NULL, &len, NULL,
                          sodium_base64_VARIANT_ORIGINAL_NO_PADDING) == 0)
        page->offset = json_loadb((const char *)bytes, len, 0, NULL);
    if (!tp_uuid_parse(text_at(page->offset, 0), &page->after))
        return tp_admin_fail_offset(call, text, "bad json encoding");
    page->query.after = &page->after;
    page->query.after_entity = text_at(page->offset, 1);
    page->query.after_tag = text_at(page->offset, 2);
    return true;
}

/* A key as a token, in the arena. Takes the key. */
static struct tp_str offset_text(struct tp_admin_call *call, json_t *key)
{
    char *text = json_dumps(key, JSON_COMPACT), *out;
    size_t size = sodium_base64_ENCODED_LEN(strlen(text), sodium_base64_VARIANT_ORIGINAL_NO_PADDING);

    out = tp_arena_alloc(call->arena, size);
    sodium_bin2base64(out, size, (const unsigned char *)text, strlen(text), sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    free(text);
    json_decref(key);
    return tp_str_from_cstr(out);
}

/* --- tags ---------------------------------------------------------------------------------------- */

static bool parse_tags(struct tp_admin_call *call, struct tp_admin_page *page)
{
    static const char bad[] = "invalid filter syntax";
    struct tp_str text = tp_admin_pairs_get(&call->args, "tags", NULL), rest, tag;
    bool all, any;
    char ignored[512];

    if (!text.data)
        text = tp_admin_pairs_get(&call->args, "tags[]", NULL);
    if (!text.data)
        return true;
    if (!text.len)
        return tp_admin_fail_option(call, "tags", "cannot be null");
    all = tp_str_chr(text, ',') >= 0;
    any = tp_str_chr(text, '/') >= 0;
    if (all && any)
        return tp_admin_fail_option(call, "tags", bad);
    page->tags_text = rest = text;
    page->query.tags = page->tags;
    page->query.tags_any = any;
    while (tp_str_next(&rest, any ? '/' : ',', &tag)) {
        if (!tag.len || !tp_check_tag(tag, ignored, sizeof(ignored)))
            return tp_admin_fail_option(call, "tags", bad);
        if (page->query.tag_count == TP_ADMIN_MAX_TAGS)
            return tp_admin_fail_option(call, "tags", "cannot query more than 5 tags");
        page->tags[page->query.tag_count++] = tag;
    }
    return true;
}

bool tp_admin_page_parse(struct tp_admin_call *call, bool filter_tags, struct tp_admin_page *page)
{
    *page = (struct tp_admin_page){ 0 };
    return parse_size(call, page) && parse_offset(call, page) && (!filter_tags || parse_tags(call, page));
}

void tp_admin_page_fini(struct tp_admin_page *page)
{
    json_decref(page->offset);
    page->offset = NULL;
}

/* --- The answer ---------------------------------------------------------------------------------- */

static struct tp_str next_link(struct tp_admin_call *call, const struct tp_admin_page *page, struct tp_str offset,
                               bool keep)
{
    struct tp_str link = tp_arena_printf(call->arena, "%.*s?offset=%.*s", TP_STR_ARG(call->plain_path),
                                         TP_STR_ARG(tp_url_encode(call->arena, offset)));

    if (keep && page->tags_text.data)
        link = tp_arena_printf(call->arena, "%.*s&tags=%.*s", TP_STR_ARG(link),
                               TP_STR_ARG(tp_url_encode(call->arena, page->tags_text)));
    if (keep && page->size_text.data)
        link = tp_arena_printf(call->arena, "%.*s&size=%zu", TP_STR_ARG(link), page->query.size);
    return link;
}

void tp_admin_page_reply(struct tp_admin_call *call, const struct tp_admin_page *page, json_t *rows, json_t *last,
                         bool keep)
{
    json_t *body = json_pack("{s:o,s:n}", "data", rows, "next");

    if (last) {
        struct tp_str offset = offset_text(call, last);

        json_object_set_new(body, "offset", tp_admin_json_text(offset));
        json_object_set_new(body, "next", tp_admin_json_text(next_link(call, page, offset, keep)));
    }
    tp_admin_reply_json(call, 200, body);
}

static void list(struct tp_admin_call *call, const struct tp_entity *entity, struct tp_admin_page *page)
{
    json_t *rows = NULL, *last = NULL;
    bool more = false;
    enum tp_err err = tp_store_page(call->store, entity, &page->query, &rows, &more);
    size_t count = json_array_size(rows);

    if (err) {
        tp_admin_fail_store(call, entity, err, NULL);
        return;
    }
    if (more && count)
        last = json_pack("[O]", json_object_get(json_array_get(rows, count - 1), "id"));
    tp_admin_page_reply(call, page, rows, last, !page->query.foreign);
}

void tp_admin_list(struct tp_admin_call *call, const struct tp_entity *entity, const struct tp_field *foreign,
                   const struct tp_uuid *parent)
{
    bool filter_tags = !foreign && tp_entity_field(entity, "tags");
    struct tp_admin_page page;

    if (tp_admin_page_parse(call, filter_tags, &page) && tp_admin_has_store(call)) {
        page.query.foreign_field = foreign ? foreign->name : NULL;
        page.query.foreign = parent;
        list(call, entity, &page);
    }
    tp_admin_page_fini(&page);
}
