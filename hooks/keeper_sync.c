/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/keeper_sync.h"

#include <errno.h>
#include <inttypes.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hooks/engine/commit.h"
#include "hooks/keeper_memory.h"
#include "hooks/keeper_still.h"

#define DEFAULT_MAX_FROZEN_NS (5 * NSEC_PER_SEC)
#define DEFAULT_COPY_BYTES (UINT64_C(256) << 20)
/* A paused or checkpointed container is looked at again after this. */
#define BUSY_NS NSEC_PER_SEC

/* --- when ------------------------------------------------------------------------------ */

bool hold_wants_sync(const struct hold *h)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->volumes[i].request->sync_ns > 0 && !h->volumes[i].request->ro)
			return true;
	return false;
}

static void set_due(struct hold_volume *hv, int64_t now)
{
	hv->sync_due_ns = hv->request->sync_ns > 0 && hv->lease ? now + hv->request->sync_ns : INT64_MAX;
}

void hold_sync_start(struct hold *h)
{
	int64_t now = clock_boottime_ns();

	for (size_t i = 0; i < h->n; i++)
		set_due(&h->volumes[i], now);
}

int64_t hold_sync_next(const struct hold *h)
{
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < h->n; i++)
		if (h->volumes[i].sync_due_ns < next)
			next = h->volumes[i].sync_due_ns;
	return next;
}

/* --- one of them ------------------------------------------------------------------------- */

/* A volume that is being committed. */
struct syncing {
	struct hold_volume *hv;
	struct commit_live *live; /* NULL: it failed */
	struct transfer_report report;
	char error[ERROR_MSG_MAX];
};

static void fail(struct syncing *s, const struct error *err)
{
	snprintf(s->error, sizeof(s->error), "%s", err->msg);
	commit_live_free(s->live);
	s->live = NULL;
}

static void begin(struct syncing *s)
{
	struct error err = ERROR_INIT;

	if (commit_live_begin(&s->hv->v, s->hv->lease, &s->report, &s->live, &err) < 0)
		fail(s, &err);
}

static void snapshot(struct syncing *s, const struct snapshot_limits *limits)
{
	struct error err = ERROR_INIT;

	if (s->live && commit_live_snapshot(s->live, limits, &err) < 0)
		fail(s, &err);
}

/* The first failure of a row is told; the commit at the end makes up for it, or tells its own. */
static void note_result(struct hold *h, struct syncing *s)
{
	struct hold_volume *hv = s->hv;

	snprintf(hv->sync_error, sizeof(hv->sync_error), "%s", s->error);
	hv->synced.error = s->error[0] ? hv->sync_error : NULL;
	if (s->error[0] && !hv->sync_failed)
		hold_warn(h, hv, "not committed during the run: %s; the next commit has it all", s->error);
	if (!s->error[0] && s->report.n_warnings && !hv->sync_failed)
		hold_warn(h, hv, "%s", s->report.warning);
	hv->sync_failed = s->error[0] || s->report.n_warnings > 0;
	hold_note(h, NULL);
}

static void finish(struct hold *h, struct syncing *s, struct commit_mapped *mapped, int64_t frozen_ns)
{
	struct keeper_result *result = &s->hv->synced;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct error err = ERROR_INIT;
	struct head head;
	uint64_t seq = 0;

	if (s->live) {
		commit_live_stats(s->live, &result->copied_bytes, &result->reflinked_bytes);
		result->frozen_us = (uint64_t)(frozen_ns / 1000);
		if (commit_live_finish(s->live, mapped, &seq, &s->hv->applied_seq, &err) < 0)
			fail(s, &err);
	}
	result->changed = seq > 0;
	if (seq == 0 && !s->error[0] && lease_head(s->hv->lease, &a, &head) == 0)
		seq = head.commit.seq;
	if (seq > 0)
		result->commit = seq;
	note_result(h, s);
	commit_live_free(s->live);
	s->live = NULL;
}

/* --- all of them --------------------------------------------------------------------------- */

static void give_up(struct hold *h, struct syncing *all, size_t n, const struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (all[i].live)
			fail(&all[i], err);
		if (err->code != EBUSY)
			note_result(h, &all[i]);
	}
}

static int sync_them(struct hold *h, const struct container_cgroup *own, struct syncing *all, size_t n,
		     struct error *err)
{
	const struct config_sync *c = &h->config->sync;
	struct snapshot_limits limits = {.copy_bytes = c->max_copy_bytes ? *c->max_copy_bytes : DEFAULT_COPY_BYTES};
	struct hold_volume *volumes[IO_MAX_FDS];
	struct commit_mapped mapped = {0};
	struct still still;
	int64_t frozen_ns;
	size_t i;
	int r;

	for (i = 0; i < n; i++) {
		volumes[i] = all[i].hv;
		begin(&all[i]);
	}
	r = still_begin(h, volumes, n, own, config_duration(c->max_frozen, DEFAULT_MAX_FROZEN_NS), &still, err);
	if (r == 0) {
		limits.deadline_ns = still.deadline_ns;
		for (i = 0; i < n; i++)
			snapshot(&all[i], &limits);
		still_mapped(&still, &mapped);
		r = still_end(&still, &frozen_ns, err);
	}
	if (r < 0)
		give_up(h, all, n, err);
	for (i = 0; r == 0 && i < n; i++)
		finish(h, &all[i], &mapped, frozen_ns);
	free(mapped.inodes);
	return r;
}

int hold_sync(struct hold *h, const struct container_cgroup *own, bool all, struct error *err)
{
	_cleanup_free_ struct syncing *list = calloc(h->n, sizeof(*list));
	int64_t now = clock_boottime_ns();
	size_t n = 0, i;
	int r;

	if (!list)
		return error_set(err, ENOMEM, "out of memory");
	for (i = 0; i < h->n; i++) {
		struct hold_volume *hv = &h->volumes[i];

		if (!hv->lease || !hv->dirty || hv->aside || lease_lost(hv->lease))
			hv->sync_due_ns = INT64_MAX;
		else if (all || hv->sync_due_ns <= now)
			list[n++].hv = hv;
	}
	r = n > 0 ? sync_them(h, own, list, n, err) : 0;
	now = clock_boottime_ns();
	for (i = 0; i < n; i++) {
		set_due(list[i].hv, now);
		if (r == -EBUSY && list[i].hv->sync_due_ns > now + BUSY_NS && list[i].hv->request->sync_ns > 0)
			list[i].hv->sync_due_ns = now + BUSY_NS;
	}
	keeper_memory_trim(h);
	return r;
}

void hold_sync_timer(const struct hold *h, int timer_fd)
{
	int64_t next = hold_sync_next(h);
	struct itimerspec at = {.it_value = {.tv_sec = next / NSEC_PER_SEC, .tv_nsec = next % NSEC_PER_SEC}};

	if (next == INT64_MAX)
		at.it_value = (struct timespec){0};
	if (timer_fd >= 0)
		timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}
