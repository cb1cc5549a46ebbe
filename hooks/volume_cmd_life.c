/* SPDX-License-Identifier: Apache-2.0 */
/* `volrun volume create`, `rm`. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "hooks/engine/commit.h"
#include "hooks/engine/conflict.h"
#include "hooks/volume_hold.h"

int volume_cmd_create(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	struct volume_hold w;
	struct head head;
	int r;

	if (c->owner && (!c->owner[0] || strlen(c->owner) > 255 ||
			 strspn(c->owner, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@+-") !=
			     strlen(c->owner)))
		return error_set(err, EINVAL, "--owner: \"%.300s\" is no name of a user", c->owner);
	r = volume_hold_open(&w, c, "volrun volume create", NULL, NULL, NULL, err);
	if (r == 0)
		r = hold_open_volume(&w.hold, w.hv, err);
	if (r == 0)
		r = lease_peek(&w.hv->v, a, &head, NULL, err);
	if (r == 0 && !head.removed)
		r = error_set(err, EEXIST, "volume %s: it is there already", c->name);
	volume_hold_shut(&w);
	if (r == 0 || r == -ENOENT)
		r = hold_take(&w.hold, err);
	if (r == 0)
		r = volume_hold_finish(&w, err);
	volume_hold_close(&w);
	return r;
}

/* --- rm ------------------------------------------------------------------------------ */

static int found(void *ctx, const struct store_list_item *item, struct error *err)
{
	(void)item, (void)err;
	*(bool *)ctx = true;
	return -ECANCELED;
}

static int found_local(void *ctx, const struct conflict_note *note)
{
	(void)note;
	*(bool *)ctx = true;
	return 0;
}

/* What was never committed is not thrown away along with the rest unasked. */
static int refuse_conflicts(const struct volume_cmd *c, struct volume *v, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char *prefix = volume_key_meta(&a, v, "conflicts/");
	bool any = false;
	int r;

	if (c->force)
		return 0;
	conflict_each_local(&v->cache, found_local, &any);
	r = any ? 0 : prefix ? store_list(v->store, prefix, found, &any, err) : -ENOMEM;
	if (any)
		return error_set(err, EBUSY,
				 "volume %s: there are changes that were set aside (`volrun volume conflicts ls %s`); "
				 "drop them first, or use --force",
				 c->name, c->name);
	return r;
}

/* A commit of nothing: whatever of an earlier holder lands late is of a commit before this one. */
static int commit_nothing(struct volume_hold *w, uint64_t *applied, struct error *err)
{
	struct transfer_report report = {0};
	struct volume *v = &w->hv->v;
	_cleanup_close_ int root = -1;
	int r;

	r = publish_redo(v, w->hv->lease, applied, err);
	if (r < 0)
		return r;
	/*
	 * The tree may be an old commit's, and half of it is nobody's work: it is of no commit from here on, but not
	 * dirty. Where this ends in the middle, the next start makes it what the last commit says.
	 */
	if (unlinkat(v->cache.dir_fd, "clean", 0) < 0 && errno != ENOENT)
		return error_set(err, errno, "cache: the mark \"clean\" can't be removed (error %d)", errno);
	r = remove_tree_at(v->cache.dir_fd, "rw");
	if (r == 0 && mkdirat(v->cache.dir_fd, "rw", 0755) < 0)
		r = -errno;
	unlinkat(v->cache.dir_fd, "index", 0);
	if (r == 0) {
		root = openat(v->cache.dir_fd, "rw", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		/* Of an earlier tree with this inode. */
		r = root < 0 ? -errno : ids_note(v->cache.dir_fd, root, NULL);
	}
	if (r < 0)
		return error_set(err, r, "cache: the tree can't be removed (error %d)", -r);
	return commit_run(v, w->hv->lease, &report, applied, err);
}

/* What the register names stays, and what its record builds on: the next life begins with it. */
static const char **keys_to_keep(struct volume *v, const struct head *head, struct arena *a, struct error *err)
{
	_cleanup_(manifest_free) struct manifest m = {0};
	const char **keep, *below;
	size_t n = 0;

	if (restore_manifest(v, &head->commit, &m, err) < 0)
		return NULL;
	error_set(err, ENOMEM, "out of memory");
	keep = arena_calloc(a, m.n_chain + 5, sizeof(*keep));
	below = arena_printf(a, "%" PRIu64 ".applied", head->commit.seq);
	if (!keep || !below || !(keep[n++] = volume_key_meta(a, v, "head")) ||
	    !(keep[n++] = volume_key_meta(a, v, "meta")) || !(keep[n++] = volume_key_meta(a, v, below)))
		return NULL;
	for (size_t i = 0; i <= m.n_chain; i++) {
		const char *object = i < m.n_chain ? m.chain[i].object : head->commit.object;

		if (head->commit.seq == 0 || !object)
			continue;
		below = arena_printf(a, "commits/%s", object);
		if (!below || !(keep[n++] = volume_key_meta(a, v, below)))
			return NULL;
	}
	return keep;
}

static int delete_objects(struct volume_hold *w, struct error *err)
{
	struct volume *v = &w->hv->v;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char **keep;
	struct head head;
	size_t n;
	int r;

	if (lease_head(w->hv->lease, &a, &head) < 0)
		return error_set(err, ENOMEM, "out of memory");
	keep = keys_to_keep(v, &head, &a, err);
	if (!keep)
		return -err->code;
	/* commit_run took it away. */
	r = hold_fence(w->hv, err);
	if (r == 0)
		r = access_remove(v, err);
	if (r == 0)
		r = volume_delete_below(v, volume_key_plain(&a, v, ""), NULL, &n, err);
	/* Late ones do no harm: no later commit uses these names. */
	if (r == 0)
		r = volume_delete_below(v, volume_key_meta(&a, v, ""), keep, &n, err);
	return r;
}

static int drop_local(void *ctx, const struct conflict_note *note)
{
	const struct cache_volume *c = ctx;
	char name[80];

	snprintf(name, sizeof(name), "conflict-%s", note->id);
	remove_tree_at(c->dir_fd, name);
	strcat(name, ".json");
	unlinkat(c->dir_fd, name, 0);
	strcpy(strrchr(name, '.'), ".index");
	unlinkat(c->dir_fd, name, 0);
	return 0;
}

static int remove_volume(const struct volume_cmd *c, struct volume_hold *w, struct error *err)
{
	uint64_t applied = 0;
	int r;

	r = commit_nothing(w, &applied, err);
	if (r == 0)
		r = delete_objects(w, err);
	if (r == 0)
		r = lease_remove(w->hv->lease, applied, err);
	if (r < 0)
		return error_wrap(err, "volume %s", c->name);
	lease_free(w->hv->lease);
	w->hv->lease = NULL;
	conflict_each_local(&w->hv->v.cache, drop_local, &w->hv->v.cache);
	cache_note_error(&w->hv->v.cache, NULL);
	return 0;
}

int volume_cmd_rm(const struct volume_cmd *c, struct arena *a, struct error *err)
{
	struct volume_hold w;
	struct head head;
	int r;

	r = volume_hold_open(&w, c, "volrun volume rm", NULL, NULL, NULL, err);
	if (r == 0)
		r = hold_open_volume(&w.hold, w.hv, err);
	if (r == 0)
		r = volume_cmd_peek(c, &w.hv->v, a, &head, err);
	if (r == 0)
		r = refuse_conflicts(c, &w.hv->v, err);
	volume_hold_shut(&w);
	if (r == 0)
		r = hold_take_leases(&w.hold, err);
	/* Once more: what a dead keeper left may have been set aside just now. */
	if (r == 0)
		r = refuse_conflicts(c, &w.hv->v, err);
	if (r == 0)
		r = remove_volume(c, &w, err);
	volume_hold_close(&w);
	return r;
}
