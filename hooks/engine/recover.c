/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "hooks/engine/commit.h"
#include "hooks/engine/conflict.h"

static const char why_taken[] = "another holder had the lease since";
static const char why_forsaken[] = "the store has no register of it any more";
static const char why_power[] = "power was lost, or the machine was restarted, before its changes were committed";
static const char why_unsettled[] =
    "power was lost, or the machine was restarted, just after its start: files that it did not change may be damaged";

/*
 * The register just before the lease is taken shows the epoch of the run that
 * died; or the next one, taken by a recovery of this node that died before it could note it in the mark.
 */
static bool is_next(const struct head *h, const struct lease_identity *id, const struct cache_mark *m)
{
	if (h->epoch == m->epoch)
		return true;
	return h->epoch == m->epoch + 1 && m->heir[0] && h->holder.keeper && !strcmp(h->holder.keeper, m->heir) &&
	       !strcmp(h->holder.node, id->node) && h->commit.epoch <= m->epoch;
}

int recover_claim(struct volume *v, const struct lease_identity *id, const struct cache_mark *mark, uint64_t *ret_epoch,
		  const char **ret_why, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct head head = {0};
	int r;

	r = lease_peek(v, &a, &head, NULL, err);
	if (r == -ENOENT)
		r = lease_check_vanished(v->store, &v->cache, err);
	if (r < 0)
		return r;
	/* No register, or no readable mark: whose changes these are, nobody can say any more. */
	if (mark->epoch == 0 || !is_next(&head, id, mark)) {
		*ret_why = why_taken;
		return 0;
	}
	r = cache_mark_heir(&v->cache, mark, head.epoch, id->keeper, err);
	if (r < 0)
		return r;
	*ret_epoch = head.epoch;
	return 1;
}

int recover_confirm(struct volume *v, const struct lease *l, const struct cache_mark *mark, uint64_t epoch,
		    struct error *err)
{
	int r;

	/* Each taking is one conditional write that counts the epoch up by one. */
	if (lease_epoch(l) != epoch + 1)
		return 0;
	r = cache_mark_heir(&v->cache, mark, lease_epoch(l), NULL, err);
	return r < 0 ? r : 1;
}

/* --- the whole way ------------------------------------------------------------------- */

/* A store that is not mounted, or another one: not what was there when the run began. */
static bool is_forsaken(struct volume *v)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct error ignored = ERROR_INIT;
	struct head head;

	return lease_peek(v, &a, &head, NULL, &ignored) == -ENOENT;
}

static int set_aside(struct volume *v, const struct recover_policy *p, const struct cache_mark *mark, const char *why,
		     bool local, struct arena *a, struct recover_result *ret, struct error *err)
{
	char boot_id[CACHE_CLEAN_BOOT_ID_MAX];
	struct conflict_note note = {
	    .epoch = mark->epoch, .seq = mark->seq, .why = why, .node = p->id->node_name, .local = local};
	int r;

	note.unsure = cache_boot_id(boot_id) < 0 || strcmp(boot_id, mark->boot_id) != 0;
	r = conflict_set_aside(v, &note, a, &ret->conflict, err);
	if (r < 0)
		return r;
	ret->outcome = RECOVER_SET_ASIDE;
	ret->why = why;
	return 0;
}

static int commit_tree(struct volume *v, struct lease *l, struct recover_result *ret, uint64_t *applied,
		       struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct head head;
	int r;

	r = publish_redo(v, l, applied, err);
	if (r == 0)
		r = commit_run(v, l, &ret->report, applied, err);
	if (r == 0 && lease_head(l, &a, &head) == 0)
		ret->seq = head.commit.seq;
	if (r == 0) {
		ret->outcome = RECOVER_COMMITTED;
		if (!v->unquiet)
			lease_finished(l);
	}
	return r;
}

static int under_lease(struct volume *v, const struct recover_policy *p, const struct cache_mark *mark, uint64_t epoch,
		       struct lease *l, struct arena *a, struct recover_result *ret, struct error *err)
{
	_cleanup_arena_ struct arena heads = ARENA_INIT;
	struct error ignored = ERROR_INIT;
	uint64_t applied = 0;
	struct head head;
	int r;

	if (lease_head(l, &heads, &head) == 0)
		applied = head.applied_seq;
	r = recover_confirm(v, l, mark, epoch, err);
	if (r == 0)
		r = set_aside(v, p, mark, why_taken, false, a, ret, err);
	else if (r > 0)
		r = commit_tree(v, l, ret, &applied, err);
	if (r < 0 && lease_lost(l))
		r = set_aside(v, p, mark, why_taken, false, a, ret, err);
	else if (r == -EFBIG)
		r = set_aside(v, p, mark, arena_strdup(a, err->msg), true, a, ret, err);
	/* If that fails: the next one on this node takes it at once, others wait for its end. */
	lease_release(l, applied, &ignored);
	return r;
}

int recover_tree(struct volume *v, const struct recover_policy *p, struct arena *a, struct recover_result *ret,
		 struct error *err)
{
	char boot_id[CACHE_CLEAN_BOOT_ID_MAX];
	struct recover_result result = {.outcome = RECOVER_NOTHING};
	struct lease *l = NULL;
	struct cache_mark mark;
	const char *why = why_power, *none;
	uint64_t epoch = 0;
	bool forsaken;
	int r = 0;

	*ret = result;
	if (cache_read_dirty(&v->cache, &mark) < 0)
		return 0;
	if (faccessat(v->cache.dir_fd, "rw", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return cache_set_aside(&v->cache, mark.epoch, a, &none, err); /* only the mark is left */
	if (cache_boot_id(boot_id) < 0)
		return error_set(err, EIO, "can't read the boot's id");
	forsaken = is_forsaken(v);
	if (forsaken && !p->forsaken)
		r = lease_check_vanished(v->store, &v->cache, err);
	else if (forsaken)
		r = set_aside(v, p, &mark, why_forsaken, true, a, &result, err);
	if (r < 0)
		return r;
	if (result.outcome == RECOVER_NOTHING && strcmp(boot_id, mark.boot_id) != 0) {
		bool unsettled = cache_is_unsettled(&v->cache);

		/* What was on its way to the disk may be lost: times say nothing about bytes. */
		if (p->after_power_cut && !unsettled)
			unlinkat(v->cache.dir_fd, "index", 0);
		else
			r = set_aside(v, p, &mark, unsettled ? why_unsettled : why, false, a, &result, err);
	}
	if (r == 0 && result.outcome == RECOVER_NOTHING) {
		r = recover_claim(v, p->id, &mark, &epoch, &why, err);
		if (r == 0)
			r = set_aside(v, p, &mark, why, false, a, &result, err);
		else if (r > 0)
			r = lease_acquire(v, p->lease, p->id, p->deadline_ns, p->cancel_fd, &l, err);
	}
	if (r == 0 && l)
		r = under_lease(v, p, &mark, epoch, l, a, &result, err);
	lease_free(l);
	if (r == 0)
		*ret = result;
	return r;
}

int recover_lease(struct volume *v, const struct recover_policy *p, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct error ignored = ERROR_INIT;
	struct lease *l = NULL;
	uint64_t applied = 0;
	struct head head;
	int r = lease_peek(v, &a, &head, NULL, err);

	if (r == -ENOENT)
		return RECOVER_LEASE_UNKNOWN;
	if (r == 0 && (head.state == HEAD_FREE || strcmp(head.holder.node, p->id->node) != 0))
		return 0;
	if (r == 0)
		r = lease_acquire(v, p->lease, p->id, p->deadline_ns, p->cancel_fd, &l, err);
	if (r < 0)
		return r == -ETIMEDOUT ? RECOVER_LEASE_STANDS : r;
	if (lease_head(l, &a, &head) == 0)
		applied = head.applied_seq;
	r = publish_redo(v, l, &applied, err);
	lease_release(l, applied, &ignored);
	lease_free(l);
	return r;
}
