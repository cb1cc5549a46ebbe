/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hooks/engine/cleaning.h"
#include "hooks/engine/collect.h"
#include "hooks/engine/fence.h"
#include "hooks/engine/index.h"
#include "hooks/engine/pack.h"
#include "hooks/engine/publish.h"
#include "hooks/engine/record.h"
#include "hooks/engine/scan.h"
#include "hooks/engine/snapshot.h"
#include "hooks/engine/tree.h"
#include "hooks/engine/xattrs.h"

/* A write without the page cache takes no longer than this from its time stamp to the disk, we trust. */
#define UNDER_WAY_NS (2 * NSEC_PER_SEC)

struct commit {
	struct transfer x;
	struct lease *lease;
	struct head head;
	struct arena arena;
	struct fence fence;
	int root_fd;
	/* base: the last commit; after the scan, what of it the tree has no more, or not as it was. m's strings are
	 * base's in part. */
	struct manifest base, m;
	struct stage *stage;
	struct collect collect;
	size_t repacked; /* files whose bytes go into new packs */
	bool has_index;
	bool live; /* the container runs on */
	struct snapshot snapshot;
};

#define COMMIT_INIT(v_, lease_, report_, err_)                                                                         \
	((struct commit){.x = {.v = (v_), .report = (report_), .err = (err_)},                                         \
			 .lease = (lease_),                                                                            \
			 .root_fd = -1,                                                                                \
			 .snapshot = SNAPSHOT_INIT})

static void commit_end(struct commit *c)
{
	stage_free(c->stage);
	collect_free(&c->collect);
	snapshot_close(&c->snapshot);
	manifest_free(&c->m);
	manifest_free(&c->base);
	cleanup_close(&c->root_fd);
	fence_end(&c->fence);
	arena_free(&c->arena);
}

static const char *record_name(const struct head *h)
{
	return h->commit.seq > 0 ? h->commit.sha256 : "";
}

/* The last commit: as the index knows it, else as its record says, and then every file is read. */
static int load_base(struct commit *c)
{
	struct transfer *x = &c->x;
	int r;

	c->has_index = index_load(x->v, &c->base) == 0;
	if (c->has_index && !strcmp(c->base.record_sha256, record_name(&c->head)))
		return 0;
	if (c->has_index)
		manifest_free(&c->base);
	c->has_index = false;
	r = restore_manifest(x->v, &c->head.commit, &c->base, x->err);
	/* It is published: what the record says of plain objects is done. */
	if (r == 0)
		record_forget_plain(&c->base);
	return r;
}

/* Foreign objects that the run deleted are to go from the plain copy too; notes on others are carried on. */
static int add_gone(struct commit *c)
{
	const size_t sorted = c->m.n;
	size_t n = sorted;

	for (size_t i = 0; i < c->base.n; i++) {
		const struct entry *b = &c->base.entries[i];
		struct entry *e;

		if (!b->tag)
			continue;
		/* Only the sorted part is searched; what is added is of other paths. */
		c->m.n = sorted;
		e = manifest_find(&c->m, b->path);
		c->m.n = n;
		if (e)
			continue;
		e = manifest_add(&c->m);
		if (!e)
			return error_set(c->x.err, ENOMEM, "out of memory");
		e->path = b->path;
		e->tag = b->tag;
		e->type = b->type == ENTRY_DIR || b->type == ENTRY_GONE_DIR ? ENTRY_GONE_DIR : ENTRY_GONE;
		n++;
	}
	if (n > sorted)
		manifest_sort(&c->m);
	return 0;
}

static bool differs(const struct entry *a, const struct entry *b)
{
	if (a->type != b->type || a->mode != b->mode || a->uid != b->uid || a->gid != b->gid)
		return true;
	if (!xattrs_equal(a->xattrs, b->xattrs))
		return true;
	if (a->type == ENTRY_SYMLINK)
		return a->mtime_ns != b->mtime_ns || strcmp(a->target, b->target) != 0;
	if (a->type == ENTRY_FILE && (!a->link != !b->link || (a->link && strcmp(a->link, b->link) != 0)))
		return true;
	if (a->type == ENTRY_FILE)
		return a->mtime_ns != b->mtime_ns || a->size != b->size || memcmp(a->sha256, b->sha256, SHA256_LEN);
	/* A directory's time alone says only that something came and went. */
	return false;
}

static void count_entry(struct commit *c, const struct entry *e, bool *changed)
{
	struct transfer_report *r = c->x.report;
	const struct entry *old;

	/* The plain copy is to be mended: publishing is of a commit, and its table is written once. */
	*changed |= !entry_in_tree(e) || (e->flags & ENTRY_REPUBLISH);
	if (!entry_in_tree(e) || (e->flags & ENTRY_TAKEN))
		return;
	old = manifest_find(&c->base, e->path);
	if (old && !differs(e, old))
		return;
	*changed = true;
	/* Taken from the base, and then read: it had no bytes in a commit, or they go to another pack. */
	if (!old && (e->flags & ENTRY_CLEAN))
		return;
	*(old ? &r->files_changed : &r->files_added) += 1;
}

/* Counts what is different from the last commit. false: nothing is. */
static bool count_changes(struct commit *c)
{
	bool changed = c->repacked > 0 || c->base.differs || differs(&c->m.root, &c->base.root);

	for (size_t i = 0; i < c->m.n; i++)
		count_entry(c, &c->m.entries[i], &changed);
	/* The base has what was not taken from it. */
	for (size_t i = 0; i < c->base.n; i++) {
		const struct entry *e;

		if (!entry_in_tree(&c->base.entries[i]))
			continue;
		e = manifest_find(&c->m, c->base.entries[i].path);
		if (!e || !entry_in_tree(e)) {
			c->x.report->files_deleted++;
			changed = true;
		}
	}
	return changed;
}

/* Makes the manifest the index of this commit. */
static void note_commit(struct commit *c, const struct head_commit *commit)
{
	for (size_t i = 0; i < c->m.n; i++)
		c->m.entries[i].flags &= ENTRY_REPUBLISH | ENTRY_SPARSE;
	c->m.epoch = commit->epoch;
	c->m.seq = commit->seq;
	snprintf(c->m.record_sha256, sizeof(c->m.record_sha256), "%s", commit->seq > 0 ? commit->sha256 : "");
}

static int by_number(const void *a, const void *b)
{
	ino_t x = *(const ino_t *)a, y = *(const ino_t *)b;

	return x < y ? -1 : x > y;
}

/*
 * A later change must show to a later scan. Writes through a mapping that was made
 * before, and direct ones that were under way, change no time stamp any more.
 */
static void distrust(struct commit *c, const struct commit_mapped *mapped)
{
	for (size_t i = 0; i < c->m.n; i++) {
		struct entry *e = &c->m.entries[i];

		if (e->type == ENTRY_FILE &&
		    (mapped->all || (mapped->n > 0 && bsearch(&(ino_t){e->ino}, mapped->inodes, mapped->n,
							      sizeof(*mapped->inodes), by_number))))
			e->ino = 0;
	}
	c->m.time_ns -= UNDER_WAY_NS;
}

/* As the tree is, or was until somebody wrote on; what is not vouched for is read again. */
static int note_unquiet(struct commit *c, struct error *err)
{
	const struct commit_mapped all = {.all = true};
	int r;

	distrust(c, &all);
	r = index_write(c->x.v, &c->m, err);
	return r < 0 ? r : cache_mark_unquiet(&c->x.v->cache, lease_epoch(c->lease), c->m.seq, err);
}

/* Once a day. What fails here is tried again with the next run; the commit goes on. */
static void list_objects(struct commit *c)
{
	struct error err = ERROR_INIT;
	struct transfer x = {.v = c->x.v, .report = c->x.report, .err = &err};

	if (!c->x.v->collect || !collect_due(c->head.collected))
		return;
	lease_collected(c->lease, (uint64_t)time(NULL));
	/* A volume that begins has nothing to collect. */
	if (c->head.commit.seq == 0)
		return;
	if (collect_list(&c->collect, &x, lease_epoch(c->lease)) < 0) {
		report_warning(c->x.report, "old commits were not looked for: %.400s", err.msg);
		collect_free(&c->collect);
		return;
	}
	/* It reads the tree, to which nobody may write meanwhile. */
	if (!c->live && !c->x.v->unquiet)
		c->repacked = collect_repack(&c->collect, &c->m);
}

/*
 * What the end of the last run needs (head.finished) is garbage only when this run has come to its own, quietly. 1: it
 * is *ret; 0: nothing is kept beside the last commit.
 */
static int load_finished(struct commit *c, struct manifest *ret, struct error *err)
{
	struct head head;
	int r;

	if (!c->live && !c->x.v->unquiet)
		return 0;
	if (lease_head(c->lease, &c->arena, &head) < 0)
		return error_set(err, ENOMEM, "out of memory");
	r = head.finished ? restore_manifest(c->x.v, head.finished, ret, err) : 0;
	return r < 0 ? r : head.finished != NULL;
}

/* When the last commit is published: of what it doesn't need, some may go. */
static void collect_garbage(struct commit *c, uint64_t applied_seq)
{
	struct error err = ERROR_INIT;
	struct transfer x = {.v = c->x.v, .report = c->x.report, .err = &err};

	_cleanup_(manifest_free) struct manifest finished = {0};
	int r;

	if (!c->collect.objects || applied_seq != c->m.seq)
		return;
	r = load_finished(c, &finished, &err);
	if (r >= 0)
		r = collect_run(&c->collect, &x, &c->m, r > 0 ? &finished : NULL, applied_seq);
	if (r < 0)
		report_warning(c->x.report, "old commits were not removed: %.400s", err.msg);
}

/* What needs no look at the tree. The commit before must be published. */
static int prepare(struct commit *c, uint64_t *ret_applied_seq)
{
	struct transfer *x = &c->x;
	int r;

	r = publish_redo(x->v, c->lease, ret_applied_seq, x->err);
	if (r == 0)
		r = fence_begin(&c->fence, x->v, c->lease, x->err);
	if (r < 0)
		return r;
	lease_head(c->lease, &c->arena, &c->head);
	c->head.applied_seq = *ret_applied_seq;
	c->root_fd = tree_open(x->v->cache.dir_fd, "rw", O_RDONLY | O_DIRECTORY);
	if (c->root_fd < 0)
		return tree_error(x->err, c->root_fd, "cache: the tree can't be opened");
	return load_base(c);
}

static int scan(struct commit *c)
{
	struct transfer *x = &c->x;
	int r = scan_tree(x->v, c->root_fd, &c->base, true, &c->m, x->report, x->err);

	return r < 0 ? r : add_gone(c);
}

static int stage_once(struct commit *c, bool list)
{
	struct transfer *x = &c->x;

	c->m.epoch = lease_epoch(c->lease);
	c->m.seq = c->head.commit.seq + 1;
	c->stage = stage_new(x, c->root_fd, c->m.epoch, c->m.seq);
	if (!c->stage)
		return error_set(x->err, ENOMEM, "out of memory");
	if (list)
		list_objects(c);
	if (c->snapshot.fd >= 0)
		stage_from_snapshot(c->stage, &c->snapshot);
	return stage_files(c->stage, &c->base, &c->m);
}

static int stage(struct commit *c)
{
	struct transfer_report before = *c->x.report;
	struct transfer *x = &c->x;
	int r = stage_once(c, true);

	if (c->repacked == 0 || (r != -ENOSPC && r != -EDQUOT && r != -EFBIG))
		return r;
	/* To put packs together anew needs room; what the run changed may need none. */
	stage_free(c->stage);
	c->stage = NULL;
	manifest_free(&c->m);
	manifest_free(&c->base); /* the scan took of it what the tree has */
	c->repacked = 0;
	x->failed = 0;
	*x->report = before;
	report_warning(x->report, "old packs were not put together anew: %.400s", x->err->msg);
	*x->err = (struct error)ERROR_INIT;
	r = load_base(c);
	if (r == 0)
		r = scan(c);
	return r < 0 ? r : stage_once(c, false);
}

/* Record and register. ret's strings are the stage's. */
static int commit_changes(struct commit *c, struct head_commit *ret)
{
	struct head_stats stats = {.files = c->m.files, .bytes = c->m.bytes};
	int r;

	/* New packs go with a new base: the old record may lie in one of those that are to go. */
	r = stage_record(c->stage, !c->base.differs && c->repacked == 0, ret);
	ret->running = c->live;
	ret->unquiet = c->x.v->unquiet;
	return r < 0 ? r : lease_commit(c->lease, ret, &stats, c->x.err);
}

/* What the plain copy was told needs no telling again. */
static void forget_done(struct commit *c)
{
	struct error ignored = ERROR_INIT; /* the old index only costs requests */
	bool any = false;

	for (size_t i = 0; i < c->m.n; i++) {
		struct entry *e = &c->m.entries[i];

		any |= !entry_in_tree(e) || (e->tag && e->type != ENTRY_DIR) || (e->flags & ENTRY_REPUBLISH);
		if (!entry_in_tree(e))
			e->flags |= ENTRY_DROP;
		else if (e->type != ENTRY_DIR)
			e->tag = NULL;
		e->flags &= (uint8_t)~ENTRY_REPUBLISH;
	}
	if (!any)
		return;
	manifest_drop(&c->m);
	index_write(c->x.v, &c->m, &ignored);
}

/* A failure here is the next holder's work, not this commit's failure. */
static bool publish_changes(struct commit *c)
{
	struct error err = ERROR_INIT;
	struct transfer x = {.v = c->x.v, .report = c->x.report, .err = &err};
	int64_t begin = clock_boottime_ns();
	_cleanup_free_ char *carried = NULL;
	int r;

	/* While the container runs there is time; and what is collected today must know the table. */
	r = publish_run(&x, &c->m, c->head.applied_seq, c->live || c->collect.objects ? NULL : &carried);
	if (r == 0 && carried && lease_published(c->lease, c->m.seq, carried) < 0)
		r = error_set(&err, ENOMEM, "out of memory");

	c->x.report->publish_ns += clock_boottime_ns() - begin;
	if (r == 0)
		return true;
	report_warning(c->x.report, "the plain copy is not complete yet: %.400s", err.msg);
	return false;
}

/*
 * The tree is the commit now; the next scan and the next start may rely on it. Where that can't be noted, the commit
 * still counts: the tree stays marked dirty, and the next start sets it aside.
 */
static void finish(struct commit *c, const struct head_commit *commit, bool publish, uint64_t *ret_applied_seq)
{
	struct error err = ERROR_INIT;
	struct cleaning cleaning;
	bool published;
	int r = 0;

	note_commit(c, commit);
	if (c->x.v->unquiet)
		r = note_unquiet(c, &err);
	else
		cleaning_begin(&cleaning, c->x.v, &c->m);
	published = publish && publish_changes(c);
	if (!c->x.v->unquiet)
		r = cleaning_end(&cleaning, &err);
	if (r < 0)
		report_warning(c->x.report, "%.400s", err.msg);
	if (published) {
		forget_done(c);
		*ret_applied_seq = c->m.seq;
	}
}

/* Without a valid lease nothing is sent: why it is not valid, the register says. */
static int explain(struct commit *c, int r)
{
	struct error err = ERROR_INIT;

	if (r != -ESTALE || lease_lost(c->lease) || lease_renew(c->lease, &err) == 0)
		return r;
	*c->x.err = err;
	return -err.code;
}

static int commit_steps(struct commit *c, uint64_t *ret_applied_seq)
{
	struct head_commit commit;
	int r;

	r = prepare(c, ret_applied_seq);
	if (r == 0)
		r = scan(c);
	if (r == 0)
		r = stage(c);
	if (r < 0)
		return r;
	if (!count_changes(c)) {
		c->m.chain = c->base.chain;
		c->m.n_chain = c->base.n_chain;
		c->m.root.mtime_ns = c->base.root.mtime_ns;
		finish(c, &c->head.commit, false, ret_applied_seq);
	} else {
		r = commit_changes(c, &commit);
		if (r == 0)
			finish(c, &commit, true, ret_applied_seq);
	}
	if (r == 0)
		collect_garbage(c, *ret_applied_seq);
	return r;
}

int commit_run(struct volume *v, struct lease *l, struct transfer_report *report, uint64_t *ret_applied_seq,
	       struct error *err)
{
	struct commit c = COMMIT_INIT(v, l, report, err);
	uint64_t applied_seq = 0;
	int r;

	r = explain(&c, commit_steps(&c, &applied_seq));
	commit_end(&c);
	if (r == 0)
		*ret_applied_seq = applied_seq;
	return r;
}

/* --- while the container runs ------------------------------------------------------ */

struct commit_live {
	struct commit c;
	uint64_t applied_seq;
};

int commit_live_begin(struct volume *v, struct lease *l, struct transfer_report *report, struct commit_live **ret,
		      struct error *err)
{
	struct commit_live *live = malloc(sizeof(*live));
	int r;

	if (!live)
		return error_set(err, ENOMEM, "out of memory");
	*live = (struct commit_live){.c = COMMIT_INIT(v, l, report, err)};
	live->c.live = true;
	r = prepare(&live->c, &live->applied_seq);
	if (r == 0)
		*ret = live;
	else
		commit_live_free(live);
	return r;
}

int commit_live_snapshot(struct commit_live *live, const struct snapshot_limits *limits, struct error *err)
{
	struct commit *c = &live->c;
	int r;

	c->x.err = err;
	r = scan(c);
	return r < 0 || !limits ? r : snapshot_take(&c->snapshot, &c->x, c->root_fd, limits, &c->m);
}

/* The tree stays dirty: it is ahead of the commit from the moment the container runs on. */
static void note_live(struct commit *c, const struct head_commit *commit)
{
	struct error err = ERROR_INIT;
	int r;

	note_commit(c, commit);
	r = index_write(c->x.v, &c->m, &err);
	if (r == 0)
		r = cache_mark_dirty(&c->x.v->cache, commit->epoch, commit->seq, &err);
	if (r < 0)
		report_warning(c->x.report, "%.400s", err.msg);
}

int commit_live_finish(struct commit_live *live, struct commit_mapped *mapped, uint64_t *ret_seq,
		       uint64_t *ret_applied_seq, struct error *err)
{
	struct commit *c = &live->c;
	struct head_commit commit = {0};
	int r;

	c->x.err = err;
	r = stage(c);
	if (r == 0 && count_changes(c)) {
		r = commit_changes(c, &commit);
		if (r == 0) {
			if (mapped->n > 1)
				qsort(mapped->inodes, mapped->n, sizeof(*mapped->inodes), by_number);
			distrust(c, mapped);
			note_live(c, &commit);
			if (publish_changes(c)) {
				forget_done(c);
				live->applied_seq = c->m.seq;
			}
		}
	} else if (r == 0) {
		c->m.chain = c->base.chain;
		c->m.n_chain = c->base.n_chain;
		c->m.seq = c->head.commit.seq;
	}
	if (r < 0)
		return explain(c, r);
	collect_garbage(c, live->applied_seq);
	*ret_seq = commit.seq;
	*ret_applied_seq = live->applied_seq;
	return 0;
}

void commit_live_stats(const struct commit_live *live, uint64_t *ret_copied, uint64_t *ret_cloned)
{
	*ret_copied = live->c.snapshot.copied;
	*ret_cloned = live->c.snapshot.cloned;
}

void commit_live_free(struct commit_live *live)
{
	if (!live)
		return;
	commit_end(&live->c);
	free(live);
}
