/*
 * Lists: size, offset and tag filters of the query, the envelope with `next` of the answer.
 */
#ifndef TP_CONTROL_ADMIN_LISTING_H
#define TP_CONTROL_ADMIN_LISTING_H

#include "control/admin/call.h"

#define TP_ADMIN_PAGE_DEFAULT 100
#define TP_ADMIN_PAGE_MAX 1000
#define TP_ADMIN_MAX_TAGS 5

struct tp_admin_page {
    struct tp_page_query query;
    struct tp_str tags[TP_ADMIN_MAX_TAGS];
    struct tp_uuid after;
    json_t *offset;          /* the decoded token, owned; the query's texts point into it: tp_admin_page_fini */
    struct tp_str size_text; /* as given; data NULL: not given */
    struct tp_str tags_text;
};

/*
 * Read the query's size and offset, and tags when `filter_tags`. False: answered (codes 7, 9, 11). In both cases
 * the page must be released.
 */
bool tp_admin_page_parse(struct tp_admin_call *call, bool filter_tags, struct tp_admin_page *page);
void tp_admin_page_fini(struct tp_admin_page *page);

/*
 * Answer with `rows` (taken). `last` (taken): the key that the next page starts behind, a list of text with the id
 * first; NULL: this was the last page. `keep`: `next` repeats size and tags.
 */
void tp_admin_page_reply(struct tp_admin_call *call, const struct tp_admin_page *page, json_t *rows, json_t *last,
                         bool keep);

/* GET of a whole collection: `foreign` NULL; or of what belongs to `parent`. */
void tp_admin_list(struct tp_admin_call *call, const struct tp_entity *entity, const struct tp_field *foreign,
                   const struct tp_uuid *parent);

#endif
