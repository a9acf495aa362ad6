/*
 * The configuration of rate-limiting.
 */
#ifndef RATE_LIMITING_CONF_H
#define RATE_LIMITING_CONF_H

#include "turnpike/plugin.h"
#include "turnpike/quota.h"
#include "turnpike/redis.h"

enum limit_by { BY_CONSUMER, BY_CREDENTIAL, BY_IP, BY_SERVICE, BY_HEADER, BY_PATH };

struct limiting_conf {
    double second, minute, hour, day, month, year; /* NaN: no limit */
    struct tp_str limit_by;
    struct tp_str header_name;
    struct tp_str path;
    struct tp_str policy;
    bool fault_tolerant;
    struct tp_redis_conf redis;
    bool hide_client_headers;
    double error_code;
    struct tp_str error_message;
    double sync_rate;
    struct tp_str calls_header;
    enum tp_tristate flat_windows;

    /* Made by tp_rate_limiting_configure. */
    double limit[TP_PERIODS];
    struct tp_str limit_text[TP_PERIODS]; /* as the headers say it */
    struct tp_str calls_text[TP_PERIODS]; /* in whole calls, for Redis */
    enum limit_by by;
    bool in_redis;
    struct tp_str script_digest; /* of the script that Redis runs */
    enum tp_period longest;
    int status;               /* 0: error_code is no error status */
    const char *message_cstr; /* NULL: the status' own text */
};

extern const struct tp_field tp_rate_limiting_fields[];
extern const struct tp_check tp_rate_limiting_checks[];

enum tp_err tp_rate_limiting_configure(void *conf, struct tp_arena *arena, struct tp_diag *diag);

#endif
