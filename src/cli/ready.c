/* Asking one nginx whether its workers answer. */
#include "cli/supervisor.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_US 50000

bool tp_ready_ask(const char *socket_path)
{
    static const char request[] = "GET / HTTP/1.0\r\n\r\n";
    const struct timeval patience = { .tv_usec = PATIENCE_US };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char answer[16];
    bool ready;
    int fd;

    if (strlen(socket_path) >= sizeof(address.sun_path))
        return false;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    ready = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
            send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) == sizeof(request) - 1 &&
            recv(fd, answer, 12, MSG_WAITALL) == 12 && memcmp(answer + 8, " 200", 4) == 0;
    close(fd);
    return ready;
}
