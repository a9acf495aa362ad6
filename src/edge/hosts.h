/*
 * The hosts file, read again when it has changed: looked at once a second at most, and only when a name is asked for.
 */
#ifndef TP_EDGE_HOSTS_H
#define TP_EDGE_HOSTS_H

#include "edge/resolver.h"

/* Read the file; one that cannot be read counts as empty and is logged. `path` and `log` must stay. Owned. */
struct tp_edge_hosts *tp_edge_hosts_new(const char *path, ngx_log_t *log);
void tp_edge_hosts_free(struct tp_edge_hosts *hosts);

/* The addresses of a name, valid until the next call; NULL: the file does not name it, and it is not localhost. */
const struct tp_edge_addresses *tp_edge_hosts_find(struct tp_edge_hosts *hosts, struct tp_str name);

#endif
