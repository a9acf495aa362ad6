/* API keys of consumers, for the plugin key-auth. */
#include "model/entities/common.h"
#include "model/entity.h"

static const struct tp_field fields[] = {
    TP_FIELD_ONLY("id", STRING, .uuid = true, .automatic = true,
                  .about = "The credential's UUID; drawn when none is given."),
    TP_FIELD_CREATED_AT,
    TP_FIELD_ONLY("consumer", FOREIGN, .reference = "consumers", .required = true, .cascade = true,
                  .about = "Whose key it is."),
    TP_FIELD_ONLY("key", STRING, .unique = true, .automatic = true, .optional = true, .secret = true,
                  .about = "The key; drawn when none is given."),
    TP_FIELD_TAGS,
    { 0 },
};

const struct tp_entity tp_entity_keyauth_credentials = {
    .name = "keyauth_credentials",
    .api_name = "key-auths",
    .nested_name = "key-auth",
    .endpoint_key = "key",
    .fields = fields,
    .has_ttl = true,
};
