/*
 * Starting the two programs of an instance: nginx and the control daemon. Each gets a process group of its own (Ctrl-C
 * is for us), a signal when we die, an environment without secrets, and no open file but those meant for it.
 */
#ifndef TP_CLI_CHILD_H
#define TP_CLI_CHILD_H

#include "cli/instance.h"
#include "cli/sockets.h"

/*
 * nginx as a master in the foreground, on the given sockets. `generation` tells apart masters that live side by side.
 * Returns its process id, or -1 with a finding.
 */
pid_t tp_child_nginx(const struct tp_instance *instance, const struct tp_sockets *sockets, unsigned generation,
                     struct tp_diag *diag);

/* The control daemon. *ready_fd gets one byte when it is ready, and its end when it dies before. */
pid_t tp_child_control(const struct tp_instance *instance, int *ready_fd, struct tp_diag *diag);

/* "<prefix>/sockets/ready-<generation>.sock". Owned. */
char *tp_child_ready_socket(const struct tp_instance *instance, unsigned generation);

#endif
