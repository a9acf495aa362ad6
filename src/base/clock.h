/*
 * Time of day and monotonic time. Code of the request path asks its engine instead, so that tests can
 * hold the clock.
 */
#ifndef TP_BASE_CLOCK_H
#define TP_BASE_CLOCK_H

#include <stdint.h>

int64_t tp_clock_now_ms(void);       /* epoch, milliseconds */
int64_t tp_clock_monotonic_ms(void); /* since some fixed point */

#endif
