/* Candidates for a name: search_list.h. */
#include "edge/search_list.h"

#include <stdio.h>

static int64_t dots_in(struct tp_str name)
{
    int64_t dots = 0;

    for (size_t i = 0; i < name.len; i++)
        dots += name.data[i] == '.';
    return dots;
}

static void write_name(struct tp_str name, struct tp_str domain, char out[TP_EDGE_NAME_BYTES])
{
    size_t len = name.len + (domain.len ? domain.len + 1 : 0);

    out[0] = '\0';
    if (len < TP_EDGE_NAME_BYTES)
        snprintf(out, TP_EDGE_NAME_BYTES, "%.*s%s%.*s", TP_STR_ARG(name), domain.len ? "." : "", TP_STR_ARG(domain));
}

bool tp_edge_search_list_name(const struct tp_edge_search_list *list, struct tp_str name, size_t index,
                              char out[TP_EDGE_NAME_BYTES])
{
    bool absolute = name.len > 0 && name.data[name.len - 1] == '.';
    size_t count = absolute ? 0 : list->domains.count, as_it_stands;

    if (index > count)
        return false;
    if (absolute)
        name.len--;
    as_it_stands = dots_in(name) >= list->ndots ? 0 : count;
    if (index == as_it_stands)
        write_name(name, TP_STR(""), out);
    else
        write_name(name, *TP_LIST_AT(list->domains, struct tp_str, index - (index > as_it_stands)), out);
    return true;
}
