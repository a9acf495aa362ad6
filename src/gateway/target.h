/* From a service to a destination (balancing.md §1); names that are balanced come in with the upstream entity. */
#ifndef TP_GATEWAY_TARGET_H
#define TP_GATEWAY_TARGET_H

#include "gateway/program.h"

/* Fill info's target from the service: all but what the client decides. Text lives in `arena` or the plan. */
void tp_target_prepare(struct tp_arena *arena, const struct tp_route *route, const struct tp_service *service,
                       struct tp_route_info *info);

#endif
