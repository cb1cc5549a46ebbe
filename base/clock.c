/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int64_t clock_boottime_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

void clock_sleep_ns(int64_t ns)
{
	struct timespec ts = {.tv_sec = ns / NSEC_PER_SEC, .tv_nsec = ns % NSEC_PER_SEC};

	if (ns <= 0)
		return;
	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &ts) == EINTR)
		;
}

/*
 * Days since 1970 as a date of the Gregorian calendar, by eras of 400 years that begin on a 1st of March. Not by
 * gmtime_r: glibc's reads the time zone's file first, which is a hundredth of the time of a `run`.
 */
static void civil_date(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day)
{
	int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	*ret_day = (int)(doy - (153 * mp + 2) / 5 + 1);
	*ret_month = (int)(mp < 10 ? mp + 3 : mp - 9);
	*ret_year = yoe + era * 400 + (*ret_month <= 2);
}

char *clock_rfc3339(const struct timespec *ts, char buf[CLOCK_RFC3339_MAX])
{
	struct timespec now;
	int64_t days, year;
	int second, month, day;

	if (!ts) {
		clock_gettime(CLOCK_REALTIME, &now);
		ts = &now;
	}
	days = ts->tv_sec / 86400;
	second = (int)(ts->tv_sec % 86400);
	if (second < 0) {
		days--;
		second += 86400;
	}
	civil_date(days, &year, &month, &day);
	snprintf(buf, CLOCK_RFC3339_MAX, "%04" PRId64 "-%02d-%02dT%02d:%02d:%02d.%09ldZ", year, month, day,
		 second / 3600, second / 60 % 60, second % 60, ts->tv_nsec);
	return buf;
}

static const struct {
	const char *name;
	int64_t ns;
} units[] = {
    /* "ms" before "m" */
    {"ns", 1},
    {"us", 1000},
    {"ms", NSEC_PER_MSEC},
    {"s", NSEC_PER_SEC},
    {"m", 60 * NSEC_PER_SEC},
    {"h", 3600 * NSEC_PER_SEC},
};

/* One <number><unit> at *s, added to *total. */
static int parse_part(const char **s, int64_t *total)
{
	int64_t whole = 0, fraction = 0, scale = 1, unit = 0, ns;
	const char *p = *s;
	int digits = 0;

	for (; *p >= '0' && *p <= '9'; p++, digits++)
		if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, *p - '0', &whole))
			return -ERANGE;
	if (*p == '.') {
		for (p++; *p >= '0' && *p <= '9'; p++, digits++)
			if (scale < NSEC_PER_SEC) { /* finer than a nanosecond of a second is dropped */
				fraction = fraction * 10 + (*p - '0');
				scale *= 10;
			}
	}
	if (!digits)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && !unit; i++)
		if (!strncmp(p, units[i].name, strlen(units[i].name))) {
			unit = units[i].ns;
			p += strlen(units[i].name);
		}
	if (!unit)
		return -EINVAL;
	if (__builtin_mul_overflow(whole, unit, &ns) ||
	    __builtin_add_overflow(ns, (int64_t)((__int128)fraction * unit / scale), &ns))
		return -ERANGE;
	if (ns > INT64_C(1) << 62 || __builtin_add_overflow(*total, ns, total) || *total > INT64_C(1) << 62)
		return -ERANGE;
	*s = p;
	return 0;
}

int duration_parse(const char *s, int64_t *ret_ns)
{
	int64_t total = 0;
	int r;

	if (!strcmp(s, "0")) {
		*ret_ns = 0;
		return 0;
	}
	if (!*s)
		return -EINVAL;
	while (*s) {
		r = parse_part(&s, &total);
		if (r < 0)
			return r;
	}
	*ret_ns = total;
	return 0;
}
