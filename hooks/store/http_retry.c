/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/num.h"
#include "hooks/store/http.h"

#define ATTEMPTS 5
#define BUDGET_NS (30 * NSEC_PER_SEC)
#define FIRST_NS (200 * NSEC_PER_MSEC)
#define LIMIT_NS (8 * NSEC_PER_SEC)

int64_t http_retry_delay_ns(unsigned attempt, int64_t retry_after, int64_t elapsed_ns)
{
	int64_t limit = FIRST_NS, delay;
	uint64_t r;

	if (attempt > ATTEMPTS)
		return -1;
	for (unsigned i = 2; i < attempt && limit < LIMIT_NS; i++)
		limit *= 2;
	random_bytes(&r, sizeof(r));
	delay = (int64_t)(r % (uint64_t)limit);
	if (retry_after > 0) {
		if (retry_after > BUDGET_NS / NSEC_PER_SEC)
			return -1;
		delay += retry_after * NSEC_PER_SEC;
	}
	return elapsed_ns + delay > BUDGET_NS ? -1 : delay;
}
