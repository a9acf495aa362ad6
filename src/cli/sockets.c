/* Opening of the listening sockets. */
#include "cli/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <time.h>
#include <unistd.h>

#define NGINX_BACKLOG 511 /* what nginx assumes of an inherited socket */
#define BIND_TRIES 40     /* of 50 ms: an instance that was killed may still be closing */

static bool same_address(const struct sockaddr_storage *a, socklen_t a_len, const struct sockaddr_storage *b,
                         socklen_t b_len)
{
    return a_len == b_len && memcmp(a, b, a_len) == 0;
}

static int find(const struct tp_sockets *sockets, const struct tp_listen *entry)
{
    for (size_t i = 0; sockets && i < sockets->count; i++)
        if (same_address(&sockets->items[i].address, sockets->items[i].address_len, &entry->sockaddr,
                         entry->sockaddr_len))
            return sockets->items[i].fd;
    return -1;
}

static int bind_patiently(int fd, const struct tp_listen *entry)
{
    const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };

    for (int i = 0; i < BIND_TRIES; i++) {
        if (bind(fd, (const struct sockaddr *)&entry->sockaddr, entry->sockaddr_len) == 0)
            return 0;
        if (errno != EADDRINUSE)
            return -1;
        nanosleep(&pause, NULL);
    }
    errno = EADDRINUSE;
    return -1;
}

static int open_one(const struct tp_listen *entry)
{
    int fd = socket(entry->sockaddr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1, v6only = entry->ipv6only != 0, error;

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        (entry->sockaddr.ss_family != AF_INET6 ||
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only)) == 0) &&
        bind_patiently(fd, entry) == 0 && listen(fd, entry->backlog ? entry->backlog : NGINX_BACKLOG) == 0)
        return fd;
    error = errno;
    close(fd);
    errno = error;
    return -1;
}

static enum tp_err add_entry(struct tp_sockets *out, const struct tp_listen *entry, const struct tp_sockets *old,
                             struct tp_diag *diag)
{
    int fd = find(out, entry);

    if (fd >= 0)
        return TP_OK; /* two servers on one address: nginx tells them apart */
    fd = find(old, entry);
    fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : open_one(entry);
    if (fd < 0) {
        tp_diag_add(diag, NULL, "cannot listen on %s: %m", entry->address);
        return TP_ERR_IO;
    }
    out->items[out->count].address = entry->sockaddr;
    out->items[out->count].address_len = entry->sockaddr_len;
    out->items[out->count++].fd = fd;
    return TP_OK;
}

enum tp_err tp_sockets_open(struct tp_sockets *out, const struct tp_nginx_server *servers, const struct tp_sockets *old,
                            struct tp_diag *diag)
{
    enum tp_err err = TP_OK;

    out->count = 0;
    for (size_t s = 0; s < TP_NGINX_SERVERS && !err; s++)
        for (size_t i = 0; i < servers[s].listen.count && !err; i++)
            if (!tp_listen_covered(servers, &servers[s].listen.entries[i]))
                err = add_entry(out, &servers[s].listen.entries[i], old, diag);
    if (err)
        tp_sockets_close(out);
    return err;
}

void tp_sockets_close(struct tp_sockets *sockets)
{
    for (size_t i = 0; i < sockets->count; i++)
        close(sockets->items[i].fd);
    sockets->count = 0;
}
