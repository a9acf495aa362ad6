/* The checks of the entity `routes`: what belongs to which family of protocols, and what the router can compile. */
#ifndef TP_MODEL_ROUTE_CHECKS_H
#define TP_MODEL_ROUTE_CHECKS_H

#include "turnpike/check.h"
#include "turnpike/str.h"

extern const struct tp_check tp_route_checks[];

/* One element of `hosts`: host[:port] where a whole first or last label may be "*". */
bool tp_check_route_host(struct tp_str value, char *message, size_t size);

#endif
