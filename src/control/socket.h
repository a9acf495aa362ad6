/* The unix sockets that control listens on: the Admin API's and the link's. */
#ifndef TP_CONTROL_SOCKET_H
#define TP_CONTROL_SOCKET_H

#include "base/diag.h"

/*
 * Listen at `path` (mode 0660, not blocking, closed on exec). A socket left behind by a dead process is replaced;
 * one that answers is TP_ERR_EXISTS. *out is owned.
 */
enum tp_err tp_control_socket_listen(int *out, const char *path, struct tp_diag *diag);

#endif
