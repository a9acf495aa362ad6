/* Services: where requests go, and how. The shorthand `url` sets protocol, host, port and path at once. */
#include "model/entities/common.h"
#include "model/entity.h"
#include "model/json.h"

#include <ctype.h>

#define TIMEOUT(api_name, text)                                                                                        \
    TP_FIELD_ONLY(api_name, INTEGER, .def = "60000", .between = TP_BETWEEN(1, 2147483646), .about = (text))

static const struct tp_pattern empty_segments[] = { { "//", "must not have empty segments" }, { 0 } };
static const struct tp_field ca_certificate = { .type = TP_TYPE_STRING, .uuid = true };

static const struct tp_field fields[] = {
    TP_FIELD_ID,
    TP_FIELD_CREATED_AT,
    TP_FIELD_UPDATED_AT,
    TP_FIELD_NAME(.about = "The service's unique name."),
    TP_FIELD_ONLY("retries", INTEGER, .def = "5", .between = TP_BETWEEN(0, 32767),
                  .about = "How often a request is tried again when the upstream cannot be reached."),
    TP_FIELD_ONLY("protocol", STRING, .required = true, .def = "http", .length = TP_AT_LEAST(1),
                  .one_of = tp_protocols_all, .about = "How the upstream is spoken to."),
    TP_FIELD_ONLY("host", STRING, .required = true, .check = tp_check_host,
                  .about = "The upstream's name or address, or the name of an upstream entity."),
    TP_FIELD_ONLY("port", INTEGER, .required = true, .def = "80", .between = TP_BETWEEN(0, 65535),
                  .about = "The upstream's port."),
    TP_FIELD_ONLY("path", STRING, .starts_with = "/", .match_none = empty_segments, .check = tp_check_path,
                  .about = "What the upstream's paths begin with."),
    TIMEOUT("connect_timeout", "Milliseconds until a connection must stand."),
    TIMEOUT("write_timeout", "Milliseconds that may pass between two writes to the upstream."),
    TIMEOUT("read_timeout", "Milliseconds that may pass between two reads from the upstream."),
    TP_FIELD_TAGS,
    TP_FIELD_ONLY("client_certificate", FOREIGN, .reference = "certificates",
                  .about = "The certificate shown to an upstream that asks for one."),
    TP_FIELD_ONLY("tls_verify", BOOLEAN, .about = "Whether the upstream's certificate is verified."),
    TP_FIELD_ONLY("tls_verify_depth", INTEGER, .def = "null", .between = TP_BETWEEN(0, 64),
                  .about = "How long a chain of certificates may be."),
    TP_FIELD_ONLY("ca_certificates", ARRAY, .element = &ca_certificate,
                  .about = "Ids of the CA certificates that the upstream's is verified against."),
    TP_FIELD_ONLY("enabled", BOOLEAN, .required = true, .def = "true",
                  .about = "Whether the service's routes are there at all."),
    TP_FIELD_ONLY("url", STRING, .write_only = true, .about = "Sets protocol, host, port and path from one URL."),
    { 0 },
};

/* clang-format takes an initialiser in a macro for a block. */
/* clang-format off */
#define ONLY_WITH_TLS(field) \
    { .kind = TP_CHECK_CONDITIONAL, .if_field = "protocol", .if_match = { .not_one_of = TP_NAMES("https", "tls") }, \
      .then_field = (field), .then_match = { .is_null = true } }
/* clang-format on */

static const struct tp_check checks[] = {
    { .kind = TP_CHECK_CONDITIONAL,
      .if_field = "protocol",
      .if_match = { .one_of = TP_NAMES("tcp", "tls", "udp", "grpc", "grpcs") },
      .then_field = "path",
      .then_match = { .is_null = true } },
    ONLY_WITH_TLS("client_certificate"),
    ONLY_WITH_TLS("tls_verify"),
    ONLY_WITH_TLS("tls_verify_depth"),
    ONLY_WITH_TLS("ca_certificates"),
    { 0 },
};

/* --- The shorthand ---------------------------------------------------------------------------- */

struct url {
    struct tp_str scheme, host, port, path; /* absent: not there, or empty */
};

static bool is_scheme(struct tp_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!isalnum((unsigned char)s.data[i]) && (i == 0 || !strchr("+-.", s.data[i])))
            return false;
    }
    return s.len > 0;
}

static struct tp_str before(struct tp_str s, char c)
{
    ptrdiff_t at = tp_str_chr(s, c);

    return at < 0 ? s : tp_str_head(s, (size_t)at);
}

static void split_authority(struct tp_str authority, struct url *url)
{
    ptrdiff_t at = tp_str_chr(authority, '@');
    size_t colon;

    if (at >= 0)
        authority = tp_str_from(authority, (size_t)at + 1);
    for (colon = authority.len; colon > 0; colon--) {
        char c = authority.data[colon - 1];

        if (c == ']') { /* inside an IPv6 address colons are no port's */
            colon = 0;
            break;
        }
        if (c == ':')
            break;
    }
    if (colon > 0) {
        url->port = tp_str_from(authority, colon);
        authority = tp_str_head(authority, colon - 1);
    }
    if (authority.len > 2 && authority.data[0] == '[' && authority.data[authority.len - 1] == ']')
        authority = tp_str_make(authority.data + 1, authority.len - 2);
    url->host = authority;
}

static struct url parse_url(struct tp_str text)
{
    struct url url = { 0 };
    struct tp_str rest = before(text, '#');
    ptrdiff_t colon = tp_str_chr(rest, ':');

    if (colon > 0 && is_scheme(tp_str_head(rest, (size_t)colon))) {
        url.scheme = tp_str_head(rest, (size_t)colon);
        rest = tp_str_from(rest, (size_t)colon + 1);
    }
    if (tp_str_starts(rest, TP_STR("//"))) {
        struct tp_str authority = before(before(tp_str_from(rest, 2), '/'), '?');

        rest = tp_str_from(rest, 2 + authority.len);
        split_authority(authority, &url);
    }
    url.path = before(before(rest, '?'), ';');
    return url;
}

static json_t *text_or_null(struct tp_str text)
{
    return text.len > 0 ? tp_json_text(text) : json_null();
}

static json_t *port_of(const struct url *url)
{
    int64_t port;

    if (url->port.len == 0)
        return json_integer(tp_str_eq(url->scheme, TP_STR("https")) ? 443 : 80);
    if (tp_str_to_i64(url->port, &port))
        return json_integer(port);
    return tp_json_text(url->port); /* validation refuses it */
}

static void expand(json_t *input, bool is_update)
{
    struct tp_str text = tp_json_str(json_object_get(input, "url"));
    json_t *port;
    struct url url;

    (void)is_update;
    if (!text.data)
        return;
    url = parse_url(text);
    port = port_of(&url);
    if (url.scheme.len == 0)
        url.scheme = json_integer_value(port) == 443 ? TP_STR("https") : TP_STR("http");
    json_object_set_new(input, "protocol", tp_json_text(url.scheme));
    json_object_set_new(input, "host", text_or_null(url.host));
    json_object_set_new(input, "port", port);
    json_object_set_new(input, "path", text_or_null(url.path));
}

const struct tp_entity tp_entity_services = {
    .name = "services",
    .api_name = "services",
    .endpoint_key = "name",
    .fields = fields,
    .checks = checks,
    .in_plan = true,
    .expand = expand,
};
