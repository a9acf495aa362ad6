/* model/errors.c: error trees and Lua tables as text. */
#include "model_test.h"

static void check_message(const char *errors, const char *want)
{
    json_t *tree = json_of(errors);
    char *message = tp_errors_message(tree);

    CHECK_STR(message, want);
    free(message);
    json_decref(tree);
}

static void check_literal(const char *value, const char *want)
{
    json_t *json = json_of(value);
    char *text = tp_lua_literal(json);

    CHECK_STR(text, want);
    free(text);
    json_decref(json);
}

TEST(entity_errors_come_first_then_names_in_order)
{
    check_message("{'b':'x','@entity':['whole','twice'],'a':'y'}", "4 schema violations (whole; twice; a: y; b: x)");
}

TEST(one_level_is_dotted)
{
    check_message("{'config':{'b':'x','a':'y'}}", "2 schema violations (config.a: y; config.b: x)");
    check_message("{'tags':[null,'bad',null,'worse']}", "2 schema violations (tags.2: bad; tags.4: worse)");
}

TEST(deeper_levels_are_printed_as_tables)
{
    check_message("{'config':{'add':{'headers':['bad']}}}",
                  "schema violation (config.add: {\n  headers = {\n    \"bad\"\n  }\n})");
    check_message("{'config':{'x':{'a-b':'1','end':'2','c':{'d':'3'}}}}",
                  "schema violation (config.x: {\n  [\"a-b\"] = \"1\",\n  c = {\n    d = \"3\"\n  },\n"
                  "  [\"end\"] = \"2\"\n})");
    check_message("{'config':{'x':{'l':[null,'e']}}}",
                  "schema violation (config.x: {\n  l = {\n    [2] = \"e\"\n  }\n})");
}

TEST(literals_are_sorted_and_quoted)
{
    check_literal("{'name':'basic-auth','consumer':null,'route':{'id':'1'},'service':null}",
                  "{consumer=null,name=\"basic-auth\",route={id=\"1\"},service=null}");
    check_literal("{'n':5,'b':true,'q':'say \\\\\\\"hi\\\\\\\"'}", "{b=true,n=5,q=\"say \\\\\\\"hi\\\\\\\"\"}");
    check_literal("{}", "{}");
}

TEST(literals_keep_awkward_bytes_apart)
{
    json_t *value = json_object();
    char *text;

    json_object_set_new(value, "k", json_stringn("a\0b\r", 4));
    text = tp_lua_literal(value);
    CHECK_STR(text, "{k=\"a\\000b\\r\"}");
    free(text);
    json_object_set_new(value, "k", json_string("a\nb]]"));
    text = tp_lua_literal(value);
    CHECK_STR(text, "{k=[=[a\nb]]]=]}");
    free(text);
    json_decref(value);
}
