/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "base/clock.h"
#include "hooks/store/gcs.h"

/* By a hash of the key. Two keys may share a place: then the earlier one's moment is forgotten, and 429 tells. */
#define PLACES 8192

static struct {
	uint64_t hash;
	int64_t at;
} last[PLACES];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* FNV-1a */
static uint64_t hash_add(uint64_t h, const char *text)
{
	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return h;
}

int64_t gcs_pace_next(const char *bucket, const char *key, int64_t interval_ns)
{
	uint64_t h = hash_add(hash_add(hash_add(UINT64_C(0xcbf29ce484222325), bucket), "/"), key);
	int64_t at = clock_boottime_ns();

	pthread_mutex_lock(&mutex);
	if (last[h % PLACES].hash == h && last[h % PLACES].at + interval_ns > at)
		at = last[h % PLACES].at + interval_ns;
	last[h % PLACES].hash = h;
	last[h % PLACES].at = at;
	pthread_mutex_unlock(&mutex);
	return at;
}
