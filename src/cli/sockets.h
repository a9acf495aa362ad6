/*
 * The listening sockets: opened by the supervisor, once, and handed to one nginx after the other.
 */
#ifndef TP_CLI_SOCKETS_H
#define TP_CLI_SOCKETS_H

#include "cli/nginx_conf.h"

#define TP_SOCKETS_MAX (TP_NGINX_SERVERS * TP_LISTEN_MAX)

struct tp_sockets {
    struct {
        struct sockaddr_storage address;
        socklen_t address_len;
        int fd;
    } items[TP_SOCKETS_MAX];
    size_t count;
};

/*
 * Sockets for all listeners; those that `old` (may be NULL) has are taken over as duplicates. On success *out is
 * filled: tp_sockets_close. On failure nothing is open and `diag` names the address.
 */
enum tp_err tp_sockets_open(struct tp_sockets *out, const struct tp_nginx_server *servers, const struct tp_sockets *old,
                            struct tp_diag *diag);
void tp_sockets_close(struct tp_sockets *sockets);

#endif
