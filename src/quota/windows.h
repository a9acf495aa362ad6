/*
 * Windows by number: how counters name them. turnpike/quota.h has the rest.
 */
#ifndef TP_QUOTA_WINDOWS_H
#define TP_QUOTA_WINDOWS_H

#include "turnpike/quota.h"

/* The window's number, counted from the epoch (seconds to days) or by the calendar (months, years). */
int64_t tp_window_number(enum tp_period period, int64_t now_s);
int64_t tp_window_start(enum tp_period period, int64_t number);
/* tp_window_at, where the number is known already. */
struct tp_window tp_window_of_number(enum tp_period period, int64_t number, bool flat);

#endif
