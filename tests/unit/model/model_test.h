/* Helpers of the model's tests: entities and errors as JSON text, with ' for ". */
#ifndef TESTS_UNIT_MODEL_MODEL_TEST_H
#define TESTS_UNIT_MODEL_MODEL_TEST_H

#include "model/entity.h"
#include "support/test.h"

#include <stdlib.h>

#define TEST_NOW 1700000000

static inline json_t *json_of(const char *text)
{
    char *copy = strdup(text);
    json_t *value;

    for (char *c = copy; *c; c++) {
        if (*c == '\'')
            *c = '"';
    }
    value = json_loads(copy, JSON_DECODE_ANY, NULL);
    if (!value)
        test_fail(__FILE__, __LINE__, "not JSON: %s", text);
    free(copy);
    return value;
}

static inline const struct tp_entity *entity_of(const char *name)
{
    const struct tp_entity *entity = tp_entity_by_name(tp_str_from_cstr(name));

    if (!entity)
        abort();
    return entity;
}

static inline bool same_json(const json_t *got, const char *want)
{
    json_t *wanted = json_of(want);
    bool same = json_equal(got, wanted);
    char *text = json_dumps(got, JSON_ENCODE_ANY | JSON_SORT_KEYS);

    if (!same)
        test_fail(__FILE__, __LINE__, "got  %s\n  want %s", text ? text : "nothing", want);
    free(text);
    json_decref(wanted);
    return same;
}

/* Prepare and return the entity; NULL, after a test failure, when it is refused. */
static inline json_t *prepared(const char *entity, const struct tp_registry *registry, enum tp_write write,
                               const char *input, const json_t *stored)
{
    json_t *in = json_of(input), *out = NULL, *errors = NULL;
    struct tp_draft draft = { entity_of(entity), registry, write, in, stored, TEST_NOW };

    if (tp_entity_prepare(&draft, &out, &errors)) {
        char *message = tp_errors_message(errors);

        test_fail(__FILE__, __LINE__, "%s refused: %s", input, message);
        free(message);
        json_decref(errors);
    }
    json_decref(in);
    return out;
}

static inline json_t *inserted(const char *entity, const char *input)
{
    return prepared(entity, NULL, TP_INSERT, input, NULL);
}

/* The message with which `input` is refused; "accepted" when it is not. Owned. */
static inline char *refusal_of(const char *entity, const struct tp_registry *registry, enum tp_write write,
                               const json_t *input, const json_t *stored)
{
    struct tp_draft draft = { entity_of(entity), registry, write, input, stored, TEST_NOW };
    json_t *out = NULL, *errors = NULL;
    char *message;

    if (!tp_entity_prepare(&draft, &out, &errors)) {
        json_decref(out);
        return strdup("accepted");
    }
    message = tp_errors_message(errors);
    json_decref(errors);
    return message;
}

#define CHECK_REFUSED_BY(registry, entity, input, want)                                                                \
    do {                                                                                                               \
        json_t *in_ = json_of(input);                                                                                  \
        char *message_ = refusal_of((entity), (registry), TP_INSERT, in_, NULL);                                       \
        CHECK_STR(message_, (want));                                                                                   \
        free(message_);                                                                                                \
        json_decref(in_);                                                                                              \
    } while (0)
#define CHECK_REFUSED(entity, input, want) CHECK_REFUSED_BY(NULL, entity, input, want)

#define CHECK_ACCEPTED(entity, input) CHECK_REFUSED(entity, input, "accepted")

#define CHECK_FIELD(object, name, want) CHECK(same_json(json_object_get((object), (name)), (want)))

#endif
