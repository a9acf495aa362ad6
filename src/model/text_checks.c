/* The ready-made string checks of turnpike/field.h; messages are Kong's. */
#include "base/utf8.h"
#include "model/lua_pattern.h"
#include "model/regex_check.h"
#include "turnpike/field.h"

#include <arpa/inet.h>
#include <stdio.h>

#define MAX_ADDRESS 64 /* longest text of an IPv6 address and more */

bool tp_check_header_name(struct tp_str value, char *message, size_t size)
{
    if (tp_lua_pattern_find("^[a-zA-Z0-9_-]+$", value))
        return true;
    snprintf(message, size, "bad header name '%.*s', allowed characters are A-Z, a-z, 0-9, '_', and '-'",
             TP_STR_ARG(value));
    return false;
}

/* --- Hosts ------------------------------------------------------------------------------------ */

enum host_kind { HOST_NAME, HOST_IPV4, HOST_IPV6 };

struct host {
    enum host_kind kind;
    struct tp_str name; /* without brackets and port */
    bool has_port;
    const char *fault;  /* NULL: fine; else what is wrong, as Kong words it */
    bool fault_is_port; /* the port is too large: the text does not quote the host */
};

static bool to_cstr(struct tp_str s, char out[MAX_ADDRESS])
{
    if (s.len >= MAX_ADDRESS)
        return false;
    memcpy(out, s.data, s.len);
    out[s.len] = '\0';
    return true;
}

static bool is_address(struct tp_str s, int family)
{
    unsigned char bytes[16];
    char text[MAX_ADDRESS];

    return to_cstr(s, text) && inet_pton(family, text, bytes) == 1;
}

/* Four numbers up to 255; leading zeros are accepted up to three digits, unlike inet_pton. */
static bool is_ipv4(struct tp_str s)
{
    struct tp_str part;
    int64_t number;
    size_t parts = 0;

    while (tp_str_next(&s, '.', &part)) {
        if (part.len == 0 || part.len > 3 || !tp_str_to_i64(part, &number) || number < 0 || number > 255)
            return false;
        parts++;
    }
    return parts == 4;
}

/* Cut ":digits" off the end. */
static bool cut_port(struct host *host)
{
    size_t at = host->name.len;
    int64_t port;

    while (at > 0 && host->name.data[at - 1] >= '0' && host->name.data[at - 1] <= '9')
        at--;
    if (at == 0 || at == host->name.len || host->name.data[at - 1] != ':')
        return false;
    if (!tp_str_to_i64(tp_str_from(host->name, at), &port) || port > 65535) {
        host->fault = "invalid port number";
        host->fault_is_port = true;
    }
    host->has_port = true;
    host->name = tp_str_head(host->name, at - 1);
    return true;
}

static bool is_host_name(struct tp_str name)
{
    struct tp_str rest = name, label;

    if (!tp_lua_pattern_find("^[%d%a._-]+$", name))
        return false;
    while (tp_str_next(&rest, '.', &label)) {
        if (label.len == 0 && rest.data)
            return false;
        if (label.len && label.data[label.len - 1] == '-')
            return false;
    }
    return true;
}

static struct host parse_ipv6(struct tp_str text)
{
    struct host host = { .kind = HOST_IPV6, .name = text };

    if (text.len && text.data[0] == '[') {
        if (text.data[text.len - 1] != ']')
            cut_port(&host);
        if (host.name.len > 1 && host.name.data[host.name.len - 1] == ']')
            host.name = tp_str_make(host.name.data + 1, host.name.len - 2);
    }
    if (!host.fault && !is_address(host.name, AF_INET6))
        host.fault = "invalid ipv6 address";
    return host;
}

static struct host parse_host(struct tp_str text)
{
    struct host host = { .kind = HOST_NAME, .name = text };
    size_t colons = 0, other = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == ':')
            colons++;
        else if (!(text.data[i] >= '0' && text.data[i] <= '9') && text.data[i] != '.')
            other++;
    }
    if (colons > 1)
        return parse_ipv6(text);
    if (text.len > colons && other == 0)
        host.kind = HOST_IPV4;
    cut_port(&host);
    if (host.fault)
        return host;
    if (host.kind == HOST_IPV4 && !is_ipv4(host.name))
        host.fault = "invalid ipv4 address";
    if (host.kind == HOST_NAME && !is_host_name(host.name))
        host.fault = "invalid hostname";
    return host;
}

bool tp_check_host(struct tp_str value, char *message, size_t size)
{
    struct host host = parse_host(value);

    if (host.fault) {
        snprintf(message, size, "invalid value: %.*s", TP_STR_ARG(value));
        return false;
    }
    if (host.has_port) {
        snprintf(message, size, "must not have a port");
        return false;
    }
    return true;
}

bool tp_check_host_with_port(struct tp_str value, char *message, size_t size)
{
    struct host host = parse_host(value);

    if (!host.fault)
        return true;
    if (host.fault_is_port)
        snprintf(message, size, "%s", host.fault);
    else
        snprintf(message, size, "%s: %.*s", host.fault, TP_STR_ARG(value));
    return false;
}

/* A name that a client can ask for by TLS: no address, no port. */
static bool check_server_name(struct tp_str value, char *message, size_t size)
{
    struct host host = parse_host(value);

    if (host.fault && !host.fault_is_port) {
        snprintf(message, size, "invalid value: %.*s", TP_STR_ARG(value));
        return false;
    }
    if (host.kind != HOST_NAME) {
        snprintf(message, size, "must not be an IP");
        return false;
    }
    if (host.has_port) {
        snprintf(message, size, "must not have a port");
        return false;
    }
    return true;
}

bool tp_check_sni(struct tp_str value, char *message, size_t size)
{
    return check_server_name(value, message, size);
}

bool tp_check_wildcard_host(struct tp_str value, char *message, size_t size)
{
    ptrdiff_t star = tp_str_chr(value, '*');
    char name[512];
    int len;

    if (star < 0)
        return check_server_name(value, message, size);
    if (star != 0 && (size_t)star != value.len - 1) {
        snprintf(message, size, "wildcard must be leftmost or rightmost character");
        return false;
    }
    if (tp_str_chr(tp_str_from(value, (size_t)star + 1), '*') >= 0) {
        snprintf(message, size, "only one wildcard must be specified");
        return false;
    }
    len = snprintf(name, sizeof(name), "%.*swildcard%.*s", TP_STR_ARG(tp_str_head(value, (size_t)star)),
                   TP_STR_ARG(tp_str_from(value, (size_t)star + 1)));
    if ((size_t)len >= sizeof(name)) { /* longer than any name in DNS */
        snprintf(message, size, "invalid value: %.*s", TP_STR_ARG(value));
        return false;
    }
    return check_server_name(tp_str_make(name, (size_t)len), message, size);
}

/* --- Addresses, URLs, names ------------------------------------------------------------------- */

bool tp_check_ip_or_cidr(struct tp_str value, char *message, size_t size)
{
    ptrdiff_t slash = tp_str_chr(value, '/');
    struct tp_str address = slash < 0 ? value : tp_str_head(value, (size_t)slash);
    bool v4 = is_ipv4(address), valid = v4 || is_address(address, AF_INET6);
    int64_t bits;

    if (valid && slash >= 0)
        valid = tp_str_to_i64(tp_str_from(value, (size_t)slash + 1), &bits) && bits >= 0 && bits <= (v4 ? 32 : 128);
    if (!valid)
        snprintf(message, size, "invalid ip or cidr range: '%.*s'", TP_STR_ARG(value));
    return valid;
}

bool tp_check_url(struct tp_str value, char *message, size_t size)
{
    ptrdiff_t colon = tp_str_chr(value, ':');
    bool has_scheme = colon > 0 && tp_lua_pattern_find("^%a[%w+.-]*$", tp_str_head(value, (size_t)colon));
    struct tp_str rest = has_scheme ? tp_str_from(value, (size_t)colon + 1) : value;
    struct tp_str authority = TP_STR_NULL;

    if (tp_str_starts(rest, TP_STR("//"))) {
        rest = tp_str_from(rest, 2);
        tp_str_next(&rest, '/', &authority);
    }
    if (authority.len == 0 || authority.data[0] == ':') {
        snprintf(message, size, "missing host in url");
        return false;
    }
    if (!has_scheme) {
        snprintf(message, size, "missing scheme in url");
        return false;
    }
    return true;
}

bool tp_check_regex(struct tp_str value, char *message, size_t size)
{
    char reason[1024];

    if (tp_regex_compiles(value, reason, sizeof(reason)))
        return true;
    snprintf(message, size, "not a valid regex: %.*s", TP_STR_ARG(value));
    return false;
}

static bool check_utf8(struct tp_str value, char *message, size_t size)
{
    size_t good = tp_utf8_valid_prefix(value);

    if (good == value.len)
        return true;
    snprintf(message, size, "invalid utf-8 character sequence detected at position %zu", good + 1);
    return false;
}

bool tp_check_utf8_name(struct tp_str value, char *message, size_t size)
{
    if (!check_utf8(value, message, size))
        return false;
    if (tp_lua_pattern_find("^[%w._~\x80-\xf4-]+$", value))
        return true;
    snprintf(message, size,
             "invalid value '%.*s': the only accepted ascii characters are alphanumerics or ., -, _, and ~",
             TP_STR_ARG(value));
    return false;
}

bool tp_check_tag(struct tp_str value, char *message, size_t size)
{
    if (!check_utf8(value, message, size))
        return false;
    if (tp_lua_pattern_find("^[ !-+.0-~\x80-\xf4-]+$", value))
        return true;
    snprintf(message, size,
             "invalid tag '%.*s': expected printable ascii (except `,` and `/`) or valid utf-8 sequences",
             TP_STR_ARG(value));
    return false;
}
