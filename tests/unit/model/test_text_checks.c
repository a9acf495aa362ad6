/* model/text_checks.c, path_check.c, regex_check.c and lua_pattern.c. */
#include "model/lua_pattern.h"
#include "model/path_check.h"
#include "model/regex_check.h"
#include "model_test.h"

/* The message with which `check` refuses; "" when it does not. */
static const char *message_of(tp_field_check_fn check, struct tp_str text)
{
    static char message[1024];

    message[0] = '\0';
    return check(text, message, sizeof(message)) ? "" : message;
}
#define SAYS(check, text, want) CHECK_STR(message_of((check), TP_STR(text)), (want))

TEST(hosts)
{
    SAYS(tp_check_host, "a-b_c.test", "");
    SAYS(tp_check_host, "a.test.", "");
    SAYS(tp_check_host, "1.2.3.4", "");
    SAYS(tp_check_host, "::1", "");
    SAYS(tp_check_host, "a..b", "invalid value: a..b");
    SAYS(tp_check_host, "a-.b", "invalid value: a-.b");
    SAYS(tp_check_host, "1.2.3.400", "invalid value: 1.2.3.400");
    SAYS(tp_check_host, "a:80", "must not have a port");
    SAYS(tp_check_host_with_port, "a:80", "");
    SAYS(tp_check_host_with_port, "[::1]:80", "");
    SAYS(tp_check_host_with_port, "a:65536", "invalid port number");
    SAYS(tp_check_host_with_port, "1.2.3", "invalid ipv4 address: 1.2.3");
    SAYS(tp_check_host_with_port, "::g", "invalid ipv6 address: ::g");
    SAYS(tp_check_host_with_port, "[", "invalid hostname: [");
    SAYS(tp_check_host_with_port, ":80", "invalid ipv4 address: :80");
    SAYS(tp_check_host_with_port, "[:::", "invalid ipv6 address: [:::");
}

TEST(server_names)
{
    SAYS(tp_check_sni, "a.test", "");
    SAYS(tp_check_sni, "1.2.3.4", "must not be an IP");
    SAYS(tp_check_sni, "a:99999", "must not have a port");
    SAYS(tp_check_wildcard_host, "*.a.test", "");
    SAYS(tp_check_wildcard_host, "a.*", "");
    SAYS(tp_check_wildcard_host, "a.*.b", "wildcard must be leftmost or rightmost character");
    SAYS(tp_check_wildcard_host, "*.a.*", "only one wildcard must be specified");
}

TEST(addresses_and_urls)
{
    SAYS(tp_check_ip_or_cidr, "10.0.0.0/8", "");
    SAYS(tp_check_ip_or_cidr, "::/0", "");
    SAYS(tp_check_ip_or_cidr, "10.0.0.0/33", "invalid ip or cidr range: '10.0.0.0/33'");
    SAYS(tp_check_ip_or_cidr, "10.0.0.0/", "invalid ip or cidr range: '10.0.0.0/'");
    SAYS(tp_check_ip_or_cidr, "", "invalid ip or cidr range: ''");
    SAYS(tp_check_url, "http://a.test/x", "");
    SAYS(tp_check_url, "a.test", "missing host in url");
    SAYS(tp_check_url, "//a.test", "missing scheme in url");
}

TEST(names_and_tags)
{
    SAYS(tp_check_utf8_name, "a.B-1_~\xc3\xa9", "");
    SAYS(tp_check_utf8_name, "ab\xff", "invalid utf-8 character sequence detected at position 3");
    SAYS(tp_check_tag, "with space!", "");
    SAYS(tp_check_tag, "a/b",
         "invalid tag 'a/b': expected printable ascii (except `,` and `/`) or valid utf-8 sequences");
    SAYS(tp_check_tag, "a\tb",
         "invalid tag 'a\tb': expected printable ascii (except `,` and `/`) or valid utf-8 sequences");
    SAYS(tp_check_header_name, "X-Y_1", "");
    SAYS(tp_check_header_name, "a b", "bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', and '-'");
}

TEST(paths)
{
    SAYS(tp_check_path, "/a%20b;c=1", "");
    SAYS(tp_check_path, "/a?b", "invalid path: '/a?b' (characters outside of the reserved list of RFC 3986 found)");
    SAYS(tp_check_path, "/a%2", "invalid url-encoded value: '%2'");
    SAYS(tp_check_route_path, "/a/./b", "non-normalized path, consider use '/a/b' instead");
    SAYS(tp_check_route_path, "/..", "non-normalized path, consider use '/' instead");
    SAYS(tp_check_route_path, "/a/.", "non-normalized path, consider use '/a/' instead");
    SAYS(tp_check_route_path, "~/a[",
         "invalid regex: '/a[' (PCRE returned: pcre2_compile() failed: missing terminating "
         "] for character class in \"/a[\")");
}

TEST(regular_expressions_for_an_automaton)
{
    char message[300];

    CHECK(tp_regex_is_regular(TP_STR("^/(?<id>[^/]+)/(?:a|b)*\\d{2,3}$"), message, sizeof(message)));
    CHECK(tp_regex_is_regular(TP_STR("[(?=]\\(?="), message, sizeof(message)));
    CHECK(tp_regex_is_regular(TP_STR("(?i)a"), message, sizeof(message)));
    CHECK(tp_regex_is_regular(TP_STR("\\"), message, sizeof(message)));
    CHECK(!tp_regex_is_regular(TP_STR("a(?!b)"), message, sizeof(message)));
    CHECK(!tp_regex_is_regular(TP_STR("a(?<=b)"), message, sizeof(message)));
    CHECK(!tp_regex_is_regular(TP_STR("(a)\\1"), message, sizeof(message)));
    CHECK(!tp_regex_is_regular(TP_STR("(?<n>a)(?P=n)"), message, sizeof(message)));
    CHECK(!tp_regex_is_regular(TP_STR("(?>a)"), message, sizeof(message)));
    CHECK(!tp_regex_is_regular(TP_STR("a(?R)?"), message, sizeof(message)));
    CHECK(tp_regex_compiles(TP_STR("(?>a)"), message, sizeof(message)));
    CHECK(!tp_regex_compiles(TP_STR("((((a{1000}){1000}){1000}){1000})"), message, sizeof(message)));
}

TEST(lua_patterns)
{
    CHECK(tp_lua_pattern_find("^%u+$", TP_STR("GET")));
    CHECK(!tp_lua_pattern_find("^%u+$", TP_STR("GeT")));
    CHECK(!tp_lua_pattern_find("^%u+$", TP_STR("")));
    CHECK(tp_lua_pattern_find("//", TP_STR("a//b")));
    CHECK(tp_lua_pattern_find("^[^:]+:.*$", TP_STR("a:b:c")));
    CHECK(!tp_lua_pattern_find("^[^:]+:.*$", TP_STR(":b")));
    CHECK(tp_lua_pattern_find("^[^*]*%*?[^*]*$", TP_STR("*.a")));
    CHECK(!tp_lua_pattern_find("^[^*]*%*?[^*]*$", TP_STR("*.*")));
    CHECK(tp_lua_pattern_find("%.%*$", TP_STR("a.*")));
    CHECK(tp_lua_pattern_find("^a-b$", TP_STR("aaab")));
    CHECK(tp_lua_pattern_find("^[]x]$", TP_STR("]")));
    CHECK(tp_lua_pattern_find("[%d%-]", TP_STR("a-")));
    CHECK(!tp_lua_pattern_find("^%a$", TP_STR("\xe9")));
}

TEST(a_pattern_that_backtracks_gives_up)
{
    char text[5000];

    memset(text, 'a', sizeof(text));
    CHECK(!tp_lua_pattern_find(".*.*.*.*.*b", tp_str_make(text, sizeof(text))));
}
