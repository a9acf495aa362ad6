/* Host and SNI patterns: "a.test", "a.test:8000", "*.a.test", "a.*" (routing.md §3). */
#include "gateway/router_priv.h"

/* The port behind the last ':' of a host, 0 when there is none; *host loses it. "[::1]:80" has one, "::1" none. */
static uint16_t cut_port(struct tp_str *host)
{
    size_t colon = host->len;
    int64_t port;

    while (colon > 0 && host->data[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return 0;
    if (tp_str_chr(tp_str_head(*host, colon - 1), ':') >= 0 && (colon < 2 || host->data[colon - 2] != ']'))
        return 0;
    if (!tp_str_to_i64(tp_str_from(*host, colon), &port) || port < 1 || port > 65535)
        return 0;
    *host = tp_str_head(*host, colon - 1);
    return (uint16_t)port;
}

static void parse_wildcard(struct tp_host_pattern *pattern, struct tp_str text)
{
    pattern->kind = TP_HOST_EXACT;
    pattern->text = text;
    if (tp_str_starts(text, TP_STR("*"))) {
        pattern->kind = TP_HOST_SUFFIX;
        pattern->text = tp_str_from(text, 1);
    } else if (tp_str_ends(text, TP_STR("*"))) {
        pattern->kind = TP_HOST_PREFIX;
        pattern->text = tp_str_head(text, text.len - 1);
    }
}

struct tp_host_pattern tp_host_pattern_parse(struct tp_str text)
{
    struct tp_host_pattern pattern = { .literal = text };

    pattern.port = cut_port(&text);
    parse_wildcard(&pattern, text);
    return pattern;
}

struct tp_host_pattern tp_sni_pattern_parse(struct tp_str text)
{
    struct tp_host_pattern pattern = { .literal = text };

    if (text.len > 1 && tp_str_ends(text, TP_STR(".")))
        text = tp_str_head(text, text.len - 1);
    parse_wildcard(&pattern, text);
    return pattern;
}

static bool text_matches(const struct tp_host_pattern *pattern, struct tp_str host, size_t least)
{
    switch (pattern->kind) {
    case TP_HOST_SUFFIX: return host.len >= pattern->text.len + least && tp_str_ends(host, pattern->text);
    case TP_HOST_PREFIX: return host.len >= pattern->text.len + least && tp_str_starts(host, pattern->text);
    case TP_HOST_EXACT: break;
    }
    return tp_str_eq(host, pattern->text);
}

/* Traditional: a Host without port counts as the scheme's own. */
static uint16_t traditional_port(const struct tp_router_input *input)
{
    if (input->host_text.len != input->host.len)
        return input->port;
    return input->tls ? 443 : 80;
}

bool tp_host_pattern_matches(const struct tp_host_pattern *pattern, const struct tp_router_input *input,
                             bool traditional)
{
    if (!traditional)
        return (!pattern->port || pattern->port == input->port) && text_matches(pattern, input->host, 0);
    if (pattern->kind == TP_HOST_EXACT)
        return tp_str_eq(pattern->literal, pattern->port ? input->host_text : input->host);
    return (!pattern->port || pattern->port == traditional_port(input)) && text_matches(pattern, input->host, 1);
}

bool tp_sni_pattern_matches(const struct tp_host_pattern *pattern, struct tp_str sni)
{
    return text_matches(pattern, sni, 0);
}
