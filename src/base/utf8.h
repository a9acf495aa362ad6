/* UTF-8 (RFC 3629). */
#ifndef TP_BASE_UTF8_H
#define TP_BASE_UTF8_H

#include "turnpike/str.h"

/* Length of the longest valid prefix: equal to s.len for valid text. */
size_t tp_utf8_valid_prefix(struct tp_str s);

#endif
