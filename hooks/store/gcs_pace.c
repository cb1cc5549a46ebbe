/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/num.h"
#include "hooks/store/gcs.h"

/* By a hash of the key. Two keys may share a place: then the earlier one's moment is forgotten, and 429 tells. */
#define PLACES 8192

static struct {
	uint64_t hash;
	int64_t at;
} last[PLACES];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static uint64_t hash_of(const char *bucket, const char *key)
{
	return hash64(hash64(HASH64_START, bucket, strlen(bucket) + 1), key, strlen(key));
}

/*
 * A generation is the microsecond of the write, by the server's clock. That clock
 * may be another than ours, so the answer is only good for a wait, of at most the interval.
 */
static int64_t wait_after(const char *tag, int64_t interval_ns)
{
	uint64_t generation;
	struct timespec now;
	int64_t age;

	if (!tag || num_parse_u64(tag, INT64_MAX / 1000, &generation) < 0)
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	age = (int64_t)now.tv_sec * NSEC_PER_SEC + now.tv_nsec - (int64_t)generation * 1000;
	if (age <= -interval_ns || age >= interval_ns)
		return 0;
	return age > 0 ? interval_ns - age : interval_ns;
}

int64_t gcs_pace_next(const char *bucket, const char *key, const char *tag, int64_t interval_ns)
{
	int64_t at = clock_boottime_ns() + wait_after(tag, interval_ns);
	uint64_t h = hash_of(bucket, key);

	pthread_mutex_lock(&mutex);
	if (last[h % PLACES].hash == h && last[h % PLACES].at + interval_ns > at)
		at = last[h % PLACES].at + interval_ns;
	last[h % PLACES].hash = h;
	last[h % PLACES].at = at;
	pthread_mutex_unlock(&mutex);
	return at;
}

void gcs_pace_done(const char *bucket, const char *key)
{
	uint64_t h = hash_of(bucket, key);
	int64_t now = clock_boottime_ns();

	pthread_mutex_lock(&mutex);
	if (last[h % PLACES].hash == h && last[h % PLACES].at < now)
		last[h % PLACES].at = now;
	pthread_mutex_unlock(&mutex);
}
