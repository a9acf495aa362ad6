/* Error bodies: negotiation and exact bytes (proxying.md §5). */
#include "gateway/request.h"
#include "support/test.h"

static struct tp_arena *arena;
static struct tp_gateway_settings settings;
static struct tp_error_body out;

static void make(int status, const char *message, const char *accept, const char *type, bool server_level)
{
    tp_error_body_make(arena, &settings, status, message, tp_str_from_cstr(accept), tp_str_from_cstr(type),
                       server_level, TP_STR("R"), &out);
}

static struct tp_str type_for(const char *accept)
{
    make(404, "M", accept, NULL, false);
    return tp_str_head(out.content_type, (size_t)tp_str_chr(out.content_type, ';'));
}

TEST(bodies_are_exact_to_the_byte)
{
    arena = tp_arena_new();
    make(404, "M \"x\"", NULL, NULL, false);
    CHECK_STR(out.content_type, "application/json; charset=utf-8");
    CHECK_STR(out.body, "{\n  \"message\":\"M \"x\"\",\n  \"request_id\":\"R\"\n}");
    make(404, "M", "text/plain", NULL, false);
    CHECK_STR(out.content_type, "text/plain; charset=utf-8");
    CHECK_STR(out.body, "M\nrequest_id: R\n");
    make(404, "M", "application/xml", NULL, false);
    CHECK_STR(out.content_type, "application/xml; charset=utf-8");
    CHECK_STR(out.body, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n  <message>M</message>\n"
                        "  <requestid>R</requestid>\n</error>\n");
    make(404, "M", "text/html", NULL, false);
    CHECK_STR(out.content_type, "text/html; charset=utf-8");
    CHECK_STR(out.body, "<!doctype html>\n<html>\n  <head>\n    <meta charset=\"utf-8\">\n    <title>Error</title>\n"
                        "  </head>\n  <body>\n    <h1>Error</h1>\n    <p>M.</p>\n    <p>request_id: R</p>\n"
                        "  </body>\n</html>\n");
    tp_arena_free(arena);
}

TEST(accept_is_negotiated_by_quality_then_order)
{
    arena = tp_arena_new();
    CHECK_STR(type_for("text/html;q=0.1, application/json"), "application/json");
    CHECK_STR(type_for("text/html, application/json"), "text/html");
    CHECK_STR(type_for("text/html;q=0, text/plain;q=0.1"), "text/plain");
    CHECK_STR(type_for("image/png"), "application/json");
    CHECK_STR(type_for("*/*"), "application/json");
    CHECK_STR(type_for("text/*"), "text/plain");
    CHECK_STR(type_for("application/*"), "application/json");
    CHECK_STR(type_for("TEXT/HTML"), "text/html");
    CHECK_STR(type_for(""), "application/json");
    CHECK_STR(type_for(",,;q=1,nonsense,/,text/html;q=abc"), "application/json");
    tp_arena_free(arena);
}

TEST(server_level_errors_follow_accept_then_content_type_then_plain)
{
    arena = tp_arena_new();
    make(502, NULL, NULL, NULL, true);
    CHECK_STR(out.content_type, "text/plain; charset=utf-8");
    CHECK_STR(out.body, "An invalid response was received from the upstream server\nrequest_id: R\n");
    make(502, NULL, NULL, "application/json", true);
    CHECK_STR(out.content_type, "application/json; charset=utf-8");
    settings.error_default_type = TP_STR("application/xml");
    make(502, NULL, NULL, NULL, true);
    CHECK_STR(out.content_type, "application/xml; charset=utf-8");
    settings.error_default_type = TP_STR_NULL;
    make(502, NULL, "text/html", "application/json", true);
    CHECK_STR(out.content_type, "text/html; charset=utf-8");
    make(502, NULL, NULL, "application/grpc", true);
    CHECK_STR(out.body, "{\"message\":\"An invalid response was received from the upstream server\"}");
    tp_arena_free(arena);
}

TEST(some_server_errors_keep_the_servers_page)
{
    arena = tp_arena_new();
    make(505, NULL, "application/json", NULL, true);
    CHECK_STR(out.content_type, "text/html; charset=UTF-8");
    CHECK_STR(out.body, "<html>\r\n<head><title>505 HTTP Version Not Supported</title></head>\r\n<body>\r\n"
                        "<center><h1>505 HTTP Version Not Supported</h1></center>\r\n</body>\r\n</html>\r\n");
    make(501, NULL, "application/json", NULL, false);
    CHECK_STR(out.body, "{\n  \"message\":\"Not implemented\",\n  \"request_id\":\"R\"\n}");
    tp_arena_free(arena);
}

TEST(statuses_have_their_own_texts)
{
    arena = tp_arena_new();
    make(494, NULL, "text/plain", NULL, false);
    CHECK_STR(out.body, "Request header or cookie too large\nrequest_id: R\n");
    make(418, NULL, "text/plain", NULL, false);
    CHECK_STR(out.body, "I'm a teapot\nrequest_id: R\n");
    make(599, NULL, "text/plain", NULL, false);
    CHECK_STR(out.body, "The upstream server responded with 599\nrequest_id: R\n");
    tp_arena_free(arena);
}

TEST(an_operators_template_is_filled_and_never_a_format)
{
    arena = tp_arena_new();
    settings.error_template[1] = TP_STR("{\"m\":\"%s\",\"id\":\"%s\",\"more\":\"%s %n\"}");
    make(404, "%s%n", NULL, NULL, false);
    CHECK_STR(out.body, "{\"m\":\"%s%n\",\"id\":\"R\",\"more\":\"%s %n\"}");
    settings.error_template[1] = TP_STR("none");
    make(404, "M", NULL, NULL, false);
    CHECK_STR(out.body, "none");
    settings.error_template[1] = TP_STR_NULL;
    tp_arena_free(arena);
}
