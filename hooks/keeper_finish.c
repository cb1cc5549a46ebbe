/* SPDX-License-Identifier: Apache-2.0 */
/* Finishing: commit, release, unlock; and what becomes of a tree that can't be committed. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hooks/engine/commit.h"
#include "hooks/engine/conflict.h"
#include "hooks/engine/tree_mounts.h"
#include "hooks/keeper_hold.h"
#include "hooks/keeper_users.h"

/* A store that is down may come back: so long a commit is tried, with pauses that double. */
#define COMMIT_PATIENCE_NS (300 * NSEC_PER_SEC)
#define PAUSE_MIN_NS (200 * NSEC_PER_MSEC)
#define PAUSE_MAX_NS (10 * NSEC_PER_SEC)
#define RELEASE_ATTEMPTS 4
/* Well under keeper_socket.c's LOG_MAX_SIZE: failures of ten volumes still have room. */
#define WARNINGS_MAX 16384
#define UPLOAD_ATTEMPTS 4

static void add_line(struct hold *h, struct hold_volume *hv, bool failed, const char *fmt, va_list ap)
{
	char text[ERROR_MSG_MAX];

	vsnprintf(text, sizeof(text), fmt, ap);
	/* A run may be long, and what is told at its end is read in one piece. */
	if (h->warnings.len < WARNINGS_MAX || failed)
		strbuf_addf(&h->warnings, "volume %s: %s\n", hv->request->name, text);
	if (failed && hv->open)
		cache_note_error(&hv->v.cache, text);
	if (failed)
		hv->report.error = arena_strdup(&h->arena, text);
}

void hold_warn(struct hold *h, struct hold_volume *hv, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_line(h, hv, false, fmt, ap);
	va_end(ap);
}

void hold_fail(struct hold *h, struct hold_volume *hv, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_line(h, hv, true, fmt, ap);
	va_end(ap);
}

void hold_set_aside(struct hold *h, struct hold_volume *hv, const char *why, bool lives, bool local)
{
	struct conflict_note note = {.epoch = lease_epoch(hv->lease),
				     .seq = hv->begin_seq,
				     .why = why,
				     .node = h->lease_id.node_name,
				     .container = h->request->id,
				     .local = local,
				     .keeper = lives ? h->lease_id.keeper : NULL};
	struct error err = ERROR_INIT;

	hv->conflict = NULL;
	if (conflict_set_aside(&hv->v, &note, &h->arena, &hv->conflict, &err) < 0)
		hold_fail(h, hv, "%s; its changes stay in the cache (%s)", why, err.msg);
	else
		hold_fail(h, hv, "%s; its changes are kept in %s/%s/%s/%s/conflict-%s", why, h->config->cache.path,
			  hv->store->name, hv->v.workspace, hv->v.name, hv->conflict ? hv->conflict : "");
	hv->aside = true;
	hv->dirty = false;
}

static void unlock(struct hold_volume *hv)
{
	if (!hv->open || hv->v.cache.lock_fd < 0)
		return;
	cache_note_keeper(&hv->v.cache, NULL);
	cache_unlock(&hv->v.cache);
}

void hold_check_lost(struct hold *h)
{
	size_t i;

	for (i = 0; i < h->n; i++) {
		struct hold_volume *hv = &h->volumes[i];

		if (!hv->lease || !hv->dirty || hv->aside || !lease_lost(hv->lease))
			continue;
		hold_set_aside(h, hv, "the lease was lost to another holder during the run", true, false);
		/* What is at the volume's place from now on is another's. */
		if (hv->conflict)
			unlock(hv);
	}
}

/* What was set aside goes to the store too; what can't be sent now, by the next start here, or `volrun volume recover`.
 */
static void send_conflict(struct hold *h, struct hold_volume *hv)
{
	struct error err = ERROR_INIT;
	int64_t pause = PAUSE_MIN_NS;
	int attempt, r;

	conflict_settled(&hv->v, hv->conflict);
	for (attempt = 1;; attempt++) {
		r = conflict_upload(&hv->v, hv->conflict, &err);
		if (r == 0 || attempt == UPLOAD_ATTEMPTS)
			break;
		clock_sleep_ns(pause);
		pause *= 2;
	}
	if (r < 0)
		hold_warn(h, hv, "what was set aside is on this node only: %s", err.msg);
}

bool hold_is_mounted(const struct hold *h)
{
	size_t i;

	for (i = 0; i < h->n; i++)
		if ((h->volumes[i].lease || h->volumes[i].orphan) && h->volumes[i].tree_fd >= 0 &&
		    tree_is_mounted_elsewhere(h->volumes[i].tree_fd, NULL))
			return true;
	return false;
}

bool hold_is_dirty(const struct hold *h)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->volumes[i].orphan || (h->volumes[i].lease && h->volumes[i].dirty))
			return true;
	return false;
}

void hold_redo(struct hold *h)
{
	size_t i;

	for (i = 0; i < h->n; i++) {
		struct error ignored = ERROR_INIT;
		struct hold_volume *hv = &h->volumes[i];

		if (hv->lease && hv->dirty)
			publish_redo(&hv->v, hv->lease, &hv->applied_seq, &ignored);
		if (hv->lease)
			conflict_take_foreign(&hv->v, hv->lease, &ignored);
		/* Of earlier runs, that could not be sent then. */
		if (hv->lease)
			conflict_upload_all(&hv->v, &ignored);
	}
}

static int commit_once(struct hold_volume *hv, struct transfer_report *report, struct error *err)
{
	int r = publish_redo(&hv->v, hv->lease, &hv->applied_seq, err);

	*report = (struct transfer_report){0};
	return r < 0 ? r : commit_run(&hv->v, hv->lease, report, &hv->applied_seq, err);
}

/* Whoever waits for the lease meanwhile finds out why: `volrun volume status`. */
static void note_try(struct hold_volume *hv, const char *why)
{
	char text[ERROR_MSG_MAX + 64];

	snprintf(text, sizeof(text), "not committed yet, and tried again: %s", why);
	cache_note_error(&hv->v.cache, text);
}

/* Waits, but not when the lease gets lost meanwhile. */
static void pause_commit(struct hold_volume *hv, int64_t *pause)
{
	struct pollfd p = {.fd = lease_lost_fd(hv->lease), .events = POLLIN};

	poll(&p, 1, (int)(*pause / NSEC_PER_MSEC));
	if (*pause < PAUSE_MAX_NS)
		*pause *= 2;
}

/* Volumes that nobody uses go for this one's packs. */
static bool make_room(struct hold *h, struct hold_volume *hv)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct head head;

	return (lease_head(hv->lease, &a, &head) == 0 && hold_make_more_room(h, &head)) || hold_evict_more(h);
}

static void tell_unquiet(struct hold *h, struct hold_volume *hv)
{
	hv->report.unquiet = true;
	hold_warn(h, hv,
		  "%s outside of the container could still write to it when it was committed: the commit is flagged "
		  "unquiet, the one before is kept, and what was written later is committed by the next start on this "
		  "node",
		  hv->writer[0] ? hv->writer : "somebody");
}

static void committed(struct hold *h, struct hold_volume *hv, const struct transfer_report *report)
{
	hv->report.out = *report;
	hv->dirty = false;
	if (hv->v.unquiet)
		tell_unquiet(h, hv);
	else
		lease_finished(hv->lease);
	cache_note_error(&hv->v.cache, NULL);
	if (report->n_warnings)
		hold_warn(h, hv, "%s", report->warning);
}

static void commit(struct hold *h, struct hold_volume *hv)
{
	int64_t until = clock_boottime_ns() + COMMIT_PATIENCE_NS, pause = PAUSE_MIN_NS;
	struct error err = ERROR_INIT;
	int r;

	for (;;) {
		struct transfer_report report;

		r = commit_once(hv, &report, &err);
		if (r == 0) {
			committed(h, hv, &report);
			return;
		}
		if (lease_lost(hv->lease))
			hold_set_aside(h, hv, "the lease was lost to another holder before the commit", false, false);
		else if (r == -EFBIG)
			hold_set_aside(h, hv, err.msg, false, true);
		else if (r == -ENOSPC && make_room(h, hv))
			continue;
		else if (r != -ENOSPC && clock_boottime_ns() < until) {
			note_try(hv, err.msg);
			pause_commit(hv, &pause);
			continue;
		} else {
			hold_explain_full(h, r, NULL, &err);
			hold_fail(h, hv, "not committed: %s; its changes stay in the cache of this node", err.msg);
		}
		return;
	}
}

static void release(struct hold *h, struct hold_volume *hv)
{
	struct error err = ERROR_INIT;
	int64_t pause = PAUSE_MIN_NS;
	int attempt, r;

	for (attempt = 1;; attempt++) {
		r = lease_release(hv->lease, hv->applied_seq, &err);
		if (r == 0 || r == -ESTALE)
			return;
		if (attempt == RELEASE_ATTEMPTS)
			break;
		pause_commit(hv, &pause);
	}
	/* Without a register there is no lease that would expire; a failed commit has told of it already. */
	if (r != -ENODATA)
		hold_fail(h, hv, "the lease could not be released and will expire: %s", err.msg);
	else if (!hv->dirty)
		hold_fail(h, hv, "%s", err.msg);
}

static void report(struct hold *h, struct hold_volume *hv)
{
	struct run_report *r = &hv->report;

	r->container = h->request->id;
	r->node = h->lease_id.node_name;
	run_report_write(&hv->v, r);
	run_report_count(h->cache_fd, h->config->metrics.path, r);
	run_report_line(&hv->v, r, &h->journal);
}

/* What became of the changes; the lease is still there. */
static void note_result(struct hold_volume *hv)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct run_report *r = &hv->report;
	struct head head;

	r->committed_ns = clock_boottime_ns();
	r->epoch = lease_epoch(hv->lease);
	r->commit = !hv->aside && lease_head(hv->lease, &a, &head) == 0 ? head.commit.seq : 0;
	r->result = hv->aside			? "set aside"
		    : hv->dirty			? "failed"
		    : r->commit > hv->begin_seq ? "committed"
						: "unchanged";
}

static void finish_one(struct hold *h, struct hold_volume *hv)
{
	bool ran = hv->lease && hv->report.ready_ns > 0 && (hv->dirty || hv->aside);
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct head head;

	hv->report.ended_ns = clock_boottime_ns();
	if (hv->lease && hv->dirty)
		commit(h, hv);
	if (ran)
		note_result(hv);
	if (hv->lease && lease_head(hv->lease, &a, &head) == 0)
		hold_note_usage(hv, &head);
	if (hv->lease)
		release(h, hv);
	hv->report.released_ns = clock_boottime_ns();
	if (ran)
		report(h, hv);
	lease_free(hv->lease);
	hv->lease = NULL;
	if (hv->open)
		hv->v.store->valid = NULL;
	cleanup_close(&hv->tree_fd);
	hv->tree_fd = -1;
	if (hv->orphan)
		hold_recover_orphan(h, hv);
	if (hv->joined)
		hold_leave(h, hv);
	unlock(hv);
	if (hv->conflict)
		send_conflict(h, hv);
}

bool hold_commit(struct hold *h)
{
	for (size_t i = 0; i < h->n; i++) {
		struct hold_volume *hv = &h->volumes[i];
		struct transfer_report done;
		struct error err = ERROR_INIT;

		if (!hv->lease || !hv->dirty)
			continue;
		hv->report.ended_ns = clock_boottime_ns();
		if (hv->v.unquiet || commit_once(hv, &done, &err) < 0)
			return false;
		committed(h, hv, &done);
		note_result(hv);
		hv->report.released_ns = clock_boottime_ns();
		report(h, hv);
		/* The next one begins where this one ended. */
		hv->report.asked_ns = hv->report.leased_ns = hv->report.ready_ns = hv->report.released_ns;
		hv->begin_seq = hv->report.commit;
	}
	return true;
}

void hold_finish(struct hold *h)
{
	size_t i;

	hold_check_lost(h);
	hold_quiet(h);
	for (i = 0; i < h->n; i++)
		finish_one(h, &h->volumes[i]);
	if (h->n > 0)
		hold_evict(h);
}
