/* Kong's listener syntax. `bind` and `reuseport` are understood and not passed on: the supervisor binds, once. */
#include "cli/listen.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

static void report_form(const char *name, struct tp_diag *diag)
{
    tp_diag_add(diag, name, "%s must be of form: [off] | <ip>:<port> [flags…], [... next entry ...]", name);
}

static bool parse_port(struct tp_str text, int *out)
{
    int64_t port;

    if (!tp_str_to_i64(text, &port) || port < 0 || port > 65535)
        return false;
    *out = (int)port;
    return true;
}

static bool parse_address(struct tp_str text, struct tp_listen *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&out->sockaddr;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->sockaddr;
    ptrdiff_t close = tp_str_chr(text, ']'), colon;
    char ip[INET6_ADDRSTRLEN];
    struct tp_str host;

    if (text.len > 0 && text.data[0] == '[') {
        if (close < 2 || (size_t)close + 1 >= text.len || text.data[close + 1] != ':')
            return false;
        host = tp_str_make(text.data + 1, (size_t)close - 1);
        colon = close + 1;
    } else {
        colon = tp_str_chr(text, ':');
        if (colon < 1)
            return false;
        host = tp_str_head(text, (size_t)colon);
    }
    if (host.len >= sizeof(ip) || !parse_port(tp_str_from(text, (size_t)colon + 1), &out->port))
        return false;
    snprintf(ip, sizeof(ip), "%.*s", TP_STR_ARG(host));
    if (text.data[0] == '[') {
        *v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)out->port) };
        out->sockaddr_len = sizeof(*v6);
        snprintf(out->address, sizeof(out->address), "[%s]:%d", ip, out->port);
        return inet_pton(AF_INET6, ip, &v6->sin6_addr) == 1;
    }
    *v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)out->port) };
    out->sockaddr_len = sizeof(*v4);
    snprintf(out->address, sizeof(out->address), "%s:%d", ip, out->port);
    return inet_pton(AF_INET, ip, &v4->sin_addr) == 1;
}

/* on, off, or "idle:interval:count" of digits, each may be empty. */
static bool parse_keepalive(struct tp_str value, struct tp_listen *out)
{
    size_t colons = 0;

    if (value.len == 0 || value.len >= sizeof(out->keepalive))
        return false;
    if (!tp_str_eq(value, TP_STR("on")) && !tp_str_eq(value, TP_STR("off"))) {
        for (size_t i = 0; i < value.len; i++) {
            colons += value.data[i] == ':';
            if (value.data[i] != ':' && !strchr("0123456789smh", value.data[i]))
                return false;
        }
        if (colons != 2)
            return false;
    }
    snprintf(out->keepalive, sizeof(out->keepalive), "%.*s", TP_STR_ARG(value));
    return true;
}

static bool parse_flag(struct tp_str flag, struct tp_listen *out)
{
    int64_t n;

    if (tp_str_eq(flag, TP_STR("ssl")))
        return out->ssl = true;
    if (tp_str_eq(flag, TP_STR("http2")))
        return out->http2 = true;
    if (tp_str_eq(flag, TP_STR("proxy_protocol")))
        return out->proxy_protocol = true;
    if (tp_str_eq(flag, TP_STR("deferred")))
        return out->deferred = true;
    if (tp_str_eq(flag, TP_STR("bind")) || tp_str_eq(flag, TP_STR("reuseport")))
        return true;
    if (tp_str_eq(flag, TP_STR("ipv6only=on")) || tp_str_eq(flag, TP_STR("ipv6only=off"))) {
        out->ipv6only = flag.data[flag.len - 1] == 'n';
        return true;
    }
    if (tp_str_starts(flag, TP_STR("backlog="))) {
        if (!tp_str_to_i64(tp_str_from(flag, 8), &n) || n < 1 || n > 1 << 20)
            return false;
        out->backlog = (int)n;
        return true;
    }
    return tp_str_starts(flag, TP_STR("so_keepalive=")) && parse_keepalive(tp_str_from(flag, 13), out);
}

static bool parse_entry(struct tp_str text, struct tp_listen *out)
{
    struct tp_str word;

    *out = (struct tp_listen){ .ipv6only = -1 };
    if (!tp_str_next(&text, ' ', &word) || !parse_address(word, out))
        return false;
    while (tp_str_next(&text, ' ', &word)) {
        word = tp_str_trim(word);
        if (word.len > 0 && !parse_flag(word, out))
            return false;
    }
    return true;
}

bool tp_listen_parse(struct tp_listen_set *out, const char *name, const char *text, struct tp_diag *diag)
{
    struct tp_str rest = tp_str_from_cstr(text), item;

    out->count = 0;
    if (tp_str_eq(rest, TP_STR("off")))
        return true;
    while (tp_str_next(&rest, ',', &item)) {
        if (out->count == TP_LISTEN_MAX || !parse_entry(tp_str_trim(item), &out->entries[out->count])) {
            report_form(name, diag);
            return false;
        }
        out->count++;
    }
    return true;
}
