/* model/infer.c: text of forms gets its type, and what does not look like it stays. */
#include "model_test.h"

static void check_inferred(const char *entity, const char *input, const char *want)
{
    json_t *in = json_of(input);

    tp_entity_infer(entity_of(entity), NULL, NULL, in);
    CHECK(same_json(in, want));
    json_decref(in);
}

TEST(scalars)
{
    check_inferred("services", "{'port':'8080','retries':'3','enabled':'true','name':'5'}",
                   "{'port':8080,'retries':3,'enabled':true,'name':'5'}");
    check_inferred("services", "{'port':'abc','enabled':'1','retries':'1.5'}",
                   "{'port':'abc','enabled':'1','retries':1.5}");
    check_inferred("services", "{'port':'','tags':'','path':''}", "{'port':null,'tags':null,'path':null}");
    check_inferred("services", "{'port':'nan','retries':'1e999'}", "{'port':'nan','retries':'1e999'}");
    check_inferred("services", "{'nope':'5'}", "{'nope':'5'}");
}

TEST(scalars_become_lists_where_lists_belong)
{
    check_inferred("services", "{'tags':'a,b'}", "{'tags':['a,b']}");
    check_inferred("routes", "{'paths':'/a','headers':{'x':'1','y':['2','3']}}",
                   "{'paths':['/a'],'headers':{'x':['1'],'y':['2','3']}}");
    check_inferred("routes", "{'sources':[{'port':'80'}]}", "{'sources':[{'port':80}]}");
    check_inferred("routes", "{'paths':{'0':'/a'}}", "{'paths':{'0':'/a'}}");
}

TEST(ttl_and_references)
{
    check_inferred("keyauth_credentials", "{'ttl':'60','consumer':{'id':'x'}}", "{'ttl':60,'consumer':{'id':'x'}}");
    check_inferred("consumers", "{'ttl':'60'}", "{'ttl':'60'}");
    check_inferred("routes", "{'service':''}", "{'service':null}");
}
