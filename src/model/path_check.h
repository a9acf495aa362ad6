/* Paths of services and routes. */
#ifndef TP_MODEL_PATH_CHECK_H
#define TP_MODEL_PATH_CHECK_H

#include "turnpike/str.h"

/* One element of a route's `paths`: a prefix in normal form, or "~" and a regular expression. */
bool tp_check_route_path(struct tp_str value, char *message, size_t size);

#endif
