/*
 * An instance as its settings describe it: everything that the supervisor needs to start it, resolved to this
 * machine (worker count, name servers, paths of programs), and the files that the other processes read.
 */
#ifndef TP_CLI_INSTANCE_H
#define TP_CLI_INSTANCE_H

#include "cli/nginx_conf.h"

struct tp_instance {
    struct tp_settings *settings;
    struct tp_layout layout;
    struct tp_nginx_server servers[TP_NGINX_SERVERS];
    char *module, *stream_module; /* nginx modules; stream_module may be NULL */
    char *resolvers;
};

/*
 * Read the settings, make the folder, find the programs. On success *out is owned: tp_instance_free. On failure `diag`
 * holds every finding.
 */
enum tp_err tp_instance_load(struct tp_instance **out, const struct tp_settings_input *input, struct tp_diag *diag);
void tp_instance_free(struct tp_instance *instance);

/* Write run/settings.json, run/secrets.json and run/nginx.conf. */
enum tp_err tp_instance_write(const struct tp_instance *instance, const char *ready_socket, struct tp_diag *diag);

/* The path of the running program. Owned; NULL when /proc does not tell. */
char *tp_self_path(void);

#endif
