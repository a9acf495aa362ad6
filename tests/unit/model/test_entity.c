/* model/entity.c and the tables of services, routes, consumers and keys: what is accepted, filled in, refused. */
#include "model_test.h"

/* --- Services --------------------------------------------------------------------------------- */

TEST(service_gets_every_field)
{
    json_t *s = inserted("services", "{'name':'s','host':'h'}");

    CHECK_INT(json_object_size(s), 18);
    CHECK_FIELD(s, "retries", "5");
    CHECK_FIELD(s, "protocol", "'http'");
    CHECK_FIELD(s, "port", "80");
    CHECK_FIELD(s, "path", "null");
    CHECK_FIELD(s, "read_timeout", "60000");
    CHECK_FIELD(s, "tls_verify", "null");
    CHECK_FIELD(s, "enabled", "true");
    CHECK_FIELD(s, "created_at", "1700000000");
    CHECK_FIELD(s, "updated_at", "1700000000");
    CHECK_INT(json_string_length(json_object_get(s, "id")), 36);
    CHECK(json_object_get(s, "url") == NULL);
    json_decref(s);
}

TEST(url_is_split_and_wins)
{
    json_t *s = inserted("services", "{'url':'https://api.test/v1/x?q#f','host':'other','port':1}");

    CHECK_FIELD(s, "protocol", "'https'");
    CHECK_FIELD(s, "host", "'api.test'");
    CHECK_FIELD(s, "port", "443");
    CHECK_FIELD(s, "path", "'/v1/x'");
    json_decref(s);

    s = inserted("services", "{'url':'http://u:p@[::1]:8080'}");
    CHECK_FIELD(s, "host", "'::1'");
    CHECK_FIELD(s, "port", "8080");
    CHECK_FIELD(s, "path", "null");
    json_decref(s);

    s = inserted("services", "{'url':'grpc://g.test'}");
    CHECK_FIELD(s, "port", "80");
    json_decref(s);

    s = inserted("services", "{'url':'//h.test:443/a'}");
    CHECK_FIELD(s, "protocol", "'https'");
    json_decref(s);
}

TEST(bad_url_is_explained)
{
    CHECK_REFUSED("services", "{'url':'nope'}",
                  "2 schema violations (host: required field missing; path: should start with: /)");
    CHECK_REFUSED("services", "{'url':5}", "schema violation (url: expected a string)");
    CHECK_REFUSED("services", "{'url':'http://'}", "schema violation (host: required field missing)");
    CHECK_REFUSED("services", "{'url':'http://a:99999'}",
                  "schema violation (port: value should be between 0 and 65535)");
    CHECK_REFUSED("services", "{'url':'http://a:x'}", "schema violation (port: expected an integer)");
}

TEST(service_fields_are_checked)
{
    CHECK_REFUSED("services", "{}", "schema violation (host: required field missing)");
    CHECK_REFUSED("services", "{'host':''}", "schema violation (host: length must be at least 1)");
    CHECK_REFUSED("services", "{'host':'a b'}", "schema violation (host: invalid value: a b)");
    CHECK_REFUSED("services", "{'host':'a:80'}", "schema violation (host: must not have a port)");
    CHECK_REFUSED("services", "{'host':'a','port':'80'}", "schema violation (port: expected an integer)");
    CHECK_REFUSED("services", "{'host':'a','port':80.5}", "schema violation (port: expected an integer)");
    CHECK_REFUSED("services", "{'host':'a','path':'/a//b'}", "schema violation (path: must not have empty segments)");
    CHECK_REFUSED("services", "{'host':'a','path':'/%zz'}",
                  "schema violation (path: invalid url-encoded value: '%zz')");
    CHECK_REFUSED("services", "{'host':'a','connect_timeout':0}",
                  "schema violation (connect_timeout: value should be between 1 and 2147483646)");
    CHECK_REFUSED("services", "{'host':'a','protocol':'https','ca_certificates':['x']}",
                  "schema violation (ca_certificates.1: expected a valid UUID)");
    CHECK_REFUSED("services", "{'host':'a','x':1,'w':{}}", "2 schema violations (w: unknown field; x: unknown field)");
    CHECK_REFUSED("services", "{'host':'a','id':'nope'}", "schema violation (id: expected a valid UUID)");
    CHECK_REFUSED("services", "{'host':'a','protocol':'https','client_certificate':'x'}",
                  "schema violation (client_certificate.id: missing primary key)");
}

TEST(protocol_decides_what_else_may_be_set)
{
    CHECK_REFUSED("services", "{'host':'a','protocol':'tcp','path':'/x'}",
                  "2 schema violations (failed conditional validation given value of field 'protocol'; "
                  "path: value must be null)");
    CHECK_REFUSED("services", "{'host':'a','tls_verify':true}",
                  "2 schema violations (failed conditional validation given value of field 'protocol'; "
                  "tls_verify: value must be null)");
    CHECK_ACCEPTED("services", "{'host':'a','protocol':'https','tls_verify':true,'tls_verify_depth':3}");
}

/* --- Shared behaviour ------------------------------------------------------------------------- */

TEST(whole_numbers_may_have_a_fraction_of_zero)
{
    json_t *s = inserted("services", "{'host':'h','port':8080.0}");

    CHECK(json_is_integer(json_object_get(s, "port")));
    CHECK_FIELD(s, "port", "8080");
    json_decref(s);
    CHECK_REFUSED("routes", "{'paths':['/a'],'regex_priority':1e300}",
                  "schema violation (regex_priority: expected an integer)");
}

TEST(sets_lose_duplicates_and_keep_order)
{
    json_t *s = inserted("services", "{'host':'h','tags':['b','a','b','a','c']}");

    CHECK_FIELD(s, "tags", "['b','a','c']");
    json_decref(s);
}

TEST(empty_tables_take_the_kind_of_their_field)
{
    json_t *r = inserted("routes", "{'paths':['/a'],'headers':[],'methods':{}}");

    CHECK_FIELD(r, "headers", "{}");
    CHECK_FIELD(r, "methods", "[]");
    json_decref(r);
    r = inserted("consumers", "{'username':'u','tags':[]}");
    CHECK_FIELD(r, "tags", "[]");
    json_decref(r);
}

TEST(list_errors_name_the_position)
{
    json_t *in = json_of("{'host':'h','tags':['ok','a,b','ok']}"), *out = NULL, *errors = NULL;
    struct tp_draft draft = { entity_of("services"), NULL, TP_INSERT, in, NULL, TEST_NOW };

    CHECK_INT(tp_entity_prepare(&draft, &out, &errors), TP_ERR_INVALID);
    CHECK(json_is_null(json_array_get(json_object_get(errors, "tags"), 0)));
    CHECK_INT(json_array_size(json_object_get(errors, "tags")), 2);
    json_decref(errors);
    json_decref(in);
    CHECK_REFUSED("services", "{'host':'h','tags':['ok','a,b']}",
                  "schema violation (tags.2: invalid tag 'a,b': expected printable ascii (except `,` and `/`) or valid "
                  "utf-8 sequences)");
    CHECK_REFUSED("services", "{'host':'h','tags':[null]}", "schema violation (tags.1: required field missing)");
    CHECK_REFUSED("services", "{'host':'h','tags':'x'}", "schema violation (tags: expected a set)");
}

TEST(hostile_values_are_refused_cleanly)
{
    json_t *in = json_object(), *deep = json_array(), *tags = json_array();
    char *message;

    for (int i = 0; i < 1000; i++) {
        json_t *outer = json_array();

        json_array_append_new(outer, deep);
        deep = outer;
    }
    json_object_set_new(in, "username", json_stringn("a\0b", 3));
    json_object_set_new(in, "custom_id", deep);
    message = refusal_of("consumers", NULL, TP_INSERT, in, NULL);
    CHECK_STR(message, "2 schema violations (custom_id: expected a string; username: must not contain NUL characters)");
    free(message);
    for (int i = 0; i < 200000; i++)
        json_array_append_new(tags, json_integer(i));
    json_object_clear(in);
    json_object_set_new(in, "username", json_string("u"));
    json_object_set_new(in, "tags", tags);
    message = refusal_of("consumers", NULL, TP_INSERT, in, NULL);
    CHECK(strlen(message) < 100000);
    free(message);
    json_decref(in);
    in = json_string("no object");
    message = refusal_of("consumers", NULL, TP_INSERT, in, NULL);
    CHECK_STR(message, "schema violation (expected a record)");
    free(message);
    json_decref(in);
}

/* --- Updates ---------------------------------------------------------------------------------- */

TEST(update_merges_into_the_stored_row)
{
    json_t *stored = inserted("services", "{'name':'s','url':'http://a.test:81/p','tags':['x'],'created_at':5}");
    json_t *s = prepared("services", NULL, TP_UPDATE, "{'retries':null,'tags':['y'],'id':'ignored'}", stored);

    CHECK_FIELD(s, "retries", "null");
    CHECK_FIELD(s, "tags", "['y']");
    CHECK_FIELD(s, "host", "'a.test'");
    CHECK_FIELD(s, "created_at", "5");
    CHECK_FIELD(s, "updated_at", "1700000000");
    CHECK(json_equal(json_object_get(s, "id"), json_object_get(stored, "id")));
    json_decref(s);
    s = prepared("services", NULL, TP_UPDATE, "{'url':'http://b.test'}", stored);
    CHECK_FIELD(s, "path", "null");
    CHECK_FIELD(s, "port", "80");
    json_decref(s);
    json_decref(stored);
}

TEST(update_cannot_empty_what_is_required)
{
    json_t *stored = inserted("consumers", "{'username':'u'}"), *in = json_of("{'username':null}");
    char *message = refusal_of("consumers", NULL, TP_UPDATE, in, stored);

    CHECK_STR(message, "schema violation (when updating, at least one of these fields must be non-empty: "
                       "'custom_id', 'username')");
    free(message);
    json_decref(in);
    json_decref(stored);
    stored = inserted("services", "{'host':'h'}");
    in = json_of("{'port':null}");
    message = refusal_of("services", NULL, TP_UPDATE, in, stored);
    CHECK_STR(message, "schema violation (port: required field missing)");
    free(message);
    json_decref(in);
    json_decref(stored);
}

TEST(upsert_starts_anew_but_keeps_the_id)
{
    json_t *stored = inserted("services", "{'name':'s','host':'h','retries':9,'created_at':5}");
    json_t *s = prepared("services", NULL, TP_UPSERT, "{'name':'s','host':'h2'}", stored);

    CHECK_FIELD(s, "retries", "5");
    CHECK_FIELD(s, "created_at", "1700000000");
    CHECK(json_equal(json_object_get(s, "id"), json_object_get(stored, "id")));
    json_decref(s);
    json_decref(stored);
}

/* --- Consumers and keys ----------------------------------------------------------------------- */

TEST(consumer_needs_a_name)
{
    CHECK_REFUSED("consumers", "{}",
                  "schema violation (at least one of these fields must be non-empty: 'custom_id', 'username')");
    CHECK_REFUSED("consumers", "{'username':''}",
                  "2 schema violations (at least one of these fields must be non-empty: 'custom_id', 'username'; "
                  "username: length must be at least 1)");
    CHECK_ACCEPTED("consumers", "{'username':'a b/c@d'}");
}

TEST(key_is_drawn_and_owner_required)
{
    json_t *k = inserted("keyauth_credentials", "{'consumer':{'id':'00000000-0000-4000-8000-00000000000A'}}");

    CHECK_INT(json_string_length(json_object_get(k, "key")), 32);
    CHECK_FIELD(k, "consumer", "{'id':'00000000-0000-4000-8000-00000000000a'}");
    CHECK_FIELD(k, "ttl", "null");
    CHECK(json_object_get(k, "updated_at") == NULL);
    json_decref(k);
    CHECK_REFUSED("keyauth_credentials", "{'key':'x'}", "schema violation (consumer: required field missing)");
}

TEST(ttl_is_an_option_with_its_own_error)
{
    json_t *in = json_of("{'ttl':-1}"), *options = NULL;
    json_t *k = inserted("keyauth_credentials", "{'consumer':{'id':'00000000-0000-4000-8000-000000000001'},'ttl':60}");

    CHECK_FIELD(k, "ttl", "60");
    json_decref(k);
    k = inserted("keyauth_credentials", "{'consumer':{'id':'00000000-0000-4000-8000-000000000001'},'ttl':0}");
    CHECK_FIELD(k, "ttl", "null");
    json_decref(k);
    CHECK(!tp_entity_options_valid(entity_of("keyauth_credentials"), in, &options));
    CHECK(same_json(options, "{'ttl':'must be an integer between 0 and 100000000'}"));
    json_decref(options);
    CHECK(tp_entity_options_valid(entity_of("consumers"), in, &options));
    json_decref(in);
    CHECK_REFUSED("consumers", "{'username':'u','ttl':5}", "schema violation (ttl: unknown field)");
}

/* --- Routes ----------------------------------------------------------------------------------- */

TEST(route_gets_every_field)
{
    json_t *r = inserted("routes", "{'paths':['/a']}");

    CHECK_INT(json_object_size(r), 21);
    CHECK_FIELD(r, "protocols", "['http','https']");
    CHECK_FIELD(r, "https_redirect_status_code", "426");
    CHECK_FIELD(r, "strip_path", "true");
    CHECK_FIELD(r, "path_handling", "'v0'");
    CHECK_FIELD(r, "regex_priority", "0");
    CHECK_FIELD(r, "hosts", "null");
    json_decref(r);
}

TEST(route_paths)
{
    CHECK_REFUSED("routes", "{'paths':['a']}",
                  "schema violation (paths.1: should start with: / (fixed path) or ~/ (regex path))");
    CHECK_REFUSED("routes", "{'paths':['/a/../b']}",
                  "schema violation (paths.1: non-normalized path, consider use '/b' instead)");
    CHECK_REFUSED("routes", "{'paths':['/a%2fb']}",
                  "schema violation (paths.1: non-normalized path, consider use '/a%2Fb' instead)");
    CHECK_REFUSED("routes", "{'paths':['/%7Efoo']}",
                  "schema violation (paths.1: non-normalized path, consider use '/~foo' instead)");
    CHECK_REFUSED("routes", "{'paths':['/a/..']}",
                  "schema violation (paths.1: non-normalized path, consider use '/' instead)");
    CHECK_REFUSED("routes", "{'paths':['/a/b/../../../c']}",
                  "schema violation (paths.1: non-normalized path, consider use '/c' instead)");
    CHECK_REFUSED("routes", "{'paths':['~/(']}",
                  "schema violation (paths.1: invalid regex: '/(' (PCRE returned: pcre2_compile() failed: missing "
                  "closing parenthesis in \"/(\"))");
    CHECK_ACCEPTED("routes", "{'paths':['/', '/a/', '/a b', '/(', '~/[0-9]+$', '~/(?<name>[^/]+)/x']}");
}

TEST(regexes_that_no_automaton_matches_are_refused)
{
    json_t *in = json_of("{'paths':['~/a(?=b)']}");
    char *message = refusal_of("routes", NULL, TP_INSERT, in, NULL);

    CHECK(strstr(message, "Router Expression failed validation: ") != NULL);
    CHECK(strstr(message, "look-around") != NULL);
    free(message);
    json_decref(in);
    in = json_of("{'paths':['~/(a)\\\\1']}");
    message = refusal_of("routes", NULL, TP_INSERT, in, NULL);
    CHECK(strstr(message, "backreferences") != NULL);
    free(message);
    json_decref(in);
    in = json_of("{'headers':{'x':['~*(']}}");
    message = refusal_of("routes", NULL, TP_INSERT, in, NULL);
    CHECK(strstr(message, "Router Expression failed validation: ") != NULL);
    free(message);
    json_decref(in);
}

TEST(route_protocols_and_families)
{
    CHECK_REFUSED("routes", "{'paths':['/a'],'protocols':['ftp']}", "schema violation (protocols: unknown type: ftp)");
    CHECK_REFUSED("routes", "{'paths':['/a'],'protocols':[]}", "schema violation (protocols: unknown type: nil)");
    CHECK_REFUSED("routes", "{'paths':['/a'],'protocols':['http','ftp']}",
                  "schema violation (protocols.2: expected one of: grpc, grpcs, http, https, tcp, tls, "
                  "tls_passthrough, udp)");
    CHECK_REFUSED("routes", "{'paths':['/a'],'protocols':['http','tcp']}",
                  "schema violation (protocols: these sets are mutually exclusive: ('http', 'https'), "
                  "('tcp', 'tls', 'udp'))");
    CHECK_REFUSED("routes", "{}",
                  "schema violation (must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' "
                  "is 'https')");
    CHECK_REFUSED(
        "routes", "{'protocols':['http']}",
        "schema violation (must set one of 'methods', 'hosts', 'headers', 'paths' when 'protocols' is 'http')");
    CHECK_REFUSED("routes", "{'paths':['/a'],'protocols':['tcp']}",
                  "2 schema violations (must set one of 'sources', 'destinations', 'snis' when 'protocols' is 'tcp', "
                  "'tls' or 'udp'; paths: cannot set 'paths' when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or "
                  "'udp')");
    CHECK_REFUSED("routes", "{'protocols':['tls_passthrough']}",
                  "schema violation (must set snis when 'protocols' is 'tls_passthrough')");
    CHECK_REFUSED("routes", "{'paths':['/a'],'snis':['a'],'protocols':['http']}",
                  "2 schema violations ('snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or "
                  "'tls_passthrough'; snis: length must be 0)");
    CHECK_REFUSED("routes", "{'protocols':['tcp'],'sources':[{}]}",
                  "schema violation (sources.1: {\n  [\"@entity\"] = {\n    \"at least one of these fields must be "
                  "non-empty: 'ip', 'port'\"\n  }\n})");
    CHECK_ACCEPTED("routes", "{'protocols':['tcp'],'sources':[{'ip':'10.0.0.0/8'},{'port':9000}]}");
}

TEST(grpc_routes_do_not_strip)
{
    json_t *r = inserted("routes", "{'paths':['/a'],'protocols':['grpc']}");

    CHECK_FIELD(r, "strip_path", "false");
    json_decref(r);
    CHECK_REFUSED("routes", "{'paths':['/a'],'protocols':['grpc'],'strip_path':true}",
                  "schema violation (strip_path: cannot set 'strip_path' when 'protocols' is 'grpc' or 'grpcs')");
}

TEST(route_hosts_and_headers)
{
    CHECK_REFUSED("routes", "{'hosts':['a b']}", "schema violation (hosts.1: invalid hostname: a b)");
    CHECK_REFUSED("routes", "{'hosts':['*']}",
                  "schema violation (hosts.1: invalid wildcard: must be placed at leftmost or rightmost label)");
    CHECK_REFUSED("routes", "{'hosts':['*.a.*']}",
                  "schema violation (hosts.1: invalid wildcard: must have at most one wildcard)");
    CHECK_REFUSED("routes", "{'hosts':['a.test:99999']}", "schema violation (hosts.1: invalid port number)");
    CHECK_ACCEPTED("routes", "{'hosts':['a.test:80','*.b.test','c.*','*.d.test:8443','1.2.3.4','[::1]:80','::1']}");
    CHECK_REFUSED("routes", "{'headers':{'Host':['a']}}",
                  "schema violation (headers: cannot contain 'host' header, which must be specified in the 'hosts' "
                  "attribute)");
    CHECK_REFUSED("routes", "{'headers':{'x':'a'}}", "schema violation (headers: expected an array)");
    CHECK_REFUSED("routes", "{'methods':['get']}", "schema violation (methods.1: invalid value: get)");
}

TEST(endpoint_keys_are_checked_before_they_are_looked_up)
{
    char message[200];

    CHECK(tp_entity_key_valid(entity_of("services"), "name", TP_STR("good"), message, sizeof(message)));
    CHECK(!tp_entity_key_valid(entity_of("services"), "name", TP_STR("bad name"), message, sizeof(message)));
    CHECK_STR((const char *)message,
              "invalid value 'bad name': the only accepted ascii characters are alphanumerics or ., -, _, and ~");
    CHECK(!tp_entity_key_valid(entity_of("services"), "name", TP_STR("\xff"), message, sizeof(message)));
}
