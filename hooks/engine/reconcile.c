/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/reconcile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "hooks/engine/fetch.h"
#include "hooks/engine/hardlinks.h"
#include "hooks/engine/ids.h"
#include "hooks/engine/index.h"
#include "hooks/engine/xattrs.h"

struct work {
	struct transfer *x;
	struct tree *t;
	const struct plain *plain;
	const struct manifest *have;
	struct manifest *want;
	struct entry **missing; /* files whose bytes are to be fetched */
	size_t n_missing;
	struct hardlinks links; /* of want */
	struct entry **sources; /* for each of links, at the group's begin: the name that has the bytes */
};

static int failed_at(struct work *w, int code, const char *path)
{
	struct error why = ERROR_INIT;

	if (w->x->failed < 0)
		return w->x->failed;
	tree_error(&why, code, "cache: \"%.300s\" can't be made as the volume has it", path);
	transfer_fail(w->x, why.code, "%s", why.msg);
	return w->x->failed;
}

/* Children stand behind their directories: from the end. */
static int remove_surplus(struct work *w)
{
	for (size_t i = w->have->n; i-- > 0;) {
		const struct entry *h = &w->have->entries[i], *e = manifest_find(w->want, h->path);
		int r;

		if (e && e->type == h->type)
			continue;
		r = tree_remove(w->t, h->path);
		if (r < 0)
			return failed_at(w, r, h->path);
		if (h->type != ENTRY_DIR)
			w->x->report->files_deleted++;
	}
	return 0;
}

static int make_directories(struct work *w)
{
	for (size_t i = 0; i < w->want->n; i++) {
		const struct entry *e = &w->want->entries[i], *h;
		int r;

		if (e->type != ENTRY_DIR)
			continue;
		h = manifest_find(w->have, e->path);
		r = h && h->type == ENTRY_DIR ? 0 : tree_mkdir(w->t, e->path);
		if (r < 0)
			return failed_at(w, r, e->path);
	}
	return 0;
}

static bool same_meta(const struct entry *a, const struct entry *b)
{
	return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid && a->mtime_ns == b->mtime_ns;
}

/* Reads a file that the scan could not vouch for, or that is of no commit (fetch.c hashes none). What can't be read is
 * fetched. */
static bool has_bytes(struct work *w, const struct entry *h, const struct entry *e)
{
	_cleanup_close_ int fd = -1;
	unsigned char sha256[SHA256_LEN];
	struct stat st;

	if (h->size != e->size)
		return false;
	if ((h->flags & ENTRY_CLEAN) && (h->object || !(h->flags & ENTRY_FOREIGN)))
		return !memcmp(h->sha256, e->sha256, SHA256_LEN);
	fd = tree_open_file(w->t->root_fd, e->path, &st);
	return fd >= 0 && entry_hash_fd(fd, e->size, sha256) == 0 && !memcmp(sha256, e->sha256, SHA256_LEN);
}

/* A foreign file of the last restore, untouched here and there. */
static bool is_kept_foreign(const struct entry *h, const struct entry *e)
{
	return (h->flags & ENTRY_CLEAN) && h->tag && e->tag && !strcmp(h->tag, e->tag);
}

/* Has the file h the entry's extended attributes? Looks where the scan didn't. */
static bool has_xattrs(struct work *w, const struct entry *h, const struct entry *e)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct xattrs_lost lost = {0};
	_cleanup_close_ int fd = -1;
	const char *now = NULL;

	if (h->type != ENTRY_FILE || (h->flags & ENTRY_CLEAN))
		return xattrs_equal(h->xattrs, e->xattrs);
	fd = tree_open(w->t->root_fd, e->path, O_PATH | O_NOFOLLOW);
	return fd >= 0 && xattrs_read(fd, &a, &now, &lost) == 0 && !lost.large && xattrs_equal(now, e->xattrs);
}

/* How many names the file has; 0: it can't be looked at. */
static size_t count_names(struct work *w, const struct entry *e)
{
	struct stat st;

	return tree_stat(w->t, e->path, &st) < 0 ? 0 : (size_t)st.st_nlink;
}

/* Gives a file that is kept what else its entry says. All its names are to have that. */
static int keep_file(struct work *w, const struct entry *e, const struct entry *h)
{
	int r;

	if (same_meta(h, e) && has_xattrs(w, h, e))
		return 0;
	w->x->report->files_changed++;
	r = tree_set_meta(w->t, e);
	return r < 0 ? failed_at(w, r, e->path) : 0;
}

static void miss_file(struct work *w, struct entry *e, const struct entry *h)
{
	w->missing[w->n_missing++] = e;
	*(h ? &w->x->report->files_changed : &w->x->report->files_added) += 1;
}

static int decide_file(struct work *w, struct entry *e, const struct entry *h)
{
	bool foreign = !e->object && (e->flags & ENTRY_FOREIGN), keep;

	if (h && h->type == ENTRY_FILE && foreign && is_kept_foreign(h, e)) {
		memcpy(e->sha256, h->sha256, SHA256_LEN);
		e->size = h->size;
		e->mtime_ns = h->mtime_ns;
		keep = true;
	} else {
		keep = h && h->type == ENTRY_FILE && !foreign && has_bytes(w, h, e);
	}
	/* Another name of the same file must not get this one's owner, mode or time, nor later bytes. */
	if (keep && ((!h->link && same_meta(h, e)) || count_names(w, e) == 1))
		return keep_file(w, e, h);
	miss_file(w, e, h);
	return 0;
}

/*
 * One file of the names [at, end) of links: which of them has the bytes? One that is
 * there, if no name of its file is to be something else; else the first is fetched.
 */
static int decide_group(struct work *w, size_t at, size_t end)
{
	struct entry **names = w->links.entries;

	for (size_t i = at; i < end; i++) {
		const struct entry *h = manifest_find(w->have, names[i]->path), *other;
		size_t n = 0;

		if (!h || h->type != ENTRY_FILE)
			continue;
		for (size_t k = at; k < end; k++) {
			other = manifest_find(w->have, names[k]->path);
			n += other && other->type == ENTRY_FILE && other->ino == h->ino;
		}
		if (count_names(w, names[i]) != n || !has_bytes(w, h, names[i]))
			continue;
		w->sources[at] = names[i];
		return keep_file(w, names[i], h);
	}
	w->sources[at] = names[at];
	miss_file(w, names[at], manifest_find(w->have, names[at]->path));
	return 0;
}

/* The other names of the files, when the files are there. */
static int make_names(struct work *w)
{
	for (size_t at = 0, end; at < w->links.n; at = end) {
		const struct entry *source = w->sources[at];
		struct stat theirs, st;
		int r = tree_stat(w->t, source->path, &theirs);

		end = hardlinks_end(&w->links, at);
		for (size_t i = at; i < end && r == 0; i++) {
			const char *path = w->links.entries[i]->path;

			if (tree_stat(w->t, path, &st) == 0 && st.st_dev == theirs.st_dev && st.st_ino == theirs.st_ino)
				continue;
			r = tree_link(w->t, source->path, path);
			w->x->report->files_changed++;
		}
		if (r < 0)
			return failed_at(w, r, source->path);
	}
	return 0;
}

static int decide_groups(struct work *w)
{
	int r = hardlinks_collect(w->want, &w->links);

	w->sources = calloc(w->links.n + 1, sizeof(*w->sources));
	if (r < 0 || !w->sources)
		return failed_at(w, ENOMEM, "");
	for (size_t at = 0, end; at < w->links.n && r == 0; at = end) {
		end = hardlinks_end(&w->links, at);
		r = decide_group(w, at, end);
	}
	return r;
}

static int make_files(struct work *w)
{
	w->missing = calloc(w->want->files + 1, sizeof(*w->missing));
	if (!w->missing)
		return failed_at(w, ENOMEM, "");
	for (size_t i = 0; i < w->want->n; i++) {
		struct entry *e = &w->want->entries[i];

		if (e->type == ENTRY_FILE && !e->link && decide_file(w, e, manifest_find(w->have, e->path)) < 0)
			return w->x->failed;
	}
	if (decide_groups(w) < 0)
		return w->x->failed;
	if (w->n_missing > 0 && fetch_files(w->x, w->t, w->plain, w->missing, w->n_missing) < 0)
		return w->x->failed;
	return make_names(w);
}

static int make_links(struct work *w)
{
	for (size_t i = 0; i < w->want->n; i++) {
		const struct entry *e = &w->want->entries[i], *h;
		int r;

		if (e->type != ENTRY_SYMLINK)
			continue;
		h = manifest_find(w->have, e->path);
		if (h && h->type == ENTRY_SYMLINK && !strcmp(h->target, e->target))
			r = same_meta(h, e) ? 0 : tree_set_meta(w->t, e);
		else
			r = tree_symlink(w->t, e);
		if (r < 0)
			return failed_at(w, r, e->path);
	}
	return 0;
}

/* h: what the scan found there, if a directory. */
static int finish_directory(struct work *w, const struct entry *e, const struct entry *h)
{
	struct entry now = {0};
	struct stat st;
	int r = tree_stat(w->t, e->path, &st);

	if (r < 0)
		return failed_at(w, r, e->path);
	now.mode = st.st_mode & 07777;
	now.uid = ids_uid_from_disk(w->t->ids, st.st_uid);
	now.gid = ids_gid_from_disk(w->t->ids, st.st_gid);
	now.mtime_ns = entry_time_ns(&st.st_mtim);
	now.xattrs = h && h->type == ENTRY_DIR ? h->xattrs : NULL;
	r = same_meta(&now, e) && xattrs_equal(now.xattrs, e->xattrs) ? 0 : tree_set_meta(w->t, e);
	return r < 0 ? failed_at(w, r, e->path) : 0;
}

/* Last, as making something in a directory changes its time; from the end, as a mode may bar the way. */
static int finish_directories(struct work *w)
{
	int r = 0;

	for (size_t i = w->want->n; i-- > 0 && r == 0;) {
		const struct entry *e = &w->want->entries[i];

		if (e->type == ENTRY_DIR)
			r = finish_directory(w, e, manifest_find(w->have, e->path));
	}
	return r == 0 ? finish_directory(w, &w->want->root, &w->have->root) : r;
}

int reconcile(struct transfer *x, struct tree *t, const struct plain *plain, const struct manifest *have,
	      struct manifest *want)
{
	struct work w = {.x = x, .t = t, .plain = plain, .have = have, .want = want};
	int r = x->failed;

	if (r == 0)
		r = remove_surplus(&w);
	if (r == 0)
		r = make_directories(&w);
	if (r == 0)
		r = make_files(&w);
	if (r == 0)
		r = make_links(&w);
	if (r == 0)
		r = finish_directories(&w);
	free(w.missing);
	free(w.sources);
	hardlinks_free(&w.links);
	manifest_sort(want); /* foreign sizes are known now */
	return r;
}

int reconcile_stat(struct tree *t, struct manifest *m, struct error *err)
{
	struct stat st;
	int r;

	for (size_t i = 0; i < m->n; i++) {
		struct entry *e = &m->entries[i];

		if (!entry_in_tree(e))
			continue;
		r = tree_stat(t, e->path, &st);
		if (r < 0)
			return tree_error(err, r, "cache: \"%.300s\" can't be read", e->path);
		index_set_stat(e, &st);
	}
	return 0;
}
