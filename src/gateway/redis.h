/*
 * The worker's connections to Redis servers: turnpike/redis.h is what plugins see.
 */
#ifndef TP_GATEWAY_REDIS_H
#define TP_GATEWAY_REDIS_H

#include "gateway/engine.h"

struct tp_redis;

/* Close all connections. No call may be waiting: end the requests first. NULL is accepted. */
void tp_redis_free(struct tp_redis *redis);

#endif
