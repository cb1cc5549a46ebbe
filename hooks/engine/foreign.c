/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/foreign.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hooks/engine/listing.h"
#include "hooks/engine/scan.h"

/* Something to ask about: an object listed with a tag that nothing explains, or one of ours that was not listed. */
struct question {
	const char *path;
	bool listed;
	size_t applied; /* its entry there, or SIZE_MAX */
};

struct look {
	struct transfer *x;
	const struct plain *p;
	const struct head *head;
	const struct applied *applied;
	const struct manifest *known;
	struct foreign *f;
	int64_t *shown; /* for each entry of the applied table: the object's mtime, NOT_LISTED or NOT_OURS */
	struct question *questions;
	size_t n, room, next;
};

#define NOT_LISTED (-1)
#define NOT_OURS INT64_MAX /* listed, but with another tag, or without a time */

struct job {
	struct store_op op;
	char key[STORE_KEY_MAX + 1];
	const struct question *q;
};

void foreign_free(struct foreign *f)
{
	free(f->items);
	arena_free(&f->arena);
	*f = (struct foreign){0};
}

static int no_memory(struct look *l)
{
	transfer_fail(l->x, ENOMEM, "out of memory");
	return -ENOMEM;
}

static int add_item(struct look *l, enum foreign_kind kind, const char *path, const char *tag, uint64_t size,
		    int64_t mtime)
{
	struct foreign *f = l->f;
	struct foreign_item *i;

	if (f->n == f->room) {
		size_t room = f->room ? f->room * 2 : 64;

		i = f->n < MANIFEST_MAX_ENTRIES ? reallocarray(f->items, room, sizeof(*i)) : NULL;
		if (!i)
			return no_memory(l);
		f->items = i;
		f->room = room;
	}
	i = &f->items[f->n];
	*i = (struct foreign_item){arena_strdup(&f->arena, path), arena_strdup(&f->arena, tag), kind, size, mtime};
	if (!i->path || !i->tag)
		return no_memory(l);
	f->n++;
	return 0;
}

static int ask(struct look *l, const char *path, bool listed, size_t applied)
{
	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 64;
		struct question *q = l->n < MANIFEST_MAX_ENTRIES ? reallocarray(l->questions, room, sizeof(*q)) : NULL;

		if (!q)
			return no_memory(l);
		l->questions = q;
		l->room = room;
	}
	path = arena_strdup(&l->f->arena, path);
	if (!path)
		return no_memory(l);
	l->questions[l->n++] = (struct question){path, listed, applied};
	return 0;
}

/* The index's entry for an object that this cache asked about before, and took in or overruled. */
static const struct entry *find_known(const struct look *l, const char *path, const char *tag)
{
	const struct entry *e = l->known ? manifest_find(l->known, path) : NULL;
	bool dir = e && (e->type == ENTRY_DIR || e->type == ENTRY_GONE_DIR);

	return e && !dir && e->tag && !strcmp(e->tag, tag) ? e : NULL;
}

static int look_at(struct look *l, enum foreign_kind kind, const char *path, const struct store_list_item *item)
{
	size_t i = applied_find(l->applied, path);
	const struct entry *known;

	if (i != SIZE_MAX)
		l->shown[i] = NOT_OURS;
	if (i != SIZE_MAX && !strcmp(l->applied->entries[i].tag, item->tag)) {
		if (item->mtime > 0)
			l->shown[i] = item->mtime;
		return 0;
	}
	known = item->tag[0] ? find_known(l, path, item->tag) : NULL;
	if (known && known->type == ENTRY_GONE && kind == FOREIGN_FILE)
		kind = FOREIGN_STALE;
	if (known)
		return add_item(l, kind, path, item->tag, item->size, item->mtime);
	return ask(l, path, true, i);
}

static int on_key(void *ctx, const struct store_list_item *item, struct error *err)
{
	struct look *l = ctx;
	char path[STORE_KEY_MAX + 1];
	int r = 0;

	switch (plain_classify(l->p, item->key, item->size, path)) {
	case PLAIN_SELF:
		break;
	case PLAIN_HOSTILE:
		return error_set(err, EINVAL,
				 "the store's key \"%.500s\" leads out of the volume; remove that object, or set "
				 "foreign=ignore for the store",
				 item->key);
	case PLAIN_ODD:
		l->x->report->files_skipped++;
		report_warning(l->x->report, "the store's key \"%.300s\" can't be a file of a volume; it was left out",
			       item->key);
		break;
	case PLAIN_LINKS:
		r = look_at(l, FOREIGN_LINKS, PLAIN_SYMLINKS, item);
		break;
	case PLAIN_MARKER:
		r = add_item(l, FOREIGN_MARKER, path, item->tag, 0, item->mtime);
		break;
	case PLAIN_FILE:
		r = look_at(l, FOREIGN_FILE, path, item);
		break;
	}
	return r < 0 ? error_set(err, -r, "out of memory") : 0;
}

static void judge_absent(struct look *l, const struct question *q)
{
	bool gone;

	/* Half published, or it vanished after the listing: the next start sees. */
	if (q->applied == SIZE_MAX || l->head->applied_seq != l->head->commit.seq)
		return;
	gone = l->applied->entries[q->applied].seq <= l->head->settled_seq;
	add_item(l, gone ? FOREIGN_GONE : FOREIGN_MISSING, q->path, "", 0, 0);
}

static void judge_found(struct look *l, const struct question *q, const struct store_op *op)
{
	const struct applied_entry *a = q->applied == SIZE_MAX ? NULL : &l->applied->entries[q->applied];
	enum foreign_kind kind = strcmp(q->path, PLAIN_SYMLINKS) ? FOREIGN_FILE : FOREIGN_LINKS;
	unsigned char sha256[SHA256_LEN];
	uint64_t seq;

	if (a && !strcmp(a->tag, op->tag))
		return;
	/* A mark of a later commit than the last is of a register that is no more: the data counts, not the mark. */
	if (!plain_mark_parse(op->got_mark, op->key, &seq, sha256) || seq > l->head->commit.seq) {
		add_item(l, kind, q->path, op->tag, op->got_size, op->mtime);
		return;
	}
	/* Ours: ignored. What is published only half will be written again anyway. */
	if (l->head->applied_seq != l->head->commit.seq)
		return;
	if (!a)
		add_item(l, FOREIGN_STALE, q->path, op->tag, 0, 0);
	else if (memcmp(a->sha256, sha256, SHA256_LEN) != 0)
		add_item(l, FOREIGN_MISSING, q->path, "", 0, 0);
}

static struct store_op *next(void *ctx)
{
	struct look *l = ctx;
	struct job *j;

	if (l->next == l->n || !transfer_go_on(l->x))
		return NULL;
	j = calloc(1, sizeof(*j));
	if (!j) {
		no_memory(l);
		return NULL;
	}
	j->q = &l->questions[l->next++];
	store_op_init(&j->op, STORE_HEAD, plain_key(l->p, j->q->path, j->key));
	j->op.user = j;
	return &j->op;
}

static void done(void *ctx, struct store_op *op)
{
	struct look *l = ctx;
	struct job *j = op->user;

	if (op->result == STORE_ABSENT)
		judge_absent(l, j->q);
	else if (op->result == STORE_OK)
		judge_found(l, j->q, op);
	else
		transfer_fail_op(l->x, op);
	free(j);
}

/* --- what is there for so long that its absence would be somebody's doing ------------------- */

/* The last commit of which, and of those before it, every object was shown at the time `now` or earlier as old enough.
 */
static uint64_t settled_at(const struct look *l, int64_t now)
{
	uint64_t settled = l->head->applied_seq;

	for (size_t i = 0; i < l->applied->n; i++) {
		uint64_t seq = l->applied->entries[i].seq;
		bool old = l->shown[i] != NOT_LISTED && now - l->shown[i] >= FOREIGN_DELETION_AGE;

		if (!old && seq > l->head->settled_seq && seq <= settled)
			settled = seq - 1;
	}
	return settled;
}

/*
 * The store's own clock decides: the register is written every few seconds by
 * the holder, so that its mtime is what the store calls now, or a little less.
 * It is asked only when this node's clock has hope.
 */
static int settle(struct look *l)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct store_op op;

	l->f->settled_seq = l->head->settled_seq;
	if (l->head->applied_seq != l->head->commit.seq || settled_at(l, time(NULL)) <= l->head->settled_seq)
		return 0;
	store_op_init(&op, STORE_HEAD, volume_key_meta(&a, l->x->v, "head"));
	if (!op.key)
		return no_memory(l);
	if (!transfer_go_on(l->x))
		return l->x->failed;
	l->x->report->data_requests++;
	if (store_do(l->x->v->store, &op) != STORE_OK)
		transfer_fail_op(l->x, &op);
	else
		l->f->settled_seq = settled_at(l, op.mtime);
	return l->x->failed;
}

static int by_path(const void *a, const void *b)
{
	const struct foreign_item *x = a, *y = b;
	int cmp = strcmp(x->path, y->path);

	return cmp ? cmp : (int)x->kind - (int)y->kind;
}

/* What was listed while the lease was taken counts once. */
static int list(struct look *l)
{
	struct volume *v = l->x->v;
	struct listing *made = v->listing;
	int r;

	if (!made)
		return store_list(v->store, l->p->prefix, on_key, l, l->x->err);
	v->listing = NULL;
	r = listing_tell(made, on_key, l, l->x->err);
	listing_free(made);
	return r;
}

static int look(struct look *l)
{
	struct transfer *x = l->x;
	int r = 0;

	l->shown = calloc(l->applied->n + 1, sizeof(*l->shown));
	if (!l->shown)
		return no_memory(l);
	for (size_t i = 0; i < l->applied->n; i++)
		l->shown[i] = NOT_LISTED;
	if (!transfer_go_on(x))
		return x->failed;
	r = list(l);
	if (r < 0) {
		x->failed = x->failed < 0 ? x->failed : r;
		return x->failed;
	}
	for (size_t i = 0; i < l->applied->n && r == 0; i++)
		if (l->shown[i] == NOT_LISTED)
			r = ask(l, l->applied->entries[i].path, false, i);
	if (r == 0 && l->n > 0)
		store_run(x->v->store, next, done, l);
	return x->failed < 0 ? x->failed : settle(l);
}

int foreign_look(struct transfer *x, const struct plain *p, const struct head *head, const struct applied *applied,
		 const struct manifest *known, struct foreign *ret)
{
	_cleanup_(foreign_free) struct foreign f = {0};
	struct look l = {.x = x, .p = p, .head = head, .applied = applied, .known = known, .f = &f};
	int64_t begin = clock_boottime_ns();
	int r = x->failed < 0 ? x->failed : look(&l);

	free(l.shown);
	free(l.questions);
	x->report->list_ns += clock_boottime_ns() - begin;
	if (r < 0)
		return r;
	if (f.n > 1)
		qsort(f.items, f.n, sizeof(*f.items), by_path);
	*ret = f;
	f = (struct foreign){0};
	return 0;
}

static bool item_unchanged(const struct foreign_item *i, const struct manifest *index)
{
	const struct entry *e = manifest_find(index, i->path);

	switch (i->kind) {
	case FOREIGN_FILE:
	case FOREIGN_LINKS:
	case FOREIGN_STALE:
		return e && e->tag && !strcmp(e->tag, i->tag);
	case FOREIGN_MARKER:
		return e && e->type == ENTRY_DIR;
	case FOREIGN_GONE:
		return !e;
	case FOREIGN_MISSING:
		return e && (e->flags & ENTRY_REPUBLISH);
	}
	return false;
}

bool foreign_unchanged(const struct foreign *f, const struct manifest *index)
{
	size_t seen = 0, taken = 0;

	for (size_t i = 0; i < f->n; i++) {
		if (!item_unchanged(&f->items[i], index))
			return false;
		seen += f->items[i].tag[0] && f->items[i].kind != FOREIGN_MARKER;
	}
	/* What was taken in must still be there. */
	for (size_t i = 0; i < index->n; i++)
		taken += index->entries[i].tag && index->entries[i].type != ENTRY_DIR &&
			 index->entries[i].type != ENTRY_GONE_DIR;
	return seen == taken;
}
