/* SPDX-License-Identifier: Apache-2.0 */
/* Taking: access, lock, lease, restore, in this order for all volumes. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/sys.h"
#include "hooks/engine/evict.h"
#include "hooks/engine/keeper_name.h"
#include "hooks/engine/listing.h"
#include "hooks/engine/restore.h"
#include "hooks/keeper_checkpoint.h"
#include "hooks/keeper_hold.h"
#include "hooks/keeper_pod.h"
#include "hooks/keeper_users.h"

#define JOIN_POLL_NS (100 * NSEC_PER_MSEC)
#define DEFAULT_PREPARE_NS (300 * NSEC_PER_SEC)

/* --- one volume: access and lease ------------------------------------------------- */

/* Conditions that a store only pretends to enforce would make two holders: proved once per node and endpoint. */
static int probe(struct hold *h, struct hold_volume *hv, struct error *err)
{
	const struct store_config *c = hv->store;
	const char *fingerprint = arena_printf(&h->arena, "%s %s %s %s %s %s %d", c->type, c->path ? c->path : "",
					       c->endpoint ? c->endpoint : "",
					       c->bucket      ? c->bucket
					       : c->container ? c->container
							      : "",
					       c->account ? c->account : "", c->region ? c->region : "", c->path_style);
	unsigned quirks;
	int r;

	if (!fingerprint)
		return error_set(err, ENOMEM, "out of memory");
	if (cache_read_probe(h->cache_fd, c->name, fingerprint, &quirks) < 0) {
		r = store_probe(hv->v.store, err);
		if (r < 0)
			return r;
		quirks = store_quirks(hv->v.store);
		r = cache_write_probe(h->cache_fd, c->name, fingerprint, quirks, err);
		if (r < 0)
			return r;
	}
	store_set_quirks(hv->v.store, quirks);
	store_set_quirks(hv->v.lease_store, quirks);
	return 0;
}

/* The node's own lock ran into the time limit: the register knows the holder's name. */
static int error_local_holder(struct hold_volume *hv, int64_t waited_ns, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct error ignored = ERROR_INIT;
	struct head head = {0};

	if (lease_peek(&hv->v, &a, &head, NULL, &ignored) < 0 || head.state == HEAD_FREE)
		head.holder = (struct head_holder){.node_name = "this node"};
	return lease_error_held(&head.holder, waited_ns, err);
}

struct keeper_note hold_make_note(struct hold *h, struct hold_volume *hv, struct arena *a)
{
	char *key = arena_alloc(a, KEEPER_KEY_MAX);
	struct keeper_note n = {.pid = getpid(),
				.container = h->request->id,
				.socket = h->rest_until_ns ? NULL : key, /* nobody listens any more */
				.keeper = h->lease_id.keeper,
				.init = keeper_name(h->request->pid, a),
				.request = *h->request};

	if (key)
		keeper_key(h->request->id, h->request->bundle, key);
	n.sync_commit = hv->synced.commit;
	n.sync_frozen_us = hv->synced.frozen_us;
	n.sync_copied_bytes = hv->synced.copied_bytes;
	n.sync_reflinked_bytes = hv->synced.reflinked_bytes;
	n.sync_error = hv->synced.error;
	n.joinable = hv->joinable;
	n.resting = hv->resting;
	n.request.n_volumes = 1;
	n.request.volumes = (struct keeper_request_volume *)hv->request;
	return n;
}

void hold_note(struct hold *h, const struct container_cgroup *cgroup)
{
	if (cgroup)
		h->cgroup = cgroup;
	for (size_t i = 0; i < h->n; i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		struct hold_volume *hv = &h->volumes[i];
		struct keeper_note n = hold_make_note(h, hv, &a);

		if (hv->open && hv->v.cache.lock_fd >= 0)
			keeper_note_write(&hv->v.cache, &n, h->cgroup);
		else if (hv->joined)
			hold_note_user(h, hv, h->cgroup);
	}
}

int hold_fence(struct hold_volume *hv, struct error *err)
{
	hv->v.store->valid = lease_valid;
	hv->v.store->valid_ctx = hv->lease;
	hv->v.store->fence_key = volume_key_meta(&hv->v.arena, &hv->v, "head");
	hv->v.store->fence_epoch = lease_epoch(hv->lease);
	return hv->v.store->fence_key ? 0 : error_set(err, ENOMEM, "out of memory");
}

/*
 * What a dead keeper left comes first; while its container lives, another keeper has the lock, and is waited for. In a
 * pod, the holder may be one to join. 1: joined.
 */
static int lock(struct hold *h, struct hold_volume *hv, int64_t start_ns, int64_t deadline, struct error *err)
{
	for (;;) {
		int64_t now = clock_boottime_ns(), until = deadline;
		int r = hold_join(h, hv, err);

		if (r != 0)
			return r;
		if (h->request->pod && until > now + JOIN_POLL_NS)
			until = now + JOIN_POLL_NS;
		r = cache_lock(&hv->v.cache, until, h->cancel_fd, err);
		if (r == -ETIMEDOUT && until < deadline) {
			hold_want(hv);
			continue;
		}
		if (r == -ETIMEDOUT)
			return error_local_holder(hv, clock_boottime_ns() - start_ns, err);
		if (r < 0)
			return r;
		r = hold_recover(h, hv, deadline, err);
		if (r <= 0)
			return r;
	}
}

/* A volume that was removed while its lease was waited for: whose it is now was decided for the one that is gone. */
static int begin_anew(struct hold *h, struct hold_volume *hv, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct head head;
	int r;

	if (lease_head(hv->lease, &a, &head) < 0)
		return error_set(err, ENOMEM, "out of memory");
	if (!head.removed)
		return 0;
	r = access_check(&hv->v, &h->access, err);
	return r < 0 ? r : lease_revive(hv->lease, err);
}

static int64_t deadline_of(const struct hold_volume *hv, int64_t start_ns)
{
	int64_t wait = hv->request->wait_ns;

	return wait > INT64_MAX - start_ns ? INT64_MAX : start_ns + wait;
}

static int check_restored(const struct hold *h, const struct hold_volume *hv, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct head head;

	if (lease_head(hv->lease, &a, &head) < 0)
		return error_set(err, ENOMEM, "out of memory");
	return hold_check_restored(h, hv, &head.commit, err);
}

static int leased(struct hold *h, struct hold_volume *hv, int64_t start_ns, struct error *err)
{
	int r = hold_fence(hv, err);

	if (r == 0)
		r = check_restored(h, hv, err);
	if (r < 0)
		return r;
	hv->report.asked_ns = start_ns;
	hv->report.leased_ns = clock_boottime_ns();
	return begin_anew(h, hv, err);
}

static int acquire(struct hold *h, struct hold_volume *hv, int64_t start_ns, struct error *err)
{
	static const struct container_cgroup not_known = {.fd = -1};
	int64_t deadline = deadline_of(hv, start_ns);
	int r;

	h->lease_config.waiting = hold_want;
	h->lease_config.waiting_arg = hv;

	r = lock(h, hv, start_ns, deadline, err);
	if (r != 0)
		return r < 0 ? r : hold_check_restored(h, hv, NULL, err);
	hold_note(h, &not_known);
	r = lease_acquire(&hv->v, &h->lease_config, &h->lease_id, deadline, h->cancel_fd, &hv->lease, err);
	return r < 0 ? r : leased(h, hv, start_ns, err);
}

int hold_open_volume(struct hold *h, struct hold_volume *hv, struct error *err)
{
	const struct config_limits *limits = &h->config->limits;
	const struct keeper_request_volume *q = hv->request;
	int r;

	r = volume_open(&hv->v, hv->store, h->cache_fd, h->request->workspace, q->name, q->ro, err);
	if (r < 0)
		return r;
	hv->open = true;
	hv->v.owner_uid = q->owner_uid;
	hv->v.owner_gid = q->owner_gid;
	hv->v.ids = h->ids;
	hv->v.no_foreign = h->no_foreign;
	hv->v.mountpoints = q->mountpoints;
	hv->v.n_mountpoints = q->n_mountpoints;
	hv->v.max_bytes = limits->bytes_per_volume;
	hv->v.max_files = limits->files_per_volume;
	hv->v.max_file_bytes = limits->bytes_per_file ? limits->bytes_per_file : CONFIG_FILE_BYTES;
	hv->v.max_volumes = limits->volumes_per_workspace;
	return q->ro ? 0 : probe(h, hv, err);
}

/* The lease; and beside its write, the listing that the restore will ask for. */
static int take_at_once(struct hold *h, struct hold_volume *hv, int64_t deadline, struct lease *l, struct error *err)
{
	static const struct container_cgroup not_known = {.fd = -1};
	struct listing *listing = NULL;
	bool first = false;
	int r = access_check(&hv->v, &h->access, err);

	if (r < 0)
		return r;
	hold_note(h, &not_known);
	if (lease_looked(l, &h->lease_id) && !hv->v.no_foreign && !hv->store->foreign_ignore)
		listing = listing_begin(&hv->v);
	r = lease_take(l, &h->lease_id, deadline, h->cancel_fd, &first, err);
	listing = listing_wait(listing);
	/* Made before somebody else wrote the register: that one may have published since. */
	if (r == 0 && first)
		hv->v.listing = listing;
	else
		listing_free(listing);
	return r;
}

/*
 * The usual way, when nobody on this node has the volume and nothing is to be recovered: two round trips, for what does
 * not depend on each other is asked at once. 1: it is not that way.
 */
static int take_quickly(struct hold *h, struct hold_volume *hv, int64_t start_ns, struct error *err)
{
	int64_t deadline = deadline_of(hv, start_ns);
	struct error ignored = ERROR_INIT;
	struct lease *l = NULL;
	struct cache_mark mark;
	int r;

	if (h->request->pod || hv->request->ro || cache_lock(&hv->v.cache, 0, h->cancel_fd, &ignored) < 0)
		return 1;
	if (cache_read_dirty(&hv->v.cache, &mark) == 0) {
		cache_unlock(&hv->v.cache);
		return 1;
	}
	r = hold_recover(h, hv, deadline, err);
	if (r == 0)
		r = lease_look(&hv->v, &h->lease_config, &l, err);
	if (r == 0)
		r = take_at_once(h, hv, deadline, l, err);
	if (r < 0) {
		lease_free(l);
		return r;
	}
	hv->lease = l;
	return leased(h, hv, start_ns, err);
}

static int take_lease(struct hold *h, struct hold_volume *hv, int64_t start_ns, struct error *err)
{
	int r = hold_open_volume(h, hv, err);

	if (r == 0)
		r = hold_look_restored(h, hv, err);
	if (r == 0)
		r = take_quickly(h, hv, start_ns, err);
	if (r <= 0)
		return r;
	r = access_check(&hv->v, &h->access, err);
	if (r == 0 && !hv->request->ro)
		r = acquire(h, hv, start_ns, err);
	hold_want_over(hv);
	return r;
}

/* --- one volume: the tree ------------------------------------------------------------ */

/*
 * The create that asked is gone (its caller's patience was over). What is on its way is fetched to the end, so that the
 * next try finds it; that one waits for this node's lock. The lease is given back at once: others need not wait.
 */
static void abandon(struct hold_volume *hv)
{
	struct error ignored = ERROR_INIT;

	hv->abandoned_ns = clock_boottime_ns();
	lease_release(hv->lease, hv->applied_seq, &ignored);
	hv->v.store->valid = NULL; /* nothing is written any more */
	lease_free(hv->lease);
	hv->lease = NULL;
}

static bool may_go_on(void *arg)
{
	struct hold_volume *hv = arg;
	struct hold *h = hv->hold;

	if (!hv->abandoned_ns && fd_readable(h->cancel_fd) && !fd_readable(h->stop_fd))
		abandon(hv);
	if (hv->abandoned_ns)
		return clock_boottime_ns() - hv->abandoned_ns <
			   config_duration(h->config->lease.prepare_timeout, DEFAULT_PREPARE_NS) &&
		       !fd_readable(h->stop_fd);
	return lease_valid(hv->lease) && !fd_readable(h->cancel_fd);
}

static int open_tree_dir(struct hold_volume *hv, const char *name, struct error *err)
{
	hv->tree_fd = sys_openat2(hv->v.cache.dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0,
				  RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	return hv->tree_fd < 0 ? error_set(err, errno, "cache: can't open the tree %s (error %d)", name, errno) : 0;
}

static int take_tree(struct hold *h, struct hold_volume *hv, struct error *err)
{
	struct transfer_report report = {0};
	struct arena a = ARENA_INIT;
	struct head head;
	int r;

	r = lease_head(hv->lease, &a, &head);
	if (r < 0)
		error_set(err, ENOMEM, "out of memory");
	if (r == 0) {
		hv->applied_seq = head.applied_seq;
		hv->begin_seq = head.commit.seq;
		hold_make_room(h, hv, &head);
		hold_note_usage(hv, &head);
		r = restore_run(&hv->v, &head, may_go_on, hv, &report, err);
		if (r < 0 && may_go_on(hv) && hold_make_more_room(h, &head))
			r = restore_run(&hv->v, &head, may_go_on, hv, &report, err);
		r = hold_explain_full(h, r, &head, err);
		h->grown |= !report.warm;
	}
	/* A tree that was fetched to its end though nobody waits for it has no lease any more. */
	if (r == 0 && hv->lease && report.settled_seq > 0)
		lease_settled(hv->lease, report.settled_seq);
	if (r == 0 && report.n_warnings)
		hold_warn(h, hv, "%s", report.warning);
	hv->report.in = report;
	hv->report.ready_ns = clock_boottime_ns();
	arena_free(&a);
	if (fd_readable(h->cancel_fd))
		return error_set(err, ECANCELED, "cancelled");
	return r < 0 ? r : open_tree_dir(hv, "rw", err);
}

/* A reader shares the tree with others, and locks it (shared) as long as it is mounted: nobody removes it then. */
static int take_ro_tree(struct hold *h, struct hold_volume *hv, struct error *err)
{
	struct transfer_report report = {0};
	_cleanup_close_ int lock = -1;
	const char *name;
	struct head head;
	int r;

	r = cache_lock_ro(&hv->v.cache, INT64_MAX, h->cancel_fd, &lock, err);
	if (r < 0)
		return r;
	r = lease_peek(&hv->v, &hv->v.arena, &head, NULL, err);
	if (r == -ENOENT || (r == 0 && head.removed))
		return error_set(err, ENOENT, "not there yet: ro needs an existing volume");
	if (r == 0)
		r = hold_check_restored(h, hv, &head.commit, err);
	if (r < 0)
		return r;
	hv->read = head.commit;
	hold_make_room(h, hv, &head);
	hold_note_usage(hv, &head);
	r = restore_read_only(&hv->v, &head, &hv->v.arena, &name, &report, err);
	if (r == -EBADMSG) /* as restore_run */
		r = restore_read_only(&hv->v, &head, &hv->v.arena, &name, &report, err);
	if (r < 0 && hold_make_more_room(h, &head))
		r = restore_read_only(&hv->v, &head, &hv->v.arena, &name, &report, err);
	r = hold_explain_full(h, r, &head, err);
	h->grown |= !report.warm;
	if (r == 0)
		r = open_tree_dir(hv, name, err);
	if (r == 0)
		cache_remove_old_readers(&hv->v.cache, name);
	if (r == 0 && flock(hv->tree_fd, LOCK_SH) < 0)
		r = error_set(err, errno, "cache: can't lock the tree %s (error %d)", name, errno);
	return r;
}

/* --- all --------------------------------------------------------------------------- */

static int mark_dirty(struct hold_volume *hv, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct head head;
	int r;

	if (lease_head(hv->lease, &a, &head) < 0)
		return error_set(err, ENOMEM, "out of memory");
	r = cache_mark_dirty(&hv->v.cache, head.epoch, head.commit.seq, err);
	if (r == 0)
		hv->dirty = true;
	return r;
}

static int for_all(struct hold *h, int (*fn)(struct hold *, struct hold_volume *, struct error *), struct error *err)
{
	size_t i;

	for (i = 0; i < h->n; i++) {
		int r = fn(h, &h->volumes[i], err);

		if (r < 0)
			return error_wrap(err, "volume %s", h->volumes[i].request->name);
	}
	return 0;
}

static int step_tree(struct hold *h, struct hold_volume *hv, struct error *err)
{
	if (hv->joined)
		return 0;
	return hv->lease ? take_tree(h, hv, err) : take_ro_tree(h, hv, err);
}

static int step_mark(struct hold *h, struct hold_volume *hv, struct error *err)
{
	int r;

	if (!hv->lease)
		return 0;
	do
		r = mark_dirty(hv, err);
	while (r == -ENOSPC && hold_evict_more(h));
	return hold_explain_full(h, r, NULL, err);
}

/* The last look, after the last read of a restore: the container starts only under valid leases. */
static int step_valid(struct hold *h, struct hold_volume *hv, struct error *err)
{
	(void)h;
	if (hv->lease ? !lease_valid(hv->lease) : hv->joined && !users_valid(&hv->v.cache))
		return error_set(err, ESTALE, "the lease could not be kept while the volume was fetched");
	return 0;
}

static int take_leases(struct hold *h, struct error *err)
{
	int64_t start = clock_boottime_ns();
	size_t i;
	int r = 0;

	hold_make_least_room(h);
	r = hold_find_ids(h, err);
	for (i = 0; i < h->n && r == 0; i++) {
		r = hold_explain_full(h, take_lease(h, &h->volumes[i], start, err), NULL, err);
		if (r < 0)
			error_wrap(err, "volume %s", h->volumes[i].request->name);
	}
	return r;
}

int hold_take_leases(struct hold *h, struct error *err)
{
	int r = take_leases(h, err);

	if (r < 0)
		hold_finish(h);
	return r;
}

/* What follows a cancelled one is fetched too, but by itself: nobody waits for it. */
static int take_trees(struct hold *h, struct error *err)
{
	struct error ignored = ERROR_INIT;
	size_t i = 0;
	int r = 0;

	for (; i < h->n && r == 0; i++) {
		r = step_tree(h, &h->volumes[i], err);
		if (r < 0)
			error_wrap(err, "volume %s", h->volumes[i].request->name);
	}
	for (; i < h->n && r == -ECANCELED; i++)
		step_tree(h, &h->volumes[i], &ignored);
	return r;
}

int hold_take(struct hold *h, struct error *err)
{
	int r = take_leases(h, err);

	if (r == 0)
		r = take_trees(h, err);
	if (r == 0)
		r = for_all(h, step_mark, err);
	if (r == 0)
		r = for_all(h, step_valid, err);
	if (r == 0)
		users_begin(h);
	if (r < 0)
		hold_finish(h);
	return r;
}

void hold_settle(struct hold *h)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->volumes[i].lease)
			cache_settle_begin(&h->volumes[i].v.cache);
}
