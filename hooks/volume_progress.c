/* SPDX-License-Identifier: Apache-2.0 */
/* A line on a terminal, which is written over until the transfer has ended. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hooks/volume_hold.h"

#define TICK_NS (200 * NSEC_PER_MSEC)
#define BAR 30
#define MIB 1048576.0

struct volume_progress {
	const char *what;
	const uint64_t *done; /* the thread of the transfer counts in it */
	uint64_t total;
	int64_t start_ns;
	pthread_t thread;
	atomic_bool stop;
};

static void draw(const struct volume_progress *p)
{
	uint64_t done = __atomic_load_n(p->done, __ATOMIC_RELAXED);
	double seconds = (double)(clock_boottime_ns() - p->start_ns) / NSEC_PER_SEC;
	double rate = seconds > 0 ? (double)done / seconds / MIB : 0;
	char bar[BAR + 1];
	size_t n;

	if (p->total == 0) {
		fprintf(stderr, "\r%s: %.1f MiB, %.1f MiB/s \033[K", p->what, (double)done / MIB, rate);
		return;
	}
	n = done >= p->total ? BAR : (size_t)((double)done / (double)p->total * BAR);
	memset(bar, '-', BAR);
	memset(bar, '#', n);
	bar[BAR] = '\0';
	fprintf(stderr, "\r%s: [%s] %.1f of %.1f MiB, %.1f MiB/s \033[K", p->what, bar, (double)done / MIB,
		(double)p->total / MIB, rate);
}

static void *loop(void *arg)
{
	struct volume_progress *p = arg;

	while (!atomic_load(&p->stop)) {
		clock_sleep_ns(TICK_NS);
		/* What ends at once needs no bar. */
		if (clock_boottime_ns() - p->start_ns > NSEC_PER_SEC)
			draw(p);
	}
	return NULL;
}

struct volume_progress *volume_progress_begin(const char *what, const uint64_t *done, uint64_t total)
{
	struct volume_progress *p = isatty(STDERR_FILENO) ? calloc(1, sizeof(*p)) : NULL;

	if (!p)
		return NULL;
	p->what = what;
	p->done = done;
	p->total = total;
	p->start_ns = clock_boottime_ns();
	if (pthread_create(&p->thread, NULL, loop, p) == 0)
		return p;
	free(p);
	return NULL;
}

void volume_progress_end(struct volume_progress *p)
{
	if (!p)
		return;
	atomic_store(&p->stop, true);
	pthread_join(p->thread, NULL);
	fputs("\r\033[K", stderr);
	free(p);
}
