/*
 * Counting in Redis: one hash an identity, one script that decides and counts all windows at once.
 */
#ifndef RATE_LIMITING_IN_REDIS_H
#define RATE_LIMITING_IN_REDIS_H

#include "conf.h"

/* Called with what Redis said, or with an error and `state` NULL. */
typedef enum tp_verdict (*counted_fn)(struct tp_request *req, const struct limiting_conf *conf,
                                      const struct tp_quota_key *key, enum tp_err err, struct tp_quota_state *state);

/* Derive what calls need from the configuration. */
void tp_rate_limiting_prepare_redis(struct limiting_conf *conf, struct tp_arena *arena);

/* Take one call and go on in `fn`. `key` must live as long as the request. */
enum tp_verdict tp_rate_limiting_in_redis(struct tp_request *req, const struct limiting_conf *conf,
                                          const struct tp_quota_key *key, bool flat, counted_fn fn);

#endif
