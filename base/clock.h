/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - time. What is waited for or leased counts CLOCK_BOOTTIME (it goes
 * on in suspend and never jumps); wall-clock time is for people only.
 */
#ifndef VOLRUN_BASE_CLOCK_H
#define VOLRUN_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define NSEC_PER_SEC INT64_C(1000000000)
#define NSEC_PER_MSEC INT64_C(1000000)

/* CLOCK_BOOTTIME in nanoseconds. */
int64_t clock_boottime_ns(void);
/* Sleeps; a signal does not end it early. */
void clock_sleep_ns(int64_t ns);

/* "2026-08-20T12:00:00.123456789Z" (UTC) of CLOCK_REALTIME; ts NULL: now. */
#define CLOCK_RFC3339_MAX 40
char *clock_rfc3339(const struct timespec *ts, char buf[CLOCK_RFC3339_MAX]);

/*
 * A Go-like duration: one or more of <number><unit>, units ns us ms s m h,
 * fractions allowed ("1.5s", "1m30s"), or "0". -EINVAL; -ERANGE past 2^62 ns.
 */
int duration_parse(const char *s, int64_t *ret_ns);

#endif
