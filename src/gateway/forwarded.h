/* What the upstream is told of the client: values of X-Forwarded-*, from the client's own headers (proxying.md §3). */
#ifndef TP_GATEWAY_FORWARDED_H
#define TP_GATEWAY_FORWARDED_H

#include "gateway/request_priv.h"

struct tp_forwarded {
    struct tp_str proto, host, path;
    struct tp_str prefix; /* data NULL: the header is not sent */
    struct tp_str port;   /* data NULL: port_number */
    uint16_t port_number;
    bool lower_host; /* host is the client's Host: to be lowered */
};
void tp_forwarded_read(const struct tp_request *req, struct tp_forwarded *out);

/*
 * Headers of one hop, and those that the gateway writes itself: never copied from the client. `name` compares as in a
 * header table.
 */
bool tp_header_is_managed(const struct tp_request *req, struct tp_str name);

/* True when the comma-separated list names the token, without case. */
bool tp_token_listed(struct tp_str list, struct tp_str token);

#endif
