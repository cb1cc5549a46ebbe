/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/reconcile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "hooks/engine/fetch.h"
#include "hooks/engine/index.h"

struct work {
	struct transfer *x;
	struct tree *t;
	const struct plain *plain;
	const struct manifest *have;
	struct manifest *want;
	struct entry **missing; /* files whose bytes are to be fetched */
	size_t n_missing;
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

/* Reads a file that the scan could not vouch for. What can't be read is fetched. */
static bool has_bytes(struct work *w, const struct entry *h, const struct entry *e)
{
	_cleanup_close_ int fd = -1;
	unsigned char sha256[SHA256_LEN];
	struct stat st;

	if (h->size != e->size)
		return false;
	if (h->flags & ENTRY_CLEAN)
		return !memcmp(h->sha256, e->sha256, SHA256_LEN);
	fd = tree_open_file(w->t->root_fd, e->path, &st);
	return fd >= 0 && entry_hash_fd(fd, e->size, sha256) == 0 && !memcmp(sha256, e->sha256, SHA256_LEN);
}

/* A foreign file of the last restore, untouched here and there. */
static bool is_kept_foreign(const struct entry *h, const struct entry *e)
{
	return (h->flags & ENTRY_CLEAN) && h->tag && e->tag && !strcmp(h->tag, e->tag);
}

/* Another name of the same file must not get this one's owner, mode or time. */
static bool has_other_names(struct work *w, const struct entry *e)
{
	struct stat st;

	return tree_stat(w->t, e->path, &st) < 0 || st.st_nlink > 1;
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
	if (keep && !same_meta(h, e)) {
		keep = !has_other_names(w, e);
		if (keep) {
			int r = tree_set_meta(w->t, e);

			w->x->report->files_changed++;
			if (r < 0)
				return failed_at(w, r, e->path);
		}
	}
	if (!keep) {
		w->missing[w->n_missing++] = e;
		*(h ? &w->x->report->files_changed : &w->x->report->files_added) += 1;
	}
	return 0;
}

static int make_files(struct work *w)
{
	w->missing = calloc(w->want->files + 1, sizeof(*w->missing));
	if (!w->missing)
		return failed_at(w, ENOMEM, "");
	for (size_t i = 0; i < w->want->n; i++) {
		struct entry *e = &w->want->entries[i];

		if (e->type == ENTRY_FILE && decide_file(w, e, manifest_find(w->have, e->path)) < 0)
			return w->x->failed;
	}
	return w->n_missing > 0 ? fetch_files(w->x, w->t, w->plain, w->missing, w->n_missing) : 0;
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

static int finish_directory(struct work *w, const struct entry *e)
{
	struct entry now = {0};
	struct stat st;
	int r = tree_stat(w->t, e->path, &st);

	if (r < 0)
		return failed_at(w, r, e->path);
	now.mode = st.st_mode & 07777;
	now.uid = st.st_uid;
	now.gid = st.st_gid;
	now.mtime_ns = entry_time_ns(&st.st_mtim);
	r = same_meta(&now, e) ? 0 : tree_set_meta(w->t, e);
	return r < 0 ? failed_at(w, r, e->path) : 0;
}

/* Last, as making something in a directory changes its time; from the end, as a mode may bar the way. */
static int finish_directories(struct work *w)
{
	int r = 0;

	for (size_t i = w->want->n; i-- > 0 && r == 0;)
		if (w->want->entries[i].type == ENTRY_DIR)
			r = finish_directory(w, &w->want->entries[i]);
	return r == 0 ? finish_directory(w, &w->want->root) : r;
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
