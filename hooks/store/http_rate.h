/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_rate.h - at most so many bytes a second, over all connections of a pool. A
 * bucket that fills with time: bytes are taken after they moved, so that it can be overdrawn by
 * one buffer; nothing more moves then until it is full enough again. Times are CLOCK_BOOTTIME, ns.
 */
#ifndef VOLRUN_HOOKS_HTTP_RATE_H
#define VOLRUN_HOOKS_HTTP_RATE_H

#include <stddef.h>
#include <stdint.h>

struct http_rate {
	uint64_t per_second; /* 0: no limit */
	int64_t level;	     /* bytes that may move now */
	int64_t at_ns;	     /* when that was so */
};

void http_rate_take(struct http_rate *r, size_t bytes, int64_t now_ns);
/* How long until bytes may move; 0: now. */
int64_t http_rate_wait_ns(struct http_rate *r, int64_t now_ns);

#endif
