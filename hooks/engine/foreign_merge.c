/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hooks/engine/conflict.h"
#include "hooks/engine/foreign.h"
#include "hooks/engine/hardlinks.h"
#include "hooks/engine/scan.h"
#include "hooks/engine/symlinks.h"

#define DIR_MODE 0755
#define FILE_MODE 0644

struct merge {
	struct transfer *x;
	struct manifest *m;
	struct manifest add; /* what is new; its strings are m's */
	bool links;	     /* there is a foreign _symlinks.json */
};

static int no_memory(struct merge *g)
{
	transfer_fail(g->x, ENOMEM, "out of memory");
	return -ENOMEM;
}

static void left_out(struct merge *g, const char *path)
{
	g->x->report->files_skipped++;
	report_warning(
	    g->x->report,
	    "the store's file \"%.300s\" was left out: the volume has something else in its place or above it", path);
}

/* A file: what becomes of it when the run goes on, conflict_take_foreign sees to. */
static void leave_file(struct merge *g, const char *path, const char *tag, uint64_t size, int64_t mtime_ns)
{
	struct volume *v = g->x->v;
	struct foreign_left f = {.size = size, .mtime_ns = mtime_ns};
	bool fits = size <= CONFLICT_MAX_BYTES;

	g->x->report->files_skipped++;
	report_warning(g->x->report,
		       "the store's file \"%.300s\" was left out: the volume has something else in its place or above "
		       "it; %s",
		       path,
		       fits ? "it is moved to the volume's conflicts (see `volrun volume conflicts`)"
			    : "it is too large for the volume's conflicts (1 GiB): move it elsewhere in the store");
	if (!fits)
		return;
	if (!v->left)
		v->left = arena_calloc(&v->arena, FOREIGN_LEFT_MAX, sizeof(*v->left));
	f.path = arena_strdup(&v->arena, path);
	f.tag = arena_strdup(&v->arena, tag);
	if (v->left && f.path && f.tag && f.tag[0] && v->n_left < FOREIGN_LEFT_MAX)
		v->left[v->n_left++] = f;
}

static void leave_entry(struct merge *g, struct entry *e)
{
	e->flags |= ENTRY_DROP;
	if (e->type == ENTRY_FILE && e->tag)
		leave_file(g, e->path, e->tag, e->size, e->mtime_ns);
	else
		left_out(g, e->path);
}

bool foreign_collides(const struct manifest *m, const char *path)
{
	const struct entry *e = manifest_find(m, path);
	char above[MANIFEST_PATH_MAX + 1];

	if (e && entry_in_tree(e) && e->type != ENTRY_FILE)
		return true;
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(above, sizeof(above), "%.*s", (int)(slash - path), path);
		e = manifest_find(m, above);
		if (e && entry_in_tree(e) && e->type != ENTRY_DIR)
			return true;
	}
	return false;
}

static void set_foreign(struct merge *g, struct entry *e, int type, unsigned mode, int64_t mtime)
{
	const char *path = e->path, *tag = e->tag;

	*e = (struct entry){.path = path, .tag = tag, .type = (uint8_t)type, .mode = (uint16_t)mode};
	e->flags = ENTRY_FOREIGN;
	e->uid = g->x->v->owner_uid;
	e->gid = g->x->v->owner_gid;
	e->mtime_ns = entry_time_ns(&(struct timespec){.tv_sec = mtime});
	g->m->differs = true;
}

static struct entry *add(struct merge *g, const char *path, const char *tag, int type, unsigned mode, int64_t mtime)
{
	struct entry *e = manifest_add(&g->add);

	if (!e) {
		no_memory(g);
		return NULL;
	}
	e->path = arena_strdup(&g->m->arena, path);
	e->tag = tag && tag[0] ? arena_strdup(&g->m->arena, tag) : NULL;
	if (!e->path || (tag && tag[0] && !e->tag)) {
		no_memory(g);
		return NULL;
	}
	set_foreign(g, e, type, mode, mtime);
	return e;
}

static int merge_file(struct merge *g, const struct foreign_item *i)
{
	struct entry *e = manifest_find(g->m, i->path);

	/* Taken in or overruled by the commit already, which is not published yet. */
	if (e && e->tag && !strcmp(e->tag, i->tag))
		return 0;
	if (e && e->type != ENTRY_FILE && e->type != ENTRY_GONE) {
		leave_file(g, i->path, i->tag, i->size, entry_time_ns(&(struct timespec){.tv_sec = i->mtime}));
		return 0;
	}
	if (!e) {
		e = add(g, i->path, i->tag, ENTRY_FILE, FILE_MODE, i->mtime);
		if (e)
			e->size = i->size;
		return e ? 0 : -ENOMEM;
	}
	e->tag = arena_strdup(&g->m->arena, i->tag);
	set_foreign(g, e, ENTRY_FILE, FILE_MODE, i->mtime);
	e->size = i->size;
	return e->tag ? 0 : no_memory(g);
}

static int merge_marker(struct merge *g, const struct foreign_item *i)
{
	struct entry *e = manifest_find(g->m, i->path);

	if (e && e->type == ENTRY_DIR) {
		e->tag = i->tag[0] ? arena_strdup(&g->m->arena, i->tag) : NULL;
		return 0;
	}
	if (e && e->type == ENTRY_GONE_DIR)
		return 0;
	if (e) {
		left_out(g, i->path);
		return 0;
	}
	return add(g, i->path, i->tag, ENTRY_DIR, DIR_MODE, i->mtime) ? 0 : -ENOMEM;
}

/* Notes a plain object that is to go, or to be replaced, at the next commit. */
static int merge_tag(struct merge *g, const struct foreign_item *i)
{
	struct entry *e = manifest_find(g->m, i->path);
	bool differs = g->m->differs;

	if (!e) {
		e = add(g, i->path, i->tag, ENTRY_GONE, 0, 0);
		g->m->differs = differs;
		return e ? 0 : -ENOMEM;
	}
	if (e->type != ENTRY_DIR && e->type != ENTRY_GONE_DIR)
		e->tag = arena_strdup(&g->m->arena, i->tag);
	return 0;
}

static int merge_item(struct merge *g, const struct foreign_item *i)
{
	struct entry *e;

	switch (i->kind) {
	case FOREIGN_FILE:
		return merge_file(g, i);
	case FOREIGN_MARKER:
		return merge_marker(g, i);
	case FOREIGN_STALE:
		return merge_tag(g, i);
	case FOREIGN_LINKS:
		e = manifest_find(g->m, i->path);
		g->links = !e || !e->tag || strcmp(e->tag, i->tag) != 0;
		return merge_tag(g, i);
	case FOREIGN_GONE:
		e = manifest_find(g->m, i->path);
		if (e && e->type == ENTRY_FILE) {
			e->flags |= ENTRY_DROP;
			g->m->differs = true;
		}
		return 0;
	case FOREIGN_MISSING:
		e = manifest_find(g->m, i->path);
		if (e && e->type == ENTRY_FILE)
			e->flags |= ENTRY_REPUBLISH;
		return 0;
	}
	return 0;
}

/* --- links ------------------------------------------------------------------- */

static int read_links(struct merge *g, const struct plain *p, struct arena *a, struct symlinks *ret)
{
	struct transfer *x = g->x;
	char key[STORE_KEY_MAX + 1];
	struct store_op op;
	int r;

	store_op_init(&op, STORE_GET, plain_key(p, PLAIN_SYMLINKS, key));
	op.max_body = SYMLINKS_MAX_SIZE;
	if (!transfer_go_on(x))
		return x->failed;
	x->report->data_requests++;
	if (store_do(x->v->store, &op) == STORE_ABSENT)
		transfer_fail(x, EAGAIN, "_symlinks.json was removed by another tool meanwhile; try again");
	if (op.result != STORE_OK) {
		transfer_fail_op(x, &op);
	} else {
		r = symlinks_parse(strbuf_str(&op.body), op.body.len, a, ret, x->err);
		if (r < 0)
			x->failed = error_wrap(x->err, "store \"%s\" (%s): object %s", x->v->store->name,
					       x->v->store->place ? x->v->store->place : "", op.key);
	}
	strbuf_free(&op.body);
	return x->failed;
}

/* The links of the foreign document replace all others that it could name; one that is the same keeps its owner and
 * time. */
static int merge_links(struct merge *g, const struct plain *p)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct symlinks s;

	if (read_links(g, p, &a, &s) < 0)
		return g->x->failed;
	for (size_t i = 0; i < s.n_links; i++) {
		const struct entry *old = manifest_find(g->m, s.links[i].key);
		struct entry *e;

		if (old && entry_in_tree(old) && old->type != ENTRY_SYMLINK) {
			left_out(g, s.links[i].key);
			continue;
		}
		e = add(g, s.links[i].key, NULL, ENTRY_SYMLINK, 0777, 0);
		if (!e)
			return g->x->failed;
		e->target = arena_strdup(&g->m->arena, s.links[i].value);
		if (!e->target)
			return no_memory(g);
		if (old && old->type == ENTRY_SYMLINK && !strcmp(old->target, e->target)) {
			e->uid = old->uid;
			e->gid = old->gid;
			e->mtime_ns = old->mtime_ns;
		}
	}
	for (size_t i = 0; i < g->m->n; i++)
		if (symlinks_can_hold(&g->m->entries[i]))
			g->m->entries[i].flags |= ENTRY_DROP;
	manifest_drop(g->m);
	g->m->differs = true;
	return 0;
}

/* --- one tree of both ---------------------------------------------------------- */

/* What stands at the first len bytes of the path. */
static struct entry *at(const struct merge *g, const char *path, size_t len)
{
	char parent[MANIFEST_PATH_MAX + 1];
	struct entry *e;

	memcpy(parent, path, len);
	parent[len] = '\0';
	e = manifest_find(g->m, parent);
	return e && entry_in_tree(e) ? e : manifest_find(&g->add, parent);
}

/* Can the new entry be there? 1, 0, or an error: a path through a foreign link is no accident. */
static int place_ok(struct merge *g, const struct entry *e)
{
	for (const char *slash = strchr(e->path, '/'); slash; slash = strchr(slash + 1, '/')) {
		struct entry *above = at(g, e->path, (size_t)(slash - e->path));

		if (!above || above->type == ENTRY_DIR || !entry_in_tree(above) || (above->flags & ENTRY_DROP))
			continue;
		/* Both are new, and one has to give way: the one that is no directory. */
		if (above->type == ENTRY_FILE && manifest_find(&g->add, above->path) == above) {
			leave_entry(g, above);
			continue;
		}
		if (above->type == ENTRY_SYMLINK && (above->flags & ENTRY_FOREIGN)) {
			transfer_fail(g->x, EINVAL,
				      "the store has \"%.200s\" beneath \"%.200s\", which its _symlinks.json makes a "
				      "link; remove one of them, or set foreign=ignore for the store",
				      e->path, above->path);
			return g->x->failed;
		}
		return 0;
	}
	return 1;
}

/* The directories above it that nobody names. */
static int add_parents(struct merge *g, struct manifest *dirs, const struct entry *e)
{
	for (const char *slash = strchr(e->path, '/'); slash; slash = strchr(slash + 1, '/')) {
		size_t len = (size_t)(slash - e->path);
		const struct entry *above = at(g, e->path, len);
		struct entry *d;

		if (above && above->type == ENTRY_DIR)
			continue;
		d = manifest_add(dirs);
		if (!d)
			return no_memory(g);
		d->path = arena_strndup(&g->m->arena, e->path, len);
		if (!d->path)
			return no_memory(g);
		set_foreign(g, d, ENTRY_DIR, DIR_MODE, e->mtime_ns / NSEC_PER_SEC);
	}
	return 0;
}

static int append(struct merge *g, const struct manifest *from)
{
	for (size_t i = 0; i < from->n; i++) {
		struct entry *e = manifest_add(g->m);

		if (!e)
			return no_memory(g);
		*e = from->entries[i];
	}
	return 0;
}

/* Sorted: drops what has the path of the entry before it (the same directory named twice, a file and a marker). */
static void drop_doubles(struct merge *g, struct manifest *m)
{
	size_t n = 0;

	manifest_sort(m);
	for (size_t i = 0; i < m->n; i++) {
		struct entry *e = &m->entries[i], *last = n > 0 ? &m->entries[n - 1] : NULL;

		if (!last || strcmp(last->path, e->path) != 0) {
			m->entries[n++] = *e;
		} else if (!entry_in_tree(last) || !entry_in_tree(e)) {
			/* A note on a plain object gives way to what is in the tree. */
			if (entry_in_tree(e))
				*last = *e;
		} else if (last->type == ENTRY_FILE && e->type == ENTRY_DIR) {
			leave_entry(g, last);
			*last = *e;
		} else if (last->type != ENTRY_DIR || e->type != ENTRY_DIR) {
			leave_entry(g, e);
		}
	}
	m->n = n;
	manifest_sort(m);
}

static int unite(struct merge *g)
{
	_cleanup_(manifest_free) struct manifest dirs = {0};

	drop_doubles(g, &g->add);
	for (size_t i = 0; i < g->add.n; i++) {
		struct entry *e = &g->add.entries[i];
		int r = entry_in_tree(e) ? place_ok(g, e) : 1;

		if (r < 0)
			return r;
		if (r == 0) {
			leave_entry(g, e);
		} else if (entry_in_tree(e) && add_parents(g, &dirs, e) < 0) {
			return g->x->failed;
		}
	}
	manifest_drop(&g->add);
	if (append(g, &g->add) < 0 || append(g, &dirs) < 0)
		return g->x->failed;
	drop_doubles(g, g->m);
	return 0;
}

int foreign_merge(struct transfer *x, const struct plain *p, const struct foreign *f, struct manifest *m)
{
	struct merge g = {.x = x, .m = m};
	int r = x->failed;

	x->v->n_left = 0;
	for (size_t i = 0; i < f->n && r == 0; i++)
		r = merge_item(&g, &f->items[i]);
	manifest_drop(m);
	if (r == 0 && g.links)
		r = merge_links(&g, p);
	if (r == 0)
		r = unite(&g);
	/* A name that is another tool's file now is no name of the old one. */
	if (r == 0 && hardlinks_settle(m) < 0)
		r = no_memory(&g);
	if (r == 0) {
		r = manifest_check(m, x->err);
		x->failed = r;
	}
	manifest_free(&g.add);
	return r < 0 ? x->failed : 0;
}
