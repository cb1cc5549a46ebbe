/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/store/http_rate.h"

#include "base/clock.h"

/* What may have gathered while nothing moved: of a tenth of a second. */
#define BURST_PART 10

static void fill(struct http_rate *r, int64_t now_ns)
{
	int64_t room = (int64_t)(r->per_second / BURST_PART) + 1, passed = now_ns - r->at_ns;

	if (r->at_ns == 0 || passed > 10 * NSEC_PER_SEC || passed < 0)
		r->level = room;
	else
		r->level += (int64_t)((double)passed * (double)r->per_second / (double)NSEC_PER_SEC);
	if (r->level > room)
		r->level = room;
	r->at_ns = now_ns;
}

void http_rate_take(struct http_rate *r, size_t bytes, int64_t now_ns)
{
	if (r->per_second == 0)
		return;
	fill(r, now_ns);
	r->level -= (int64_t)bytes;
}

int64_t http_rate_wait_ns(struct http_rate *r, int64_t now_ns)
{
	if (r->per_second == 0)
		return 0;
	/* Too short a time to be worth a byte is not lost. */
	if (now_ns - r->at_ns > NSEC_PER_MSEC || now_ns < r->at_ns)
		fill(r, now_ns);
	if (r->level > 0)
		return 0;
	return (int64_t)((double)(1 - r->level) * (double)NSEC_PER_SEC / (double)r->per_second) + NSEC_PER_MSEC;
}
