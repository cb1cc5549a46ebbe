/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/keeper_mounted.h"

#include <fcntl.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hooks/engine/tree_mounts.h"

#define TICK_MIN_NS (500 * NSEC_PER_MSEC)
#define TICK_MAX_NS (10 * NSEC_PER_SEC)
#define TICK_LOOKS 50
/* A container may run for days. */
#define AWAIT_LOOKS 200
#define AWAIT_MISSES 4
#define DEFAULT_AWAIT_NS (120 * NSEC_PER_SEC)

/* After a look that began at `from` and is over now. */
static void plan_next(struct mounted *m, int64_t from)
{
	int64_t now = clock_boottime_ns(), wait = TICK_MIN_NS;

	if (!m->ended && now - from > TICK_MIN_NS / TICK_LOOKS)
		wait = now - from < TICK_MAX_NS / TICK_LOOKS ? (now - from) * TICK_LOOKS : TICK_MAX_NS;
	m->next = now + wait;
}

int mounted_tick_ms(const struct mounted *m)
{
	int64_t now = clock_boottime_ns();

	if (m->still)
		return -1;
	return m->next > now ? (int)((m->next - now) / NSEC_PER_MSEC) + 1 : 0;
}

void mounted_end(struct mounted *m)
{
	m->ended = true;
	m->next = 0;
}

bool mounted_elsewhere(struct mounted *m, const struct hold *h)
{
	int64_t now = clock_boottime_ns();
	bool mounted = true;

	if (now >= m->next) {
		mounted = hold_is_mounted(h);
		plan_next(m, now);
	}
	return mounted;
}

static bool is_here(const struct hold *h)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->volumes[i].tree_fd >= 0 && tree_is_mounted_here(h->volumes[i].tree_fd))
			return true;
	return false;
}

/* Readers' trees count, too: they are locked as long as somebody has them. */
static bool is_elsewhere(const struct hold *h)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->volumes[i].tree_fd >= 0 &&
		    tree_is_mounted_elsewhere(h->volumes[i].tree_fd, h->request->directory))
			return true;
	return false;
}

static bool make_read_only(const struct hold *h)
{
	_cleanup_close_ int ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	for (size_t i = 0; i < h->n; i++)
		if (h->volumes[i].lease && tree_make_quiet_in(h->volumes[i].tree_fd, ns) != 1)
			return false;
	return true;
}

bool mounted_look(struct mounted *m, const struct hold *h, bool stop)
{
	int64_t now = clock_boottime_ns();
	bool here, elsewhere;

	if (!m->begun) {
		m->begun = true;
		m->info_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
		m->until = now + h->request->grace_ns;
		m->next = 0;
	}
	here = is_here(h);
	m->still = here && !stop;
	if (here && stop && h->request->directory && make_read_only(h))
		return false;
	if (here) {
		m->seen = true;
		m->next = stop ? now + TICK_MIN_NS : 0;
	} else if (now >= m->next) {
		elsewhere = is_elsewhere(h);
		plan_next(m, now);
		m->seen |= elsewhere;
		return elsewhere || (!m->seen && !m->ended && now < m->until);
	}
	return true;
}

void mounted_await(struct mounted *m, const struct hold *h)
{
	m->every = config_duration(h->config->lease.mount_timeout, DEFAULT_AWAIT_NS) / AWAIT_MISSES;
	m->next = clock_boottime_ns() + m->every;
}

static void tell_given_back(struct hold *h)
{
	for (size_t i = 0; i < h->n; i++)
		hold_warn(h, &h->volumes[i],
			  "no container has mounted it since it was put into a config.json, though the engine that "
			  "asked for it still runs: it is given back (lease.mount_timeout)");
}

/* By looks, not by the clock: a machine that slept has not waited. */
bool mounted_awaited(struct mounted *m, struct hold *h)
{
	int64_t from = clock_boottime_ns(), now;

	if (from < m->next)
		return true;
	if (is_here(h) || is_elsewhere(h)) {
		m->seen = true;
		m->missed = 0;
	} else {
		m->missed++;
	}
	now = clock_boottime_ns();
	m->next = now + ((now - from) * AWAIT_LOOKS > m->every ? (now - from) * AWAIT_LOOKS : m->every);
	if (m->missed < AWAIT_MISSES)
		return true;
	if (!m->seen)
		tell_given_back(h);
	return false;
}
