/* model/schema.c: what GET /schemas/… answers. */
#include "model_test.h"

/* The schema of one field, without its description. Borrowed. */
static json_t *field_of(json_t *schema, const char *name)
{
    json_t *entry, *field;
    size_t i;

    json_array_foreach(json_object_get(schema, "fields"), i, entry) {
        field = json_object_get(entry, name);
        if (field) {
            json_object_del(field, "description");
            return field;
        }
    }
    return NULL;
}

TEST(service_fields)
{
    json_t *schema = tp_entity_schema(entity_of("services"));

    CHECK(same_json(field_of(schema, "id"), "{'type':'string','uuid':true,'auto':true,'len_min':1}"));
    CHECK(same_json(field_of(schema, "retries"), "{'type':'integer','between':[0,32767],'default':5}"));
    CHECK(same_json(field_of(schema, "tls_verify_depth"), "{'type':'integer','between':[0,64],'default':null}"));
    CHECK(same_json(field_of(schema, "client_certificate"), "{'type':'foreign','reference':'certificates'}"));
    CHECK(field_of(schema, "url") == NULL);
    CHECK(same_json(json_array_get(json_object_get(schema, "entity_checks"), 1),
                    "{'conditional':{'if_field':'protocol','if_match':{'not_one_of':['https','tls']},"
                    "'then_field':'client_certificate','then_match':{'eq':null}}}"));
    json_decref(schema);
}

TEST(route_fields)
{
    json_t *schema = tp_entity_schema(entity_of("routes"));

    CHECK(same_json(field_of(schema, "https_redirect_status_code"),
                    "{'type':'integer','required':true,'default':426,'one_of':[426,301,302,307,308]}"));
    CHECK_FIELD(field_of(schema, "protocols"), "mutually_exclusive_subsets",
                "[['http','https'],['tcp','tls','udp'],['tls_passthrough'],['grpc','grpcs']]");
    CHECK_INT(json_array_size(json_object_get(schema, "entity_checks")), 3);
    json_decref(schema);
}

TEST(what_is_ours_alone_is_not_shown)
{
    json_t *schema = tp_entity_schema(entity_of("plugins"));

    CHECK(field_of(schema, "ordering") == NULL);
    CHECK(same_json(field_of(schema, "config"), "{'type':'record','abstract':true}"));
    CHECK(same_json(field_of(schema, "route"),
                    "{'type':'foreign','reference':'routes','on_delete':'cascade','default':null}"));
    CHECK_INT(json_array_size(json_object_get(schema, "entity_checks")), 0);
    json_decref(schema);
}

TEST(entities_are_found_by_both_names)
{
    CHECK(tp_entity_by_api_name(TP_STR("key-auths")) == entity_of("keyauth_credentials"));
    CHECK(tp_entity_by_name(TP_STR("nope")) == NULL);
    CHECK(tp_entity_field(entity_of("routes"), "paths") != NULL);
}
