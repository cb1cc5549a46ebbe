/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/num.h"
#include "hooks/engine/applied_store.h"
#include "hooks/engine/foreign.h"
#include "hooks/engine/ids.h"
#include "hooks/engine/index.h"
#include "hooks/engine/reconcile.h"
#include "hooks/engine/record_store.h"
#include "hooks/engine/scan.h"

/* What a tree for readers is called until it is complete. */
#define BUILDING "new-ro-"
/* Another tool changed a file between the listing and the reading: look again. */
#define ATTEMPTS 3

static const char *record_name(const struct head_commit *commit)
{
	return commit->seq > 0 ? commit->sha256 : "";
}

static bool is_of_this_boot(const struct cache_mark *mark)
{
	char boot_id[CACHE_CLEAN_BOOT_ID_MAX];

	return cache_boot_id(boot_id) == 0 && !strcmp(mark->boot_id, boot_id);
}

/* Does the clean mark say that the tree is this commit's, since this boot? */
static bool is_warm(const struct cache_mark *clean, const struct head_commit *commit)
{
	return clean->seq == commit->seq && !strcmp(clean->record_sha256, record_name(commit)) &&
	       is_of_this_boot(clean);
}

/* A clean mark, of a tree whose bytes are there: a restored one's may be lost with the power. */
static bool read_clean(const struct volume *v, struct cache_mark *ret)
{
	return cache_read_clean(&v->cache, ret) == 0 && (is_of_this_boot(ret) || !cache_is_unsettled(&v->cache));
}

static bool load_index(const struct volume *v, const struct cache_mark *clean, struct manifest *ret)
{
	if (index_load(v, ret) < 0)
		return false;
	if (strcmp(ret->record_sha256, clean->record_sha256) == 0)
		return true;
	manifest_free(ret);
	return false;
}

/* A restore in progress. */
struct restore {
	struct transfer x;
	const struct head *head;
	struct plain plain;
	struct tree tree;
	struct manifest index; /* empty when there is none */
	struct applied applied;
	struct foreign foreign;
	bool warm, has_index;
	bool moved; /* the tree was made for other ids */
};

static void give_entry(const struct volume *v, struct entry *e)
{
	const struct id_map *uid = &v->ids->uid, *gid = &v->ids->gid;

	if (!id_map_has(uid, e->uid))
		e->uid = id_map_has(uid, v->owner_uid) ? v->owner_uid : uid->ranges[0].container;
	if (!id_map_has(gid, e->gid))
		e->gid = id_map_has(gid, v->owner_gid) ? v->owner_gid : gid->ranges[0].container;
}

/* An id that the container has no place for becomes the owner's. */
static void give_to_owner(const struct volume *v, struct manifest *m)
{
	if (!v->ids)
		return;
	give_entry(v, &m->root);
	for (size_t i = 0; i < m->n; i++)
		give_entry(v, &m->entries[i]);
}

/* Makes the tree what `want` says, and notes how it looks then. */
static int make_tree(struct restore *r, struct manifest *want)
{
	_cleanup_(manifest_free) struct manifest have = {0};
	struct transfer *x = &r->x;
	int rc;

	/* From here on the tree is between two commits. */
	if (unlinkat(x->v->cache.dir_fd, "clean", 0) < 0 && errno != ENOENT)
		return tree_error(x->err, errno, "cache: the mark \"clean\" can't be removed");
	rc = r->moved ? ids_note(x->v->cache.dir_fd, r->tree.root_fd, x->v->ids) : 0;
	if (rc < 0)
		return tree_error(x->err, rc, "cache: whose the tree's files are can't be noted");
	r->tree.ids = x->v->ids;
	give_to_owner(x->v, want);
	x->v->ids_moved = r->moved;
	rc = scan_tree(x->v, r->tree.root_fd, &r->index, false, &have, x->report, x->err);
	x->v->ids_moved = false;
	if (rc == 0 && have.n + want->n > 0)
		rc = cache_unsettle(&x->v->cache, x->err);
	if (rc == 0)
		rc = reconcile(x, &r->tree, &r->plain, &have, want);
	if (rc == 0)
		rc = index_now(x->v, &want->time_ns, x->err);
	if (rc == 0)
		rc = reconcile_stat(&r->tree, want, x->err);
	snprintf(want->record_sha256, sizeof(want->record_sha256), "%s", record_name(&r->head->commit));
	if (rc == 0)
		rc = index_write(x->v, want, x->err);
	if (rc == 0)
		rc = cache_mark_restored(&x->v->cache, r->head->commit.epoch, r->head->commit.seq,
					 record_name(&r->head->commit), x->err);
	return rc;
}

static int restore_cold(struct restore *r)
{
	_cleanup_(manifest_free) struct manifest want = {0};

	if (record_load(&r->x, &r->head->commit, &want) < 0)
		return r->x.failed;
	if (r->head->applied_seq == r->head->commit.seq)
		record_forget_plain(&want);
	if (foreign_merge(&r->x, &r->plain, &r->foreign, &want) < 0)
		return r->x.failed;
	return make_tree(r, &want);
}

static int restore_steps(struct restore *r)
{
	struct volume *v = r->x.v;
	bool look = !v->no_foreign && (!v->config || !v->config->foreign_ignore), marked;
	struct cache_mark clean;
	int rc;

	rc = plain_init(&r->plain, v, r->x.err);
	if (rc == 0)
		rc = tree_begin(&r->tree, v, "rw", "rw-", r->x.err);
	if (rc < 0)
		return rc;
	/* What the mark tells is of a tree that somebody has removed. */
	if (r->tree.made)
		unlinkat(v->cache.dir_fd, "clean", 0);
	marked = read_clean(v, &clean);
	r->moved = !ids_noted(v->cache.dir_fd, r->tree.root_fd, v->ids);
	r->warm = marked && !r->moved && is_warm(&clean, &r->head->commit);
	/* An index that no mark vouches for may be on the disk without the bytes that it tells of. */
	if (marked && (!r->warm || look))
		r->has_index = load_index(v, &clean, &r->index);
	if (look && applied_load(&r->x, r->head, &r->applied) < 0)
		return r->x.failed;
	if (look && foreign_look(&r->x, &r->plain, r->head, &r->applied, r->warm && r->has_index ? &r->index : NULL,
				 &r->foreign) < 0)
		return r->x.failed;
	applied_free(&r->applied);
	r->x.report->settled_seq = r->foreign.settled_seq;
	if (r->warm && (!look || (r->has_index && foreign_unchanged(&r->foreign, &r->index)))) {
		r->x.report->warm = true;
		return 0;
	}
	return restore_cold(r);
}

static void restore_end(struct restore *r)
{
	tree_end(&r->tree);
	manifest_free(&r->index);
	applied_free(&r->applied);
	foreign_free(&r->foreign);
}

/* Somebody's changes that no commit has are never overwritten. */
static int set_dirty_aside(struct volume *v, struct transfer_report *report, struct error *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct cache_mark dirty;
	const char *name;
	int r;

	if (cache_read_dirty(&v->cache, &dirty) < 0)
		return 0;
	r = cache_set_aside(&v->cache, dirty.epoch, &a, &name, err);
	if (r == 0 && name)
		report_warning(report, "a tree with changes that were never committed was kept as %s in the cache",
			       name);
	return r;
}

int restore_run(struct volume *v, const struct head *head, bool (*still_valid)(void *), void *valid_ctx,
		struct transfer_report *report, struct error *err)
{
	int r = set_dirty_aside(v, report, err);

	for (int i = 0; r == 0; i++) {
		struct restore s = {.x = {v, still_valid, valid_ctx, report, err, 0}, .head = head};

		s.tree.root_fd = s.tree.tmp_fd = s.tree.parent_fd = -1;
		r = restore_steps(&s);
		restore_end(&s);
		/* Other bytes than the commit's may have broken on the way, once. */
		if ((r != -EAGAIN && (r != -EBADMSG || i > 0)) || i + 1 == ATTEMPTS)
			break;
		r = 0;
	}
	return r;
}

/* What a killed reader left; only one at a time makes a tree (lock-ro). */
static void remove_half_made(const struct volume *v)
{
	_cleanup_close_ int fd = openat(v->cache.dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d)
		return;
	TAKE_FD(fd);
	while ((e = readdir(d)))
		if (strncmp(e->d_name, BUILDING, strlen(BUILDING)) == 0)
			remove_tree_at(v->cache.dir_fd, e->d_name);
}

/* Fills a new directory of the cache with the commit. */
static int make_read_only(struct restore *s, const char *building)
{
	_cleanup_(manifest_free) struct manifest want = {0}, have = {0};
	int r;

	r = plain_init(&s->plain, s->x.v, s->x.err);
	if (r == 0)
		r = tree_begin(&s->tree, s->x.v, building, BUILDING, s->x.err);
	/* By a mount that maps ids the tree is shared with containers of any. */
	s->tree.ids = s->x.v->ids && s->x.v->ids->on_disk ? s->x.v->ids : NULL;
	if (r == 0)
		r = record_load(&s->x, &s->head->commit, &want);
	if (r == 0) {
		record_forget_plain(&want);
		if (s->tree.ids)
			give_to_owner(s->x.v, &want);
		r = reconcile(&s->x, &s->tree, &s->plain, &have, &want);
	}
	if (r == 0 && syncfs(s->tree.root_fd) < 0)
		r = tree_error(s->x.err, errno, "cache: can't be written to disk");
	return r;
}

int restore_read_only(struct volume *v, const struct head *head, struct arena *a, const char **ret_name,
		      struct transfer_report *report, struct error *err)
{
	struct restore s = {.x = {v, NULL, NULL, report, err, 0}, .head = head};
	char building[64], suffix[17], of_ids[18];
	unsigned char random[8];
	/* The number alone could be a commit of an earlier volume of this name. */
	const char *name = arena_printf(a, "ro-%" PRIu64 "-%.16s%s", head->commit.seq, record_name(&head->commit),
					ids_name(v->ids, of_ids));
	struct stat st;
	int r;

	if (!name)
		return error_set(err, ENOMEM, "out of memory");
	if (fstatat(v->cache.dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		report->warm = true;
		*ret_name = name;
		return 0;
	}
	remove_half_made(v);
	random_bytes(random, sizeof(random));
	hex_encode(random, sizeof(random), suffix);
	snprintf(building, sizeof(building), BUILDING "%s", suffix);
	s.tree.root_fd = s.tree.tmp_fd = s.tree.parent_fd = -1;
	r = make_read_only(&s, building);
	restore_end(&s);
	/* Another reader may have been faster: its tree is as good. */
	if (r == 0 && renameat2(v->cache.dir_fd, building, v->cache.dir_fd, name, RENAME_NOREPLACE) < 0 &&
	    errno != EEXIST)
		r = tree_error(err, errno, "cache: the tree %s can't be made", name);
	remove_tree_at(v->cache.dir_fd, building);
	if (r == 0)
		*ret_name = name;
	return r;
}
