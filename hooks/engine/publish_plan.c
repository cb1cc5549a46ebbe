/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/publish_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "hooks/engine/pack.h"
#include "hooks/engine/symlinks.h"

static void no_memory(struct publish_plan *p)
{
	transfer_fail(p->x, ENOMEM, "out of memory");
}

bool item_is_deletion(const struct item *i)
{
	return i->kind == ITEM_DELETE || i->kind == ITEM_DELETE_MARKER;
}

bool item_is_copy(const struct publish_plan *p, const struct item *i)
{
	return i->kind == ITEM_FILE && i->e->size > PACK_FILE_MAX && i->e->offset == 0 &&
	       (p->x->v->store->caps & STORE_CAP_COPY);
}

/* a: what the old table has of the path, or NULL. */
static struct item *add_item(struct publish_plan *p, enum item_kind kind, const char *path, const struct entry *e,
			     const struct applied_entry *a, const char *tag)
{
	struct item *i;

	if (p->n == p->room) {
		size_t room = p->room ? p->room * 2 : 64;

		i = reallocarray(p->items, room, sizeof(*i));
		if (!i) {
			no_memory(p);
			return NULL;
		}
		p->items = i;
		p->room = room;
	}
	i = &p->items[p->n];
	*i = (struct item){.e = e, .kind = (uint8_t)kind, .path = e ? e->path : arena_strdup(&p->arena, path)};
	if (tag)
		i->tag = arena_strdup(&p->arena, tag);
	if (!i->path || (tag && !i->tag)) {
		no_memory(p);
		return NULL;
	}
	/* What is deleted is looked at first; so is what is replaced by a copy without a condition. */
	i->state = kind == ITEM_FILE || kind == ITEM_LINKS ? STATE_WRITE : STATE_LOOK;
	i->in_old = a != NULL;
	p->n++;
	return i;
}

static bool is_published_file(const struct publish_plan *p, const struct entry *e)
{
	return e->type == ENTRY_FILE && plain_publishable(&p->plain, e->path);
}

/* Does the object of the applied table stay what it is? */
static bool is_kept(const struct publish_plan *p, const struct entry *e, const struct applied_entry *a)
{
	return is_published_file(p, e) && !e->tag && !(e->flags & ENTRY_REPUBLISH) &&
	       !memcmp(e->sha256, a->sha256, SHA256_LEN);
}

/* One path, in the manifest (e), in the applied table (a), or both. */
static void plan_path(struct publish_plan *p, const char *path, const struct entry *e, const struct applied_entry *a)
{
	const char *tag = e && e->tag && e->type != ENTRY_DIR ? e->tag : a ? a->tag : NULL;
	struct item *i;

	if (!strcmp(path, PLAIN_SYMLINKS))
		return;
	if (e && e->type == ENTRY_GONE_DIR) {
		add_item(p, ITEM_DELETE_MARKER, e->path, e, a, e->tag);
		return;
	}
	if (e && is_published_file(p, e)) {
		if (a && is_kept(p, e, a))
			return;
		i = add_item(p, ITEM_FILE, e->path, e, a, tag);
		if (!i)
			return;
		memcpy(i->sha256, e->sha256, SHA256_LEN);
		if (item_is_copy(p, i) && (!(p->x->v->store->caps & STORE_CAP_COPY_IF) || e->size > STORE_COPY_IF_MAX))
			i->state = STATE_LOOK;
		return;
	}
	if (tag)
		add_item(p, ITEM_DELETE, path, NULL, a, tag);
}

/* The document of links; a: its line in the applied table, or NULL. */
static void plan_links(struct publish_plan *p, const struct applied_entry *a)
{
	const struct entry *e = manifest_find(p->m, PLAIN_SYMLINKS);
	const char *tag = e && e->tag ? e->tag : a ? a->tag : NULL;
	unsigned char sha256[SHA256_LEN];
	size_t n = symlinks_write(&p->links, p->m);
	struct item *i;

	if (p->links.failed) {
		no_memory(p);
		return;
	}
	entry_hash_data(strbuf_str(&p->links), p->links.len, sha256);
	if (n > 0 && a && !(e && e->tag) && !memcmp(a->sha256, sha256, SHA256_LEN))
		return;
	if (n == 0 && !tag)
		return;
	i = add_item(p, n > 0 ? ITEM_LINKS : ITEM_DELETE, PLAIN_SYMLINKS, NULL, a, tag);
	if (i)
		memcpy(i->sha256, sha256, SHA256_LEN);
}

/* The old table, line by line beside something else that is sorted by path. */
struct walk {
	struct kept_in table;
	bool has_table, has_entry;
	struct applied_entry a;
};

/* The copy in the cache may be broken: the next try takes the store's. */
static int broken_table(struct publish_plan *p, int r)
{
	applied_forget(p->x->v);
	return p->x->failed = r;
}

static int walk_next(struct publish_plan *p, struct walk *w)
{
	int r = w->has_table ? kept_next(&w->table, &w->a, p->x->err) : 0;

	w->has_entry = r > 0;
	return r < 0 ? broken_table(p, r) : 0;
}

static int walk_begin(struct publish_plan *p, struct walk *w)
{
	int r;

	w->table.in = (struct stream_in){.fd = -1};
	w->has_table = w->has_entry = false;
	if (p->applied_fd < 0)
		return 0;
	r = kept_open(&w->table, p->applied_fd, p->applied_size, p->x->err);
	if (r < 0)
		return broken_table(p, r);
	w->has_table = true;
	return walk_next(p, w);
}

static int fill(struct publish_plan *p)
{
	struct applied_entry links = {0};
	struct walk w;
	size_t n = 0;

	if (walk_begin(p, &w) < 0)
		return p->x->failed;
	while ((n < p->m->n || w.has_entry) && p->x->failed == 0) {
		const struct entry *e = n < p->m->n ? &p->m->entries[n] : NULL;
		int cmp = !e ? 1 : !w.has_entry ? -1 : strcmp(e->path, w.a.path);

		if (cmp >= 0 && !strcmp(w.a.path, PLAIN_SYMLINKS)) {
			links = w.a;
			links.path = PLAIN_SYMLINKS;
			links.tag = arena_strdup(&p->arena, w.a.tag);
			if (!links.tag)
				no_memory(p);
		}
		plan_path(p, cmp <= 0 ? e->path : w.a.path, cmp <= 0 ? e : NULL, cmp >= 0 ? &w.a : NULL);
		n += cmp <= 0;
		if (cmp >= 0)
			walk_next(p, &w);
	}
	kept_close(&w.table);
	if (p->x->failed == 0)
		plan_links(p, links.path ? &links : NULL);
	return p->x->failed;
}

/* --- the applied table ------------------------------------------------------------------------ */

/* The new table on its way out. */
struct table {
	enum table_form form;
	struct stream_out *out;
	uint64_t n; /* lines of text */
};

static void put_line(struct table *t, const struct applied_entry *e, bool changed)
{
	if (t->form == TABLE_KEPT) {
		if (e->tag)
			kept_write_entry(t->out, e);
	} else if (t->form == TABLE_DELTA ? changed : e->tag != NULL) {
		applied_write_entry(t->out, e);
		t->n++;
	}
}

/* The items of one path, of which one at most is published. Returns how many they are. */
static size_t put_items(const struct publish_plan *p, size_t at, struct table *t)
{
	struct applied_entry e = {.path = p->items[at].path, .seq = p->m->seq};
	bool in_old = false;
	size_t end = at;

	for (; end < p->n && !strcmp(p->items[end].path, e.path); end++) {
		const struct item *i = &p->items[end];

		in_old |= i->in_old;
		if (i->state != STATE_DONE || item_is_deletion(i))
			continue;
		e.tag = i->tag;
		memcpy(e.sha256, i->sha256, SHA256_LEN);
	}
	if (e.tag || in_old)
		put_line(t, &e, true);
	return end - at;
}

/* What stayed as it was, and the items: both sorted by path. */
static void put_all(struct publish_plan *p, struct table *t)
{
	size_t at = 0;
	struct walk w;

	if (walk_begin(p, &w) < 0)
		return;
	while ((at < p->n || w.has_entry) && p->x->failed == 0) {
		int cmp = at == p->n ? 1 : !w.has_entry ? -1 : strcmp(p->items[at].path, w.a.path);

		/* What has an item is no longer what the old table says. */
		if (cmp > 0)
			put_line(t, &w.a, false);
		else
			at += put_items(p, at, t);
		if (cmp >= 0)
			walk_next(p, &w);
	}
	kept_close(&w.table);
}

int plan_write_table(struct publish_plan *p, enum table_form form, const struct applied_head *head,
		     struct stream_out *out)
{
	struct table t = {.form = form, .out = out};

	if (form == TABLE_KEPT)
		kept_write_head(out, head);
	else
		applied_write_header(out, head);
	if (form != TABLE_DELTA)
		put_all(p, &t);
	for (size_t at = 0; form == TABLE_DELTA && at < p->n;)
		at += put_items(p, at, &t);
	if (form == TABLE_KEPT)
		kept_write_end(out);
	else
		applied_write_end(out, t.n);
	return p->x->failed;
}

int plan_old_head(struct publish_plan *p, struct applied_head *ret)
{
	struct error ignored = ERROR_INIT;
	struct kept_in k;

	if (p->applied_fd < 0 || kept_open(&k, p->applied_fd, p->applied_size, &ignored) < 0)
		return -ENOENT;
	*ret = k.head;
	kept_close(&k);
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->path, ((const struct item *)b)->path);
}

int plan_make(struct publish_plan *p, struct transfer *x, const struct manifest *m, uint64_t applied_seq)
{
	*p = (struct publish_plan){.x = x, .m = m, .applied_fd = -1};
	if (x->failed == 0)
		x->failed = plain_init(&p->plain, x->v, x->err);
	if (x->failed == 0)
		applied_fetch(x, applied_seq, &p->applied_fd, &p->applied_size);
	if (x->failed == 0)
		fill(p);
	if (p->n > 1)
		qsort(p->items, p->n, sizeof(*p->items), by_path);
	return x->failed;
}

void plan_free(struct publish_plan *p)
{
	free(p->items);
	strbuf_free(&p->links);
	arena_free(&p->arena);
	cleanup_close(&p->applied_fd);
}
