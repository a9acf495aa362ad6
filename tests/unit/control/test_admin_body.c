/* Request bodies: JSON, forms with dotted and bracketed names, multipart. */
#include "base/buf.h"
#include "control/admin/body.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

#define FORM "application/x-www-form-urlencoded"
#define MULTIPART "multipart/form-data; boundary=----b"

/* The body as sorted, compact JSON, or the message of its failure; owned. */
static char *parse_bytes(const char *content_type, struct tp_str body)
{
    struct tp_arena *arena = tp_arena_new();
    struct tp_str type = tp_str_from_cstr(content_type);
    const char *message = NULL;
    json_t *value = NULL;
    char *text;

    if (tp_admin_body_parse(arena, tp_admin_body_type(type, body.len), type, body, &value, &message))
        text = strdup(message);
    else
        text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(value);
    tp_arena_free(arena);
    return text;
}

#define CHECK_BODY(type, body, want)                                                                                   \
    do {                                                                                                               \
        char *got_ = parse_bytes((type), TP_STR(body));                                                                \
        CHECK_STR(got_, (const char *)(want));                                                                         \
        free(got_);                                                                                                    \
    } while (0)

TEST(content_types_are_told_by_a_prefix_in_their_case)
{
    CHECK_INT(tp_admin_body_type(TP_STR("application/json;charset=latin1"), 1), TP_ADMIN_BODY_JSON);
    CHECK_INT(tp_admin_body_type(TP_STR("APPLICATION/JSON"), 1), TP_ADMIN_BODY_UNSUPPORTED);
    CHECK_INT(tp_admin_body_type(TP_STR("text/json"), 1), TP_ADMIN_BODY_UNSUPPORTED);
    CHECK_INT(tp_admin_body_type(TP_STR(FORM), 1), TP_ADMIN_BODY_FORM);
    CHECK_INT(tp_admin_body_type(TP_STR(MULTIPART), 1), TP_ADMIN_BODY_MULTIPART);
    CHECK_INT(tp_admin_body_type(TP_STR_NULL, 0), TP_ADMIN_BODY_NONE);
    CHECK_INT(tp_admin_body_type(TP_STR_NULL, 1), TP_ADMIN_BODY_UNSUPPORTED);
}

TEST(json_must_be_one_object)
{
    static const char bad[] = "Cannot parse JSON body";

    CHECK_BODY("application/json", "{\"a\":[1,null]}", "{\"a\":[1,null]}");
    CHECK_BODY("application/json", "[]", "{}");
    CHECK_BODY("application/json", "", bad);
    CHECK_BODY("application/json", "{", bad);
    CHECK_BODY("application/json", "{\"a\":1}{", bad);
    CHECK_BODY("application/json", "{'a':1}", bad);
    CHECK_BODY("application/json", "[1,2]", bad);
    CHECK_BODY("application/json", "null", bad);
    CHECK_BODY("application/json", "5", bad);
    CHECK_BODY("application/json", "{\"a\":\"\xff\"}", bad);
    CHECK_BODY("application/json", "{\"a\":\"\\u0000\"}", bad);
}

TEST(json_numbers_beyond_64_bits_are_numbers)
{
    CHECK_BODY("application/json", "{\"a\":99999999999999999999}", "{\"a\":1e20}");
}

TEST(a_flood_of_json_values_is_refused_before_it_takes_memory)
{
    struct tp_arena *arena = tp_arena_new();
    struct tp_buf body;
    json_t *out = NULL;
    const char *message = NULL;

    tp_buf_init(&body, 0);
    tp_buf_add_cstr(&body, "{\"tags\":[");
    for (int i = 0; i < 100000; i++)
        tp_buf_add_cstr(&body, "[],");
    tp_buf_add_cstr(&body, "1]}");
    CHECK_INT(tp_admin_body_parse(arena, TP_ADMIN_BODY_JSON, TP_STR("application/json"), tp_buf_str(&body), &out, &message),
              TP_ERR_INVALID);
    CHECK_STR(message, "The JSON body holds more than 100000 values");
    tp_buf_fini(&body);
    tp_arena_free(arena);
}

TEST(deeply_nested_json_is_refused)
{
    size_t depth = 100000;
    char *text = malloc(depth + 1), *got;

    memset(text, '[', depth);
    got = parse_bytes("application/json", tp_str_make(text, depth));
    CHECK_STR(got, "Cannot parse JSON body");
    free(got);
    free(text);
}

TEST(form_names_nest_by_dots_and_brackets)
{
    CHECK_BODY(FORM, "a=1&b.c.d=2", "{\"a\":\"1\",\"b\":{\"c\":{\"d\":\"2\"}}}");
    CHECK_BODY(FORM, "config[allow][]=g1", "{\"config\":{\"allow\":[\"g1\"]}}");
    CHECK_BODY(FORM, "config%5Ballow%5D%5B%5D=g1", "{\"config\":{\"allow\":[\"g1\"]}}");
    CHECK_BODY(FORM, "headers[foo.bar]=v", "{\"headers\":{\"foo.bar\":\"v\"}}");
    CHECK_BODY(FORM, "headers.x-v[]=a&headers.x-v[]=b", "{\"headers\":{\"x-v\":[\"a\",\"b\"]}}");
    CHECK_BODY(FORM, "config.limits[sms].minute=1", "{\"config\":{\"limits\":{\"sms\":{\"minute\":\"1\"}}}}");
}

TEST(form_lists_come_in_four_spellings)
{
    CHECK_BODY(FORM, "x[]=1&x[]=2", "{\"x\":[\"1\",\"2\"]}");
    CHECK_BODY(FORM, "x=1&x=2", "{\"x\":[\"1\",\"2\"]}");
    CHECK_BODY(FORM, "x[1]=a&x[2]=b", "{\"x\":[\"a\",\"b\"]}");
    CHECK_BODY(FORM, "x[2]=b&x[1]=a", "{\"x\":[\"a\",\"b\"]}");
    CHECK_BODY(FORM, "x[]=a", "{\"x\":[\"a\"]}");
    CHECK_BODY(FORM, "s[1].ip=a&s[1].port=2&s[2].ip=b", "{\"s\":[{\"ip\":\"a\",\"port\":\"2\"},{\"ip\":\"b\"}]}");
}

TEST(form_indices_that_do_not_count_from_one_are_no_list)
{
    CHECK_BODY(FORM, "x[0]=a&x[1]=b", "{\"x\":{\"0\":\"a\",\"1\":\"b\"}}");
    CHECK_BODY(FORM, "x[1]=a&x[3]=b", "{\"x\":{\"1\":\"a\",\"3\":\"b\"}}");
    CHECK_BODY(FORM, "x[1]=a&x[k]=b", "{\"x\":{\"1\":\"a\",\"k\":\"b\"}}");
    CHECK_BODY(FORM, "x[99999999999999999999]=a", "{\"x\":{\"99999999999999999999\":\"a\"}}");
}

TEST(form_oddities_are_harmless)
{
    CHECK_BODY(FORM, "", "{}");
    CHECK_BODY(FORM, "&&", "{}");
    CHECK_BODY(FORM, "=x", "{}");
    CHECK_BODY(FORM, "host", "{\"host\":true}");
    CHECK_BODY(FORM, "host=%zz&path=a+b%20c", "{\"host\":\"%zz\",\"path\":\"a b c\"}");
    CHECK_BODY(FORM, "x=a,b", "{\"x\":\"a,b\"}");
    CHECK_BODY(FORM, "a[b=1&[c]=2&d]=3", "{\"[c]\":\"2\",\"a[b\":\"1\",\"d]\":\"3\"}");
    CHECK_BODY(FORM, "a..b=1", "{\"a\":{\"\":{\"b\":\"1\"}}}");
    CHECK_BODY(FORM, "a=1&a.b=2", "{\"a\":{\"b\":\"2\"}}");
    CHECK_BODY(FORM, "a.b=1&a=2", "{\"a\":\"2\"}");
    CHECK_BODY(FORM, "a[]=1&a[b]=2", "{\"a\":{\"b\":\"2\"}}");
    CHECK_BODY(FORM, "a=%01&%011=b", "{\"1\":\"b\",\"a\":\"\\u0001\"}");
}

TEST(forms_hold_text_only)
{
    CHECK_BODY(FORM, "a=%ff", "The body is not valid UTF-8 text");
    CHECK_BODY(FORM, "a=%00", "The body is not valid UTF-8 text");
    CHECK_BODY(FORM, "%ff=a", "An argument's name is too long, too deeply nested, or not valid UTF-8 text");
}

static char *repeat(const char *piece, size_t count)
{
    size_t len = strlen(piece);
    char *text = malloc(len * count + 1), *end = text;

    for (size_t i = 0; i < count; i++)
        end = mempcpy(end, piece, len);
    *end = '\0';
    return text;
}

TEST(a_thousand_arguments_are_the_limit)
{
    char *text = repeat("a=1&", 1000), *got = parse_bytes(FORM, tp_str_make(text, 3999));

    CHECK(got[0] == '{');
    free(got);
    got = parse_bytes(FORM, tp_str_make(text, 4000));
    CHECK_STR(got, "Too many arguments");
    free(got);
    free(text);
}

TEST(names_have_a_depth)
{
    char *text = repeat("[a]", 40), *got;
    char *whole;

    CHECK(asprintf(&whole, "x%s=1", text) > 0);
    got = parse_bytes(FORM, tp_str_from_cstr(whole));
    CHECK_STR(got, "An argument's name is too long, too deeply nested, or not valid UTF-8 text");
    free(got);
    free(whole);
    free(text);
}

#define PART(name, value) "------b\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"

TEST(multipart_parts_are_arguments)
{
    CHECK_BODY(MULTIPART, PART("name", "m") PART("tags[]", "x") PART("config.a", "") "------b--\r\n",
               "{\"config\":{\"a\":\"\"},\"name\":\"m\",\"tags\":[\"x\"]}");
}

TEST(repeated_multipart_parts_make_a_list)
{
    CHECK_BODY(MULTIPART, PART("tags[]", "x") PART("tags[]", "y") "------b--", "{\"tags\":[\"x\",\"y\"]}");
}

TEST(multipart_values_keep_their_bytes)
{
    CHECK_BODY(MULTIPART, PART("a", "1\r\n2\n--x\r\n\r\n") "------b--", "{\"a\":\"1\\r\\n2\\n--x\\r\\n\\r\\n\"}");
}

TEST(multipart_files_are_text_and_json_parts_are_json)
{
    CHECK_BODY(MULTIPART,
               "------b\r\ncontent-disposition: form-data; filename=\"x;name=\\\"y\"; name=\"cert\"\r\n"
               "Content-Type: application/octet-stream\r\n\r\nPEM\r\n"
               "------b\r\nContent-Disposition: form-data; name=config\r\n"
               "Content-Type: application/json\r\n\r\n{\"a\":1}\r\n------b--",
               "{\"cert\":\"PEM\",\"config\":{\"a\":1}}");
    CHECK_BODY(MULTIPART,
               "------b\r\nContent-Disposition: form-data; name=a\r\nContent-Type: application/json\r\n\r\n{\r\n"
               "------b--",
               "Cannot parse JSON body");
}

TEST(multipart_garbage_holds_no_parts)
{
    CHECK_BODY("multipart/form-data", "--x\r\n", "{}");
    CHECK_BODY("multipart/form-data; boundary=x", "garbage", "{}");
    CHECK_BODY("multipart/form-data; boundary=\"x", "--x\r\n", "{}");
    CHECK_BODY(MULTIPART, "------b\r\nno header\r\n------b--", "{}");
    CHECK_BODY(MULTIPART, "------b", "{}");
    CHECK_BODY(MULTIPART, "------b\r\nContent-Disposition: form-data; name=\"cut\"\r\n\r\nsho", "{}");
}

TEST(multipart_lines_may_end_without_cr)
{
    CHECK_BODY(MULTIPART, "------b\nContent-Disposition: form-data; name=\"a\"\n\n1\n------b--\n", "{\"a\":\"1\"}");
}
