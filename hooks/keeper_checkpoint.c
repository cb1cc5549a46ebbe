/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/keeper_checkpoint.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hooks/checkpoint_note.h"
#include "hooks/engine/commit.h"
#include "hooks/keeper_freeze.h"
#include "hooks/keeper_users.h"

/* Past that all that is mapped is read again by the next commit. */
#define LOOK_AT_MAPS_NS (5 * NSEC_PER_SEC)

static struct checkpoint_volume of_commit(const char *destination, const struct head_commit *c)
{
	return (struct checkpoint_volume){.destination = destination,
					  .epoch = c->seq > 0 ? c->epoch : 0,
					  .seq = c->seq,
					  .record = c->seq > 0 ? c->sha256 : NULL};
}

/* --- checkpoint ------------------------------------------------------------------------ */

/* Of its pod; they don't stand still. */
static bool others_write(const struct hold *h, const struct hold_volume *hv)
{
	return hv->joined || (h->request->pod && hv->lease && users_live(&hv->v.cache, lease_epoch(hv->lease)));
}

static int commit_still(struct hold *h, struct hold_volume *hv, struct commit_mapped *mapped, struct error *err)
{
	struct transfer_report report = {0};
	struct commit_live *live = NULL;
	uint64_t seq = 0;
	int r = commit_live_begin(&hv->v, hv->lease, &report, &live, err);

	if (r == 0)
		r = commit_live_snapshot(live, NULL, err);
	if (r == 0)
		r = commit_live_finish(live, mapped, &seq, &hv->applied_seq, err);
	commit_live_free(live);
	if (r == 0 && seq > 0)
		hv->synced = (struct keeper_result){.commit = seq, .changed = true};
	if (r == 0 && report.n_warnings)
		hold_warn(h, hv, "%s", report.warning);
	return r;
}

static int take_commit(struct hold *h, struct hold_volume *hv, struct commit_mapped *mapped, struct arena *a,
		       struct checkpoint_volume *ret, struct error *err)
{
	const char *destination = hv->request->destination;
	struct head head;
	int r;

	if (hv->request->ro) {
		*ret = of_commit(destination, &hv->read);
		return 0;
	}
	if (!hv->lease || hv->aside || lease_lost(hv->lease))
		return error_set(err, ESTALE, "the lease was lost to another holder");
	r = hv->dirty ? commit_still(h, hv, mapped, err) : 0;
	if (r == 0 && lease_head(hv->lease, a, &head) < 0)
		r = error_set(err, ENOMEM, "out of memory");
	if (r == 0)
		*ret = of_commit(destination, &head.commit);
	return r;
}

int hold_checkpoint(struct hold *h, const struct container_cgroup *freezer, struct arena *a, struct keeper_outcome *ret,
		    struct error *err)
{
	struct keeper_result *results = arena_calloc(a, h->n + 1, sizeof(*results));
	struct checkpoint_volume *noted = arena_calloc(a, h->n + 1, sizeof(*noted));
	struct commit_mapped mapped = {.all = !freezer};
	int r = results && noted ? 0 : error_set(err, ENOMEM, "out of memory");

	if (r == 0 && freezer)
		freeze_mapped(freezer, clock_boottime_ns() + LOOK_AT_MAPS_NS, &mapped);
	for (size_t i = 0; i < h->n && r == 0; i++) {
		struct hold_volume *hv = &h->volumes[i];

		results[i].name = hv->request->name;
		if (others_write(h, hv))
			continue;
		r = take_commit(h, hv, &mapped, a, &noted[i], err);
		if (r < 0)
			error_wrap(err, "volume %s", hv->request->name);
		else if (!others_write(h, hv)) /* who joined meanwhile may have written */
			results[i].checkpoint = &noted[i];
	}
	free(mapped.inodes);
	hold_note(h, NULL);
	if (r == 0)
		*ret = (struct keeper_outcome){.results = results, .n_results = h->n};
	return r;
}

/* --- restore --------------------------------------------------------------------------- */

int hold_check_restored(const struct hold *h, const struct hold_volume *hv, const struct head_commit *now,
			struct error *err)
{
	struct checkpoint_volume found;

	if (!hv->request->checkpoint)
		return 0;
	if (!now)
		return error_set(
		    err, ESTALE,
		    "other containers of its pod have it: nobody knows whether it is as the checkpoint left "
		    "it; to restore nonetheless, remove %s",
		    h->request->checkpoint ? h->request->checkpoint : "the note");
	found = of_commit(NULL, now);
	return checkpoint_check(h->request, hv->request, &found, err);
}

int hold_look_restored(struct hold *h, struct hold_volume *hv, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct head head = {0};
	int r;

	if (!hv->request->checkpoint)
		return 0;
	r = lease_peek(&hv->v, &a, &head, NULL, err);
	if (r < 0 && r != -ENOENT)
		return r;
	*err = (struct error)ERROR_INIT;
	return hold_check_restored(h, hv, &head.commit, err);
}
