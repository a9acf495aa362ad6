/* Consumers: who calls. */
#include "model/entities/common.h"
#include "model/entity.h"

static const struct tp_field fields[] = {
    TP_FIELD_ID,
    TP_FIELD_CREATED_AT,
    TP_FIELD_UPDATED_AT,
    TP_FIELD_ONLY("username", STRING, .unique = true, .length = TP_AT_LEAST(1),
                  .about = "The caller's unique name. It or custom_id must be set."),
    TP_FIELD_ONLY("custom_id", STRING, .unique = true,
                  .about = "The caller's id in another system. It or username must be set."),
    TP_FIELD_TAGS,
    { 0 },
};

static const struct tp_check checks[] = {
    { .kind = TP_CHECK_AT_LEAST_ONE_OF, .fields = TP_NAMES("custom_id", "username") },
    { 0 },
};

const struct tp_entity tp_entity_consumers = {
    .name = "consumers",
    .api_name = "consumers",
    .endpoint_key = "username",
    .fields = fields,
    .checks = checks,
};
