/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/publish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "hooks/engine/applied.h"
#include "hooks/engine/pack.h"
#include "hooks/engine/scan.h"
#include "hooks/engine/symlinks.h"
#include "hooks/engine/tree.h"

#define WRITE_ATTEMPTS 5

enum item_kind { ITEM_FILE, ITEM_LINKS, ITEM_DELETE, ITEM_DELETE_MARKER };

/* What is to be done next for one plain object; each step is a request. */
enum item_state {
	STATE_LOOK,  /* HEAD: what is there? */
	STATE_FETCH, /* GET the committed bytes into the spool */
	STATE_WRITE, /* PUT, COPY or DELETE */
	STATE_DONE,  /* it is as the commit says */
	STATE_LEFT,  /* it is not, and stays so */
};

struct item {
	const char *path;
	const struct entry *e; /* of the manifest; NULL: there is none */
	const char *tag;       /* expected at first, found at the end; NULL: nothing is there */
	unsigned char sha256[SHA256_LEN];
	uint64_t spool; /* offset of the bytes */
	uint8_t kind, state, writes;
	bool spooled;
};

struct publish {
	struct transfer *x;
	const struct manifest *m;
	struct plain plain;
	struct arena arena; /* paths and tags */
	struct item *items; /* sorted by path */
	size_t n, room, next;
	bool deleting; /* the round's items are the deletions */
	struct strbuf links;
	struct spool spool;
	int applied_fd; /* the table of the commit before; -1: none */
	uint64_t applied_size;
};

struct job {
	struct store_op op;
	struct item *item;
	char key[STORE_KEY_MAX + 1], source[STORE_KEY_MAX + 1];
	char mark[STORE_MARK_MAX], sha256[SHA256_HEX_MAX];
};

static void no_memory(struct publish *p)
{
	transfer_fail(p->x, ENOMEM, "out of memory");
}

/* --- what is to be done: the manifest against the applied table, both sorted ------------- */

static struct item *add_item(struct publish *p, enum item_kind kind, const char *path, const struct entry *e,
			     const char *tag)
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
	p->n++;
	return i;
}

static bool by_copy(const struct publish *p, const struct item *i)
{
	return i->kind == ITEM_FILE && i->e->size > PACK_FILE_MAX && i->e->offset == 0 &&
	       (p->x->v->store->caps & STORE_CAP_COPY);
}

static bool is_published_file(const struct publish *p, const struct entry *e)
{
	return e->type == ENTRY_FILE && plain_publishable(&p->plain, e->path);
}

/* Does the object of the applied table stay what it is? */
static bool is_kept(const struct publish *p, const struct entry *e, const struct applied_entry *a)
{
	return is_published_file(p, e) && !e->tag && !(e->flags & ENTRY_REPUBLISH) &&
	       !memcmp(e->sha256, a->sha256, SHA256_LEN);
}

/* One path, in the manifest (e), in the applied table (a), or both. */
static void plan_path(struct publish *p, const struct entry *e, const struct applied_entry *a)
{
	const char *tag = e && e->tag && e->type != ENTRY_DIR ? e->tag : a ? a->tag : NULL;
	struct item *i;

	if (!strcmp(e ? e->path : a->path, PLAIN_SYMLINKS))
		return;
	if (e && e->type == ENTRY_GONE_DIR) {
		add_item(p, ITEM_DELETE_MARKER, e->path, e, e->tag);
		return;
	}
	if (e && is_published_file(p, e)) {
		if (a && is_kept(p, e, a))
			return;
		i = add_item(p, ITEM_FILE, e->path, e, tag);
		if (!i)
			return;
		memcpy(i->sha256, e->sha256, SHA256_LEN);
		if (by_copy(p, i) && !(p->x->v->store->caps & STORE_CAP_COPY_IF))
			i->state = STATE_LOOK;
		return;
	}
	if (tag)
		add_item(p, ITEM_DELETE, e ? e->path : a->path, NULL, tag);
}

/* The document of links; a: its line in the applied table, or NULL. */
static void plan_links(struct publish *p, const struct applied_entry *a)
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
	i = add_item(p, n > 0 ? ITEM_LINKS : ITEM_DELETE, PLAIN_SYMLINKS, NULL, tag);
	if (i)
		memcpy(i->sha256, sha256, SHA256_LEN);
}

/* The old table, line by line beside something else that is sorted by path. */
struct walk {
	struct applied_in table;
	bool has_table, has_entry;
	struct applied_entry a;
};

static int walk_next(struct publish *p, struct walk *w)
{
	int r = w->has_table ? applied_next(&w->table, &w->a, p->x->err) : 0;

	w->has_entry = r > 0;
	if (r < 0)
		p->x->failed = r;
	return r < 0 ? r : 0;
}

static int walk_begin(struct publish *p, struct walk *w)
{
	struct stream_in in;

	*w = (struct walk){.table = {.in = {.fd = -1}}};
	if (p->applied_fd < 0)
		return 0;
	if (stream_in_open(&in, p->applied_fd, 0, p->applied_size, false) < 0) {
		no_memory(p);
		return p->x->failed;
	}
	p->x->failed = applied_open(&w->table, in, p->x->err);
	w->has_table = p->x->failed == 0;
	return w->has_table ? walk_next(p, w) : p->x->failed;
}

static int plan(struct publish *p)
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
		plan_path(p, cmp <= 0 ? e : NULL, cmp >= 0 ? &w.a : NULL);
		n += cmp <= 0;
		if (cmp >= 0)
			walk_next(p, &w);
	}
	applied_close(&w.table);
	if (p->x->failed == 0)
		plan_links(p, links.path ? &links : NULL);
	return p->x->failed;
}

/* --- requests ------------------------------------------------------------------------------ */

static bool is_deletion(const struct item *i)
{
	return i->kind == ITEM_DELETE || i->kind == ITEM_DELETE_MARKER;
}

static void leave(struct publish *p, struct item *i)
{
	if (i->spooled)
		spool_release(&p->spool, i->spool, i->e->size);
	i->spooled = false;
	i->state = STATE_LEFT;
}

static void finish(struct publish *p, struct item *i, const char *tag)
{
	leave(p, i);
	i->state = STATE_DONE;
	i->tag = tag ? arena_strdup(&p->arena, tag) : NULL;
	if (tag && !i->tag)
		no_memory(p);
}

static void found_foreign(struct publish *p, struct item *i)
{
	p->x->report->conflicts++;
	report_warning(p->x->report,
		       "\"%.300s\" was changed in the store by another tool meanwhile: theirs was left there", i->path);
	leave(p, i);
}

/* The answer to a HEAD. */
static void judge(struct publish *p, struct item *i, const struct store_op *op)
{
	unsigned char sha256[SHA256_LEN];
	bool ours, expected;
	uint64_t seq;

	if (op->result == STORE_ABSENT) {
		if (is_deletion(i)) {
			finish(p, i, NULL);
			return;
		}
		i->tag = NULL;
		i->state = STATE_WRITE;
		return;
	}
	ours = plain_mark_parse(op->got_mark, op->key, &seq, sha256);
	expected = (i->tag && !strcmp(i->tag, op->tag)) || (i->e && i->e->tag && !strcmp(i->e->tag, op->tag));
	if (ours && !is_deletion(i) && !memcmp(sha256, i->sha256, SHA256_LEN)) {
		finish(p, i, op->tag);
	} else if (ours || expected) {
		i->tag = arena_strdup(&p->arena, op->tag);
		i->state = STATE_WRITE;
		if (!i->tag)
			no_memory(p);
	} else {
		found_foreign(p, i);
	}
}

/* The answer to a PUT, COPY or DELETE. */
static void written(struct publish *p, struct item *i, const struct store_op *op)
{
	switch (op->result) {
	case STORE_OK:
		if (is_deletion(i))
			finish(p, i, NULL);
		else if (op->tag[0])
			finish(p, i, op->tag);
		else
			i->state = STATE_LOOK;
		p->x->report->bytes_out += op->kind == STORE_PUT ? op->size : 0;
		break;
	case STORE_ABSENT:
	case STORE_FALSE:
	case STORE_UNKNOWN:
		i->state = STATE_LOOK;
		break;
	case STORE_INVALID:
		report_warning(p->x->report, "\"%.300s\" can't be published under its name; the commit has it",
			       i->path);
		leave(p, i);
		break;
	default:
		transfer_fail_op(p->x, op);
	}
}

static void fetched(struct publish *p, struct item *i, const struct store_op *op)
{
	p->x->report->bytes_in += op->got_size;
	if (op->result != STORE_OK) {
		transfer_fail_op(p->x, op);
	} else if (!spool_verify(&p->spool, i->e, i->spool)) {
		transfer_fail(p->x, EBADMSG, "the store has other bytes for \"%.300s\" than its commit (sha256 differs)",
			      i->path);
	} else {
		i->state = STATE_WRITE;
	}
}

static void done(void *ctx, struct store_op *op)
{
	struct publish *p = ctx;
	struct job *j = op->user;

	p->x->report->data_requests++;
	if (op->kind == STORE_HEAD && op->result != STORE_OK && op->result != STORE_ABSENT)
		transfer_fail_op(p->x, op);
	else if (op->kind == STORE_HEAD)
		judge(p, j->item, op);
	else if (op->kind == STORE_GET)
		fetched(p, j->item, op);
	else
		written(p, j->item, op);
	free(j);
}

static bool set_object_key(struct publish *p, const struct item *i, char key[STORE_KEY_MAX + 1])
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char *name = arena_printf(&a, "commits/%s", i->e->object);
	const char *full = name ? volume_key_meta(&a, p->x->v, name) : NULL;

	if (full)
		snprintf(key, STORE_KEY_MAX + 1, "%s", full);
	else
		no_memory(p);
	return full != NULL;
}

static void set_write(struct publish *p, struct job *j)
{
	struct item *i = j->item;

	j->op.kind = is_deletion(i) ? STORE_DELETE : by_copy(p, i) ? STORE_COPY : STORE_PUT;
	j->op.condition = i->tag ? STORE_IF_TAG : STORE_IF_ABSENT;
	j->op.if_tag = i->tag;
	if (j->op.kind == STORE_DELETE)
		return;
	plain_mark(p->m->seq, i->sha256, j->key, j->mark);
	j->op.mark = j->mark;
	if (j->op.kind == STORE_COPY) {
		set_object_key(p, i, j->source);
		j->op.source = j->source;
		return;
	}
	hex_encode(i->sha256, SHA256_LEN, j->sha256);
	j->op.sha256 = j->sha256;
	if (i->kind == ITEM_LINKS) {
		j->op.data = strbuf_str(&p->links);
		j->op.size = p->links.len;
		j->op.content_type = "application/json";
		return;
	}
	j->op.in_fd = p->spool.fd;
	j->op.in_offset = (off_t)i->spool;
	j->op.size = i->e->size;
}

static void set_request(struct publish *p, struct job *j)
{
	struct item *i = j->item;

	plain_key(&p->plain, i->path, j->key);
	if (i->kind == ITEM_DELETE_MARKER && strlen(j->key) < STORE_KEY_MAX)
		strcat(j->key, "/");
	store_op_init(&j->op, STORE_HEAD, j->key);
	j->op.user = j;
	if (i->state == STATE_FETCH) {
		j->op.kind = STORE_GET;
		set_object_key(p, i, j->key);
		j->op.offset = i->e->offset;
		j->op.length = i->e->size;
		j->op.out_fd = p->spool.fd;
		j->op.out_offset = (off_t)i->spool;
	} else if (i->state == STATE_WRITE) {
		i->writes++;
		set_write(p, j);
	}
}

/* Has a PUT its bytes? Where the tree hasn't got them, they are fetched first, in another round. */
static bool has_source(struct publish *p, struct item *i)
{
	if (i->state != STATE_WRITE || i->kind != ITEM_FILE || by_copy(p, i) || i->spooled)
		return true;
	i->spool = spool_reserve(&p->spool, i->e->size);
	i->spooled = true;
	if (spool_from_tree(&p->spool, i->e, i->spool))
		return true;
	i->state = STATE_FETCH;
	return false;
}

static struct store_op *next(void *ctx)
{
	struct publish *p = ctx;
	struct item *i = NULL;
	struct job *j;

	if (!transfer_go_on(p->x))
		return NULL;
	for (; p->next < p->n; p->next++) {
		i = &p->items[p->next];
		if (is_deletion(i) != p->deleting || i->state >= STATE_DONE)
			continue;
		if (i->state != STATE_FETCH && p->spool.live > SPOOL_MAX && !i->spooled)
			continue;
		if (has_source(p, i))
			break;
	}
	if (p->next++ >= p->n)
		return NULL;
	if (i->writes >= WRITE_ATTEMPTS) {
		transfer_fail(p->x, EAGAIN, "\"%.300s\" can't be published: it changes each time it is written", i->path);
		return NULL;
	}
	j = calloc(1, sizeof(*j));
	if (!j) {
		no_memory(p);
		return NULL;
	}
	j->item = i;
	set_request(p, j);
	return &j->op;
}

/* Rounds, each one request an item, until nothing is left to be done. */
static int run(struct publish *p, bool deleting)
{
	p->deleting = deleting;
	for (;;) {
		bool pending = false;

		for (size_t i = 0; i < p->n; i++)
			pending |= is_deletion(&p->items[i]) == deleting && p->items[i].state < STATE_DONE;
		if (!pending || p->x->failed < 0)
			return p->x->failed;
		p->next = 0;
		store_run(p->x->v->store, next, done, p);
	}
}

/* --- the applied table ------------------------------------------------------------------------ */

/* The next line of the new table from the items, those that are published. */
static struct item *next_published(struct publish *p, size_t *at)
{
	while (*at < p->n && (p->items[*at].state != STATE_DONE || is_deletion(&p->items[*at])))
		++*at;
	return *at < p->n ? &p->items[*at] : NULL;
}

static bool has_item(const struct publish *p, const char *path)
{
	size_t lo = 0, hi = p->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int cmp = strcmp(p->items[mid].path, path);

		if (cmp == 0)
			return true;
		if (cmp < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

static int write_table(struct publish *p, struct stream_out *out)
{
	uint64_t n = 0;
	size_t at = 0;
	struct walk w;

	applied_write_header(out, p->m->epoch, p->m->seq, p->m->record_sha256);
	if (walk_begin(p, &w) < 0)
		return p->x->failed;
	for (struct item *i = next_published(p, &at); (i || w.has_entry) && p->x->failed == 0;
	     i = next_published(p, &at)) {
		int cmp = !i ? 1 : !w.has_entry ? -1 : strcmp(i->path, w.a.path);
		struct applied_entry e = w.a;

		if (cmp <= 0) {
			e = (struct applied_entry){.path = i->path, .tag = i->tag};
			memcpy(e.sha256, i->sha256, SHA256_LEN);
			at++;
		}
		/* What has an item is no longer what the old table says. */
		if (cmp <= 0 || !has_item(p, w.a.path)) {
			applied_write_entry(out, &e);
			n++;
		}
		if (cmp >= 0)
			walk_next(p, &w);
	}
	applied_close(&w.table);
	applied_write_end(out, n);
	return p->x->failed;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->path, ((const struct item *)b)->path);
}

static int put_table(struct publish *p)
{
	_cleanup_(stream_out_close) struct stream_out out = {.fd = -1};
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_close_ int fd = tree_tmpfile(p->x->v);
	char sha256[SHA256_HEX_MAX];
	struct store_op op;

	if (fd < 0 || stream_out_open(&out, fd, 0) < 0) {
		transfer_fail(p->x, fd < 0 ? -fd : ENOMEM, "cache: can't make a file");
		return p->x->failed;
	}
	if (p->n > 1)
		qsort(p->items, p->n, sizeof(*p->items), by_path);
	if (write_table(p, &out) < 0)
		return p->x->failed;
	if (stream_finish(&out, sha256) < 0) {
		transfer_fail(p->x, EIO, "cache: the applied table can't be written (error %d)", -out.failed);
		return p->x->failed;
	}
	store_op_init(&op, STORE_PUT, applied_key(&a, p->x->v, p->m->seq));
	op.in_fd = fd;
	op.size = out.written;
	op.sha256 = sha256;
	if (!op.key)
		no_memory(p);
	if (!transfer_go_on(p->x))
		return p->x->failed;
	p->x->report->data_requests++;
	if (store_do(p->x->v->store, &op) != STORE_OK)
		transfer_fail_op(p->x, &op);
	else
		applied_keep(p->x->v, fd, out.written);
	return p->x->failed;
}

static void publish_end(struct publish *p)
{
	free(p->items);
	strbuf_free(&p->links);
	spool_close(&p->spool);
	arena_free(&p->arena);
	cleanup_close(&p->applied_fd);
}

int publish_run(struct transfer *x, const struct manifest *m, uint64_t applied_seq)
{
	_cleanup_(publish_end) struct publish p = {.x = x, .m = m, .applied_fd = -1};

	p.spool.fd = p.spool.root_fd = -1;
	if (x->failed < 0)
		return x->failed;
	x->failed = plain_init(&p.plain, x->v, x->err);
	if (x->failed == 0 && spool_open(&p.spool, x->v) < 0)
		transfer_fail(x, ENOMEM, "cache: can't make a file");
	if (x->failed == 0)
		applied_fetch(x, applied_seq, &p.applied_fd, &p.applied_size);
	/* Deletions first: where a file was, a directory may come. */
	if (x->failed == 0 && plan(&p) == 0 && run(&p, true) == 0 && run(&p, false) == 0)
		put_table(&p);
	return x->failed;
}
