/*
 * Kong's listener syntax: "<ip>:<port> [flags], …" or "off".
 */
#ifndef TP_CLI_LISTEN_H
#define TP_CLI_LISTEN_H

#include "base/diag.h"

#include <sys/socket.h>

#define TP_LISTEN_MAX 64 /* entries of one setting */

struct tp_listen {
    char address[64]; /* as nginx wants it: "0.0.0.0:8000", "[::]:8000" */
    struct sockaddr_storage sockaddr;
    socklen_t sockaddr_len;
    int port;
    bool ssl, http2, proxy_protocol, deferred;
    int backlog;        /* 0: nginx's default */
    int ipv6only;       /* -1: not given */
    char keepalive[64]; /* so_keepalive's value; empty: not given */
};

struct tp_listen_set {
    struct tp_listen entries[TP_LISTEN_MAX];
    size_t count; /* 0: off */
};

/* Parse the value of the setting `name`. False, with a finding in Kong's words, when it is malformed. */
bool tp_listen_parse(struct tp_listen_set *out, const char *name, const char *text, struct tp_diag *diag);

#endif
