/* SPDX-License-Identifier: Apache-2.0 */
/* What a dead keeper left: recovered before the next lease, or adopted while its container lives. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hooks/engine/conflict.h"
#include "hooks/engine/keeper_name.h"
#include "hooks/engine/recover.h"
#include "hooks/engine/tree.h"
#include "hooks/engine/tree_mounts.h"
#include "hooks/keeper_hold.h"
#include "hooks/keeper_note.h"
#include "hooks/keeper_socket.h"
#include "hooks/keeper_spawn.h"
#include "hooks/keeper_users.h"

/* How long an adopter waits for a lease that somebody else holds: it can't be its own any more. */
#define ADOPT_WAIT_NS (2 * NSEC_PER_SEC)

static struct recover_policy policy(const struct hold *h, int64_t deadline_ns, int cancel_fd)
{
	return (struct recover_policy){.lease = &h->lease_config,
				       .id = &h->lease_id,
				       .after_power_cut =
					   h->config->recover && strcmp(h->config->recover, "commit") == 0,
				       .forsaken = h->forsaken,
				       .deadline_ns = deadline_ns,
				       .cancel_fd = cancel_fd};
}

static void tell(struct hold *h, struct hold_volume *hv, const struct recover_result *r)
{
	if (r->outcome == RECOVER_COMMITTED)
		hold_warn(h, hv,
			  "an earlier run on this node ended before its changes were committed; they are in commit "
			  "%" PRIu64 " now",
			  r->seq);
	if (r->outcome == RECOVER_SET_ASIDE && r->conflict)
		hold_fail(h, hv,
			  "an earlier run on this node ended before its changes were committed, and %s; they are kept "
			  "in %s/%s/%s/%s/conflict-%s",
			  r->why, h->config->cache.path, hv->store->name, hv->v.workspace, hv->v.name, r->conflict);
	if (r->report.n_warnings)
		hold_warn(h, hv, "%s", r->report.warning);
}

/* Nobody goes on in a tree that a stranger writes to: what he still writes is kept, but is not the next run's. */
static int leave_to_writer(struct hold *h, struct hold_volume *hv, const struct cache_mark *mark, struct error *err)
{
	struct conflict_note note = {.epoch = mark->epoch,
				     .seq = hv->recovered.seq,
				     .why = "somebody outside of its container still wrote to it",
				     .node = h->lease_id.node_name,
				     .local = true};
	const char *id = NULL;
	int r = conflict_set_aside(&hv->v, &note, &h->arena, &id, err);

	hv->v.unquiet = false;
	if (r < 0)
		return r;
	hold_warn(h, hv,
		  "%s outside of the last container still writes to its tree; what it writes from now on is kept in "
		  "%s/%s/%s/%s/conflict-%s",
		  hv->writer[0] ? hv->writer : "somebody", h->config->cache.path, hv->store->name, hv->v.workspace,
		  hv->v.name, id ? id : "");
	return 0;
}

/* A tree that is committed and can't be marked so would be set aside by what follows, as one with changes of its own.
 */
static int check_marked(struct hold *h, struct hold_volume *hv, struct error *err)
{
	struct cache_mark mark;

	if (cache_read_dirty(&hv->v.cache, &mark) < 0)
		return 0;
	return error_set(err, EIO,
			 "what an earlier run on this node left is committed, but that can't be noted in the cache %s "
			 "(%s): see to its disk, and try again",
			 h->config->cache.path, hv->recovered.report.warning);
}

int hold_recover(struct hold *h, struct hold_volume *hv, int64_t deadline_ns, struct error *err)
{
	struct recover_policy p = policy(h, deadline_ns, h->cancel_fd);
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_close_ int tree = -1;
	struct keeper_note note;
	struct cache_mark mark;
	bool dirty = cache_read_dirty(&hv->v.cache, &mark) == 0, noted, lives;
	int r;

	tree = dirty ? tree_open(hv->v.cache.dir_fd, "rw", O_RDONLY | O_DIRECTORY) : -1;
	noted = keeper_note_read(&hv->v.cache, &a, &note) == 0;
	lives = noted && (keeper_note_lives(&note, tree) ||
			  (dirty && (users_live(&hv->v.cache, mark.epoch) || users_live(&hv->v.cache, mark.users))));
	/* The lock says that this keeper is dead. Its container's delete may have come already, or died with it. */
	if (noted && !lives)
		keeper_socket_forget(h->config->run_dir, note.request.id, note.request.bundle);
	if (!dirty)
		return 0;
	/* On a full disk nobody could note whose it is. A tree that is being written is committed by nobody. */
	if (!noted && !mark.unquiet && tree >= 0 && tree_is_mounted_elsewhere(tree, NULL))
		return error_set(err, EBUSY,
				 "a container that still runs has its tree, and no keeper; when it has ended, the next "
				 "start commits what it leaves");
	if (lives) {
		r = keeper_start_adopter(&hv->v, &note, err);
		return r < 0 ? error_wrap(err, "container %s, which still runs, lost its keeper", note.container) : 1;
	}
	hv->v.unquiet = tree >= 0 && !hold_recover_quiet(tree, hv->writer, sizeof(hv->writer));
	do
		r = recover_tree(&hv->v, &p, &h->arena, &hv->recovered, err);
	while (r == -ENOSPC && hold_evict_more(h));
	if (r < 0)
		return hold_explain_full(h, r, NULL, err);
	cache_note_keeper(&hv->v.cache, NULL);
	if (hv->recovered.outcome == RECOVER_COMMITTED)
		cache_note_error(&hv->v.cache, NULL);
	users_move(&hv->v.cache, mark.epoch, 0);
	users_move(&hv->v.cache, mark.users, 0);
	tell(h, hv, &hv->recovered);
	if (!hv->v.unquiet && hv->recovered.outcome == RECOVER_COMMITTED)
		return check_marked(h, hv, err);
	if (hv->v.unquiet && hv->recovered.outcome == RECOVER_COMMITTED)
		return leave_to_writer(h, hv, &mark, err);
	hv->v.unquiet = false;
	return 0;
}

int hold_recover_lease(struct hold *h, struct hold_volume *hv, int64_t deadline_ns, struct error *err)
{
	struct recover_policy p = policy(h, deadline_ns, h->cancel_fd);
	int r = recover_lease(&hv->v, &p, err);

	if (r < 0)
		return error_wrap(err, "give back the lease of a keeper that died");
	if (r != RECOVER_LEASE_STANDS)
		cache_note_keeper(&hv->v.cache, NULL);
	return r;
}

void hold_recover_orphan(struct hold *h, struct hold_volume *hv)
{
	struct recover_policy p = policy(h, clock_boottime_ns() + ADOPT_WAIT_NS, -1);
	struct error err = ERROR_INIT;
	struct recover_result result;

	hv->orphan = false;
	if (recover_tree(&hv->v, &p, &h->arena, &result, &err) < 0) {
		hold_fail(h, hv, "not committed: %s; its changes stay in the cache of this node", err.msg);
		return;
	}
	tell(h, hv, &result);
	if (result.outcome == RECOVER_SET_ASIDE)
		hv->conflict = result.conflict;
}

/* --- adoption ------------------------------------------------------------------------- */

/* The container has the tree; the next holder must never meet it. */
static int set_aside_living(struct hold *h, struct hold_volume *hv, const struct cache_mark *mark, const char *why,
			    struct error *err)
{
	struct conflict_note note = {.epoch = mark->epoch,
				     .seq = mark->seq,
				     .why = why,
				     .node = h->lease_id.node_name,
				     .container = h->request->id,
				     .keeper = h->lease_id.keeper};
	int r = conflict_set_aside(&hv->v, &note, &h->arena, &hv->conflict, err);

	if (r < 0)
		return r;
	hv->aside = true;
	hold_fail(h, hv, "%s; its changes are kept in %s/%s/%s/%s/conflict-%s", why, h->config->cache.path,
		  hv->store->name, hv->v.workspace, hv->v.name, hv->conflict ? hv->conflict : "");
	cache_note_keeper(&hv->v.cache, NULL);
	cache_unlock(&hv->v.cache);
	return 0;
}

static int adopt_lease(struct hold *h, struct hold_volume *hv, const struct cache_mark *mark, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	int64_t deadline = clock_boottime_ns() + ADOPT_WAIT_NS;
	const char *why = "";
	uint64_t epoch = 0;
	struct head head;
	int r;

	/* An adopter that died had noted its epoch, but not brought the users with it. */
	if (mark->users)
		users_move(&hv->v.cache, mark->users, mark->epoch);
	r = recover_claim(&hv->v, &h->lease_id, mark, &epoch, &why, err);
	if (r == 0)
		return set_aside_living(h, hv, mark, why, err);
	if (r > 0)
		r = lease_acquire(&hv->v, &h->lease_config, &h->lease_id, deadline, -1, &hv->lease, err);
	if (r == 0)
		r = recover_confirm(&hv->v, hv->lease, mark, epoch, err);
	if (r == 0) {
		/* Somebody was faster, and gone again: the lease that we have is not this tree's. */
		lease_release(hv->lease, lease_head(hv->lease, &a, &head) == 0 ? head.applied_seq : 0, err);
		lease_free(hv->lease);
		hv->lease = NULL;
		return set_aside_living(h, hv, mark, "another holder had the lease since", err);
	}
	if (r < 0) {
		hv->orphan = true;
		hv->orphan_epoch = mark->epoch;
		hold_warn(h, hv, "no lease while its container runs on: %s", err->msg);
		return 0;
	}
	users_move(&hv->v.cache, mark->epoch, lease_epoch(hv->lease));
	hv->dirty = true;
	users_begin(h);
	/* What one that ended meanwhile had to tell is lost, perhaps. */
	hv->was_unquiet = h->request->pod;
	hv->begin_seq = mark->seq;
	hv->report.asked_ns = hv->report.leased_ns = hv->report.ready_ns = clock_boottime_ns();
	if (lease_head(hv->lease, &a, &head) == 0)
		hv->applied_seq = head.applied_seq;
	return hold_fence(hv, err);
}

int hold_adopt(struct hold *h, int lock_fd, struct arena *a, struct keeper_note *ret_note, struct error *err)
{
	struct hold_volume *hv = &h->volumes[0];
	struct cache_mark mark;
	int r;

	r = hold_open_volume(h, hv, err);
	if (r < 0) {
		close(lock_fd);
		return r;
	}
	hv->v.cache.lock_fd = lock_fd;
	hv->tree_fd = tree_open(hv->v.cache.dir_fd, "rw", O_RDONLY | O_DIRECTORY);
	if (hv->tree_fd < 0 || cache_read_dirty(&hv->v.cache, &mark) < 0 ||
	    keeper_note_read(&hv->v.cache, a, ret_note) < 0)
		return error_set(err, ENODATA, "its tree is gone");
	return adopt_lease(h, hv, &mark, err);
}
