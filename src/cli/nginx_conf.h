/*
 * nginx's configuration, rendered from the settings. No I/O here: text in, text out.
 */
#ifndef TP_CLI_NGINX_CONF_H
#define TP_CLI_NGINX_CONF_H

#include "cli/layout.h"
#include "cli/listen.h"
#include "cli/tls_files.h"

/* A server block's listeners and certificates. */
struct tp_nginx_server {
    struct tp_listen_set listen;
    struct tp_tls_files tls; /* filled when one of them has `ssl` */
};

enum tp_nginx_server_kind { TP_NGINX_PROXY, TP_NGINX_ADMIN, TP_NGINX_STATUS, TP_NGINX_SERVERS };

struct tp_nginx_conf_options {
    const struct tp_settings *settings;
    const struct tp_layout *layout;
    const struct tp_nginx_server *servers; /* TP_NGINX_SERVERS of them */
    const char *module;                    /* path of our module */
    const char *stream_module;             /* path of nginx's stream module; NULL: not there */
    const char *resolvers;                 /* as `resolver` takes them; empty: none */
    const char *ready_socket;              /* a unix socket where this very nginx answers: tells that it serves */
};

/* Owned text. */
char *tp_nginx_conf_render(const struct tp_nginx_conf_options *options);

/*
 * True when `entry` needs no socket of its own, because a wildcard address of the same family and port is there: nginx
 * hands its connections over by their local address.
 */
bool tp_listen_covered(const struct tp_nginx_server *servers, const struct tp_listen *entry);

#endif
