/* What the tables of several entities point to. */
#include "model/entities/common.h"

const struct tp_field tp_tag_element = {
    .type = TP_TYPE_STRING,
    .required = true,
    .check = tp_check_tag,
    .about = "A word.",
};
