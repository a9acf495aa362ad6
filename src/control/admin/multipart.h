/*
 * multipart/form-data (RFC 7578) cut into parts. Knows neither HTTP nor JSON; tolerant as clients are: what is
 * not a part is skipped.
 */
#ifndef TP_CONTROL_ADMIN_MULTIPART_H
#define TP_CONTROL_ADMIN_MULTIPART_H

#include "turnpike/str.h"

struct tp_multipart {
    struct tp_str rest;
    struct tp_str boundary;
    bool started; /* the first delimiter was found */
};

struct tp_multipart_part {
    struct tp_str name;
    struct tp_str content_type; /* data NULL: none */
    struct tp_str value;
};

/* The boundary parameter of a Content-Type; data NULL when there is none. */
struct tp_str tp_multipart_boundary(struct tp_str content_type);

void tp_multipart_init(struct tp_multipart *mp, struct tp_str body, struct tp_str boundary);

/* The next part that has a name: borrows the body. False at the end. */
bool tp_multipart_next(struct tp_multipart *mp, struct tp_multipart_part *part);

#endif
