/* Listening: socket.h. */
#include "control/socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 256

/* True when somebody accepts connections there. */
static bool is_alive(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool alive;

    if (fd < 0)
        return false;
    alive = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN;
    close(fd);
    return alive;
}

static enum tp_err fail(int fd, const char *path, const char *what, struct tp_diag *diag)
{
    int error = errno;

    if (fd >= 0)
        close(fd);
    tp_diag_add(diag, path, "cannot %s: %s", what, strerror(error));
    return TP_ERR_IO;
}

enum tp_err tp_control_socket_listen(int *out, const char *path, struct tp_diag *diag)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd;

    if (strlen(path) >= sizeof(address.sun_path)) {
        tp_diag_add(diag, path, "the path of a unix socket may have at most %zu bytes: choose a shorter prefix",
                    sizeof(address.sun_path) - 1);
        return TP_ERR_INVALID;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (is_alive(&address)) {
        tp_diag_add(diag, path, "another process answers here already");
        return TP_ERR_EXISTS;
    }
    if (unlink(path) != 0 && errno != ENOENT)
        return fail(-1, path, "remove the old socket", diag);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail(-1, path, "make a socket", diag);
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
        return fail(fd, path, "bind", diag);
    if (chmod(path, 0660) != 0)
        return fail(fd, path, "set the mode", diag);
    if (listen(fd, BACKLOG) != 0)
        return fail(fd, path, "listen", diag);
    *out = fd;
    return TP_OK;
}
