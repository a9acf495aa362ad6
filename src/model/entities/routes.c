/* Routes: which requests go to which service. */
#include "model/entities/common.h"
#include "model/entity.h"
#include "model/json.h"
#include "model/path_check.h"
#include "model/route_checks.h"

static const struct tp_field protocol = { .type = TP_TYPE_STRING, .one_of = tp_protocols_all };
static const char *const *const protocol_families[] = {
    TP_NAMES("http", "https"),
    TP_NAMES("tcp", "tls", "udp"),
    TP_NAMES("tls_passthrough"),
    TP_NAMES("grpc", "grpcs"),
    NULL,
};

static const struct tp_field method = { .type = TP_TYPE_STRING, .match = "^%u+$" };

static const struct tp_field host = {
    .type = TP_TYPE_STRING,
    .match_all = (const struct tp_pattern[]){ { "^[^*]*%*?[^*]*$", "invalid wildcard: must have at most one wildcard" },
                                              { 0 } },
    .match_any = (const struct tp_pattern[]){ { "^%*%.", NULL }, { "%.%*$", NULL }, { "^[^*]*$", NULL }, { 0 } },
    .match_any_err = "invalid wildcard: must be placed at leftmost or rightmost label",
    .check = tp_check_route_host,
};

static const struct tp_field path = {
    .type = TP_TYPE_STRING,
    .match_any = (const struct tp_pattern[]){ { "^/", NULL }, { "^~/", NULL }, { 0 } },
    .match_any_err = "should start with: / (fixed path) or ~/ (regex path)",
    .match_none = (const struct tp_pattern[]){ { "//", "must not have empty segments" }, { 0 } },
    .check = tp_check_route_path,
};

static const struct tp_field header_name = {
    .type = TP_TYPE_STRING,
    .match_none =
        (const struct tp_pattern[]){
            { "^[Hh][Oo][Ss][Tt]$", "cannot contain 'host' header, which must be specified in the 'hosts' attribute" },
            { 0 } },
    .check = tp_check_header_name,
};
static const struct tp_field header_value = { .type = TP_TYPE_STRING };
static const struct tp_field header_values = { .type = TP_TYPE_ARRAY, .element = &header_value };

static const struct tp_field sni = { .type = TP_TYPE_STRING, .check = tp_check_wildcard_host };

static const struct tp_field endpoint_fields[] = {
    TP_FIELD_ONLY("ip", STRING, .check = tp_check_ip_or_cidr, .about = "An address or a range (CIDR)."),
    TP_FIELD_ONLY("port", INTEGER, .between = TP_BETWEEN(0, 65535), .about = "A port."),
    { 0 },
};
static const struct tp_check endpoint_checks[] = {
    { .kind = TP_CHECK_AT_LEAST_ONE_OF, .fields = TP_NAMES("ip", "port") },
    { 0 },
};
static const struct tp_field endpoint = {
    .type = TP_TYPE_RECORD,
    .fields = endpoint_fields,
    .checks = endpoint_checks,
};

#define SWITCH(api_name, on, text) TP_FIELD_ONLY(api_name, BOOLEAN, .required = true, .def = (on), .about = (text))

static const struct tp_field fields[] = {
    TP_FIELD_ID,
    TP_FIELD_CREATED_AT,
    TP_FIELD_UPDATED_AT,
    TP_FIELD_NAME(.about = "The route's unique name."),
    TP_FIELD_ONLY("protocols", SET, .required = true, .def = "[\"http\", \"https\"]", .length = TP_AT_LEAST(1),
                  .element = &protocol, .exclusive_sets = protocol_families,
                  .about = "By which protocols requests may come."),
    TP_FIELD_ONLY("https_redirect_status_code", INTEGER, .required = true, .def = "426",
                  .one_of = TP_NAMES("426", "301", "302", "307", "308"),
                  .about = "The status that answers a plain request on a route that wants TLS."),
    SWITCH("strip_path", "true", "Take the matched prefix off the upstream's path."),
    SWITCH("preserve_host", "false", "Send the client's Host upstream, instead of the service's."),
    SWITCH("request_buffering", "true", "Read the whole request before it is sent upstream."),
    SWITCH("response_buffering", "true", "Collect the answer before it is sent to the client."),
    TP_FIELD_TAGS,
    TP_FIELD_ONLY("service", FOREIGN, .reference = "services", .about = "Where matching requests go."),
    TP_FIELD_ONLY("snis", SET, .element = &sni, .about = "Names asked for by TLS; one may begin or end with *."),
    TP_FIELD_ONLY("sources", SET, .element = &endpoint, .about = "Where connections come from."),
    TP_FIELD_ONLY("destinations", SET, .element = &endpoint, .about = "Where connections arrive."),
    TP_FIELD_ONLY("methods", SET, .element = &method, .about = "HTTP methods."),
    TP_FIELD_ONLY("hosts", ARRAY, .element = &host, .about = "Host names, with or without port or wildcard."),
    TP_FIELD_ONLY("paths", ARRAY, .element = &path,
                  .about = "Beginnings of paths, or regular expressions with ~ in front."),
    TP_FIELD_ONLY("headers", MAP, .key = &header_name, .element = &header_values,
                  .about = "Header names, each with the values that match; ~* in front makes a regular expression."),
    TP_FIELD_ONLY("regex_priority", INTEGER, .def = "0", .about = "The higher is tried first, among regex paths."),
    TP_FIELD_ONLY("path_handling", STRING, .def = "v0", .one_of = TP_NAMES("v0", "v1"),
                  .about = "How the service's path and the request's are joined."),
    { 0 },
};

/* gRPC names its calls by path: nothing may be stripped, so the default is another. */
static void expand(json_t *input, bool is_update)
{
    struct tp_str first = tp_json_str(json_array_get(json_object_get(input, "protocols"), 0));

    if (is_update || json_object_get(input, "strip_path"))
        return;
    if (tp_str_eq(first, TP_STR("grpc")) || tp_str_eq(first, TP_STR("grpcs")))
        json_object_set_new(input, "strip_path", json_false());
}

const struct tp_entity tp_entity_routes = {
    .name = "routes",
    .api_name = "routes",
    .endpoint_key = "name",
    .fields = fields,
    .checks = tp_route_checks,
    .in_plan = true,
    .expand = expand,
};
