/*
 * Quotas: exact calendar windows over counters that live in the node's shared file.
 *
 * A counter is named by (instance, identity, period). Taking from several windows is one decision:
 * all have room and all are counted, or none is.
 */
#ifndef TURNPIKE_QUOTA_H
#define TURNPIKE_QUOTA_H

#include "turnpike/request.h"

enum tp_period {
    TP_SECOND,
    TP_MINUTE,
    TP_HOUR,
    TP_DAY,
    TP_MONTH,
    TP_YEAR,
    TP_PERIODS, /* how many */
};

/* "second" … "year". */
const char *tp_period_name(enum tp_period period);

/* The window that holds `now_s` (epoch seconds, UTC). `flat`: Kong's 30- and 365-day arithmetic for length. */
struct tp_window {
    int64_t start; /* epoch seconds */
    int64_t length;
};
struct tp_window tp_window_at(enum tp_period period, int64_t now_s, bool flat);

/* Which of the two tables: keyless traffic cannot push out customers. */
enum tp_quota_table { TP_QUOTA_IDENTITIES, TP_QUOTA_ADDRESSES };

struct tp_quota_key {
    enum tp_quota_table table;
    struct tp_uuid instance; /* the plugin row, or the plan: what the counter belongs to */
    struct tp_str identity;  /* address, path …; absent: `id` */
    struct tp_uuid id;       /* of the consumer, credential or service that is counted */
};

struct tp_quota_state {
    double limit[TP_PERIODS];            /* in: NaN: no limit for that period */
    uint64_t used[TP_PERIODS];           /* out: calls counted in the window, this one included when taken */
    struct tp_window window[TP_PERIODS]; /* out, for limited periods */
    bool refused;                        /* out */
    enum tp_period refused_by;           /* out: the longest period without room */
};

/*
 * Take one call. Exact under any concurrency: with a limit of N exactly N are taken in a window.
 * Never waits. A table without room for a new counter evicts (expired first, then the lowest count).
 */
void tp_quota_take(struct tp_request *req, const struct tp_quota_key *key, bool flat, struct tp_quota_state *state);

/* What is used, taking nothing. */
void tp_quota_peek(struct tp_request *req, const struct tp_quota_key *key, bool flat, struct tp_quota_state *state);

/* The node's setting for `flat`, where a plugin's configuration does not say. */
bool tp_quota_flat_by_default(const struct tp_request *req);

#endif
