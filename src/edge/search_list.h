/*
 * The search list of resolv.conf: which full names a name may stand for, in the order in which they are asked. Knows no
 * nginx.
 */
#ifndef TP_EDGE_SEARCH_LIST_H
#define TP_EDGE_SEARCH_LIST_H

#include "turnpike/field.h"

#define TP_EDGE_NAME_BYTES 254 /* the longest name and a NUL */

struct tp_edge_search_list {
    struct tp_list domains; /* of struct tp_str */
    int64_t ndots;          /* a name with so many dots is asked as it stands first, another one last */
};

/*
 * Candidate `index` for `name`. False: there are no more. An empty text is one that would be too long to be a name.
 */
bool tp_edge_search_list_name(const struct tp_edge_search_list *list, struct tp_str name, size_t index,
                              char out[TP_EDGE_NAME_BYTES]);

#endif
