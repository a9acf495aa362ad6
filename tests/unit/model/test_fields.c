/* model/fields.c: decoding by field tables. */
#include "model/fields.h"
#include "model_test.h"

#include <math.h>

struct inner {
    struct tp_str text;
    int64_t number;
};
struct limits {
    double rate;
};
struct conf {
    struct tp_str text;
    int64_t integer, size;
    double number;
    bool flag;
    enum tp_tristate maybe;
    struct tp_list names, inners;
    struct tp_list words, limits; /* maps */
    struct inner inner;
    struct tp_uuid owner;
    struct tp_str any;
};

static const struct tp_field name = { .type = TP_TYPE_STRING };
static const struct tp_field inner_fields[] = {
    TP_FIELD(struct inner, text, STRING),
    TP_FIELD(struct inner, number, INTEGER, .def = "7"),
    { 0 },
};
static const struct tp_field inner_element = {
    .type = TP_TYPE_RECORD,
    .fields = inner_fields,
    .size = sizeof(struct inner),
};
static const struct tp_field limits_fields[] = { TP_FIELD(struct limits, rate, NUMBER), { 0 } };
static const struct tp_field limits_element = {
    .type = TP_TYPE_RECORD,
    .fields = limits_fields,
    .size = sizeof(struct limits),
};
static const struct tp_field fields[] = {
    TP_FIELD(struct conf, text, STRING, .def = "fallback", .secret = true),
    TP_FIELD(struct conf, integer, INTEGER),
    TP_FIELD(struct conf, size, SIZE, .def = "10M"),
    TP_FIELD(struct conf, number, NUMBER),
    TP_FIELD(struct conf, flag, BOOLEAN),
    TP_FIELD(struct conf, maybe, BOOLEAN, .tristate = true),
    TP_FIELD(struct conf, names, ARRAY, .element = &name),
    TP_FIELD(struct conf, inners, ARRAY, .element = &inner_element),
    TP_FIELD(struct conf, words, MAP, .element = &name),
    TP_FIELD(struct conf, limits, MAP, .element = &limits_element),
    TP_FIELD(struct conf, inner, RECORD, .required = true, .fields = inner_fields),
    TP_FIELD(struct conf, owner, FOREIGN, .reference = "consumers"),
    TP_FIELD(struct conf, any, ANY),
    TP_FIELD_ONLY("old", STRING, .alias_of = "text"),
    { 0 },
};

static enum tp_err decode(const char *text, struct conf *out, struct tp_arena *arena)
{
    json_t *value = json_of(text);
    enum tp_err err = tp_fields_decode(fields, value, out, arena, NULL);

    json_decref(value);
    return err;
}

TEST(every_type_is_decoded)
{
    struct tp_arena *arena = tp_arena_new();
    struct conf c;

    CHECK_INT(decode("{'text':'t','integer':5.0,'size':'2k','number':1.5,'flag':true,'maybe':false,"
                     "'names':['a','b'],'inners':[{'text':'x','number':1}],'words':{'k':'v'},"
                     "'limits':{'sms':{'rate':2}},'inner':{'text':'i','number':null},"
                     "'owner':{'id':'00000000-0000-4000-8000-000000000001'},'any':{'deep':[1]}}",
                     &c, arena),
              TP_OK);
    CHECK_STR(c.text, "t");
    CHECK_INT(c.integer, 5);
    CHECK_INT(c.size, 2048);
    CHECK(c.number == 1.5 && c.flag);
    CHECK_INT(c.maybe, TP_FALSE);
    CHECK_INT(c.names.count, 2);
    CHECK_STR(*TP_LIST_AT(c.names, struct tp_str, 1), "b");
    CHECK_INT(TP_LIST_AT(c.inners, struct inner, 0)->number, 1);
    CHECK_STR(TP_LIST_AT(c.words, struct tp_pair, 0)->value, "v");
    CHECK_STR(TP_LIST_AT(
                  c.limits,
                  struct {
                      struct tp_str key;
                      struct limits value;
                  },
                  0)
                  ->key,
              "sms");
    CHECK(TP_LIST_AT(
              c.limits,
              struct {
                  struct tp_str key;
                  struct limits value;
              },
              0)
              ->value.rate == 2);
    CHECK_STR(c.inner.text, "i");
    CHECK(c.inner.number == TP_INT_NULL);
    CHECK_INT(c.owner.bytes[15], 1);
    CHECK_STR(c.any, "{\"deep\":[1]}");
    tp_arena_free(arena);
}

TEST(nulls_and_absent_fields)
{
    struct tp_arena *arena = tp_arena_new();
    struct conf c;

    CHECK_INT(decode("{'integer':null,'maybe':null,'inner':null,'names':null}", &c, arena), TP_OK);
    CHECK_STR(c.text, "fallback");
    CHECK(c.integer == TP_INT_NULL && isnan(c.number) && !c.flag);
    CHECK_INT(c.size, 10 << 20);
    CHECK_INT(c.maybe, TP_UNSET);
    CHECK_INT(c.names.count, 0);
    CHECK(c.inner.text.data == NULL && c.inner.number == TP_INT_NULL);
    CHECK(tp_uuid_is_nil(&c.owner));
    tp_arena_free(arena);
}

TEST(damaged_values_are_named)
{
    struct tp_arena *arena = tp_arena_new();
    struct tp_diag *diag = tp_diag_new();
    json_t *value = json_of("{'integer':'x','names':5,'inner':{'number':'y'}}");
    struct conf c;

    CHECK_INT(tp_fields_decode(fields, value, &c, arena, diag), TP_ERR_INVALID);
    CHECK_INT(tp_diag_count(diag), 3);
    CHECK_STR(tp_diag_path(diag, 0), "integer");
    json_decref(value);
    value = json_of("[]");
    CHECK_INT(tp_fields_decode(fields, value, &c, arena, diag), TP_ERR_INVALID);
    json_decref(value);
    tp_diag_free(diag);
    tp_arena_free(arena);
}

TEST(defaults_and_masks)
{
    json_t *defaults = tp_fields_defaults(fields), *masked = tp_fields_masked(fields, defaults);

    CHECK_FIELD(defaults, "text", "'fallback'");
    CHECK_FIELD(defaults, "inner", "{'text':null,'number':7}");
    CHECK_FIELD(defaults, "integer", "null");
    CHECK_FIELD(masked, "text", "'******'");
    CHECK_FIELD(masked, "size", "'10M'");
    json_decref(defaults);
    json_decref(masked);
}
