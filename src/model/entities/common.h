/* Fields that most entities have. */
#ifndef TP_MODEL_ENTITIES_COMMON_H
#define TP_MODEL_ENTITIES_COMMON_H

#include "turnpike/field.h"

extern const struct tp_field tp_tag_element;

#define TP_NAMES(...) ((const char *const[]){ __VA_ARGS__, NULL })

#define TP_FIELD_ID                                                                                                    \
    TP_FIELD_ONLY("id", STRING, .uuid = true, .automatic = true, .length = TP_AT_LEAST(1),                             \
                  .about = "The entity's UUID; drawn when none is given.")
#define TP_FIELD_CREATED_AT                                                                                            \
    TP_FIELD_ONLY("created_at", INTEGER, .timestamp = true, .automatic = true,                                         \
                  .about = "When it was made, in seconds since 1970.")
#define TP_FIELD_UPDATED_AT                                                                                            \
    TP_FIELD_ONLY("updated_at", INTEGER, .timestamp = true, .automatic = true,                                         \
                  .about = "When it was last changed, in seconds since 1970.")
#define TP_FIELD_TAGS TP_FIELD_ONLY("tags", SET, .element = &tp_tag_element, .about = "Words to find and group it by.")
#define TP_FIELD_NAME(...)                                                                                             \
    TP_FIELD_ONLY("name", STRING, .unique = true, .length = TP_AT_LEAST(1), .check = tp_check_utf8_name, __VA_ARGS__)

#endif
