/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/collect.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "hooks/engine/applied_store.h"
#include "hooks/engine/garbage.h"
#include "hooks/engine/pack.h"
#include "hooks/engine/stream.h"
#include "hooks/engine/tree.h"

#define GARBAGE "garbage"
#define GARBAGE_MAX_SIZE (256u << 20)
#define OBJECTS_MAX 4000000
/* More than so many packs beyond those that their bytes fill are too many: a start reads from each. */
#define PACKS_SPARE 32
/* What must be dead for it to pay, and what one commit puts together anew at most. */
#define REPACK_MIN (1u << 20)
#define REPACK_MAX (UINT64_C(1) << 30)
/* Deletions of one collection: the next holder waits for its end. */
#define DELETE_MAX 20000

bool collect_due(uint64_t last)
{
	uint64_t now = (uint64_t)time(NULL);

	/* A time to come is that of a node whose clock was wrong. */
	return now >= last + COLLECT_EVERY || last > now + COLLECT_EVERY;
}

void collect_free(struct collect *c)
{
	free(c->objects);
	arena_free(&c->arena);
	*c = (struct collect){0};
}

/* --- listing ------------------------------------------------------------------------- */

/* Is it a commit's object, or a table, of an epoch up to ours? */
static bool is_ours(const struct collect *c, const char *name)
{
	uint64_t epoch, seq;
	int end = 0;

	if (sscanf(name, "commits/%" SCNu64 "-%" SCNu64 "/%n", &epoch, &seq, &end) == 2 && end > 0)
		return epoch <= c->epoch && strlen(name) > (size_t)end;
	end = 0;
	return sscanf(name, "%" SCNu64 ".applied%n", &seq, &end) == 1 && end > 0 && name[end] == '\0';
}

struct listing {
	struct collect *c;
	size_t prefix_len;
};

static int on_key(void *ctx, const struct store_list_item *item, struct error *err)
{
	struct listing *l = ctx;
	struct collect *c = l->c;
	const char *name = item->key + l->prefix_len;

	if (!is_ours(c, name))
		return 0;
	if (c->n == c->room) {
		size_t room = c->room ? c->room * 2 : 256;
		struct collect_object *o = c->n < OBJECTS_MAX ? reallocarray(c->objects, room, sizeof(*o)) : NULL;

		if (!o)
			return error_set(err, ENOMEM, "out of memory");
		c->objects = o;
		c->room = room;
	}
	c->objects[c->n] = (struct collect_object){.name = arena_strdup(&c->arena, name), .size = item->size};
	if (!c->objects[c->n].name)
		return error_set(err, ENOMEM, "out of memory");
	c->n++;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct collect_object *)a)->name, ((const struct collect_object *)b)->name);
}

int collect_list(struct collect *c, struct transfer *x, uint64_t epoch)
{
	struct listing l = {.c = c};
	char *prefix;
	int r;

	*c = (struct collect){.epoch = epoch};
	prefix = volume_key_meta(&c->arena, x->v, "");
	if (!prefix)
		transfer_fail(x, ENOMEM, "out of memory");
	if (!transfer_go_on(x))
		return x->failed;
	l.prefix_len = strlen(prefix);
	r = store_list(x->v->store, prefix, on_key, &l, x->err);
	if (r < 0)
		return x->failed = r;
	if (c->n > 1)
		qsort(c->objects, c->n, sizeof(*c->objects), by_name);
	return 0;
}

static struct collect_object *find(const struct collect *c, const char *name)
{
	const struct collect_object key = {.name = name};

	return c->n > 0 ? bsearch(&key, c->objects, c->n, sizeof(key), by_name) : NULL;
}

static struct collect_object *find_below_commits(const struct collect *c, const char *object)
{
	char name[STORE_KEY_MAX];

	snprintf(name, sizeof(name), "commits/%s", object);
	return find(c, name);
}

static void mark_none(struct collect *c)
{
	for (size_t i = 0; i < c->n; i++) {
		c->objects[i].needed = false;
		c->objects[i].live = 0;
	}
}

/* Marks what the manifest needs, and how much of it. */
static void mark(struct collect *c, const struct manifest *m)
{
	struct collect_object *o = NULL;
	const char *last = NULL;

	for (size_t i = 0; i < m->n; i++) {
		const struct entry *e = &m->entries[i];

		if (e->type != ENTRY_FILE || !e->object)
			continue;
		if (e->object != last)
			o = find_below_commits(c, e->object);
		last = e->object;
		if (o) {
			o->needed = true;
			o->live += e->size;
		}
	}
	for (size_t i = 0; i < m->n_chain; i++) {
		o = find_below_commits(c, m->chain[i].object);
		if (o) {
			o->needed = true;
			o->live += m->chain[i].length;
		}
	}
}

/* --- packs that don't pay any more ------------------------------------------------------ */

static bool is_pack(const struct collect_object *o)
{
	const char *base = strrchr(o->name, '/');

	return o->needed && base && !strncmp(base, "/pack-", strlen("/pack-"));
}

/* The emptiest first. */
static int by_live(const void *a, const void *b)
{
	const struct collect_object *x = *(struct collect_object *const *)a, *y = *(struct collect_object *const *)b;

	return x->live < y->live ? -1 : x->live > y->live;
}

struct packs {
	struct collect_object **list;
	size_t n;
	uint64_t size, live;
};

static int find_packs(struct collect *c, struct packs *p)
{
	*p = (struct packs){.list = calloc(c->n + 1, sizeof(*p->list))};
	if (!p->list)
		return -ENOMEM;
	for (size_t i = 0; i < c->n; i++) {
		struct collect_object *o = &c->objects[i];

		if (!is_pack(o))
			continue;
		p->list[p->n++] = o;
		p->size += o->size;
		p->live += o->live < o->size ? o->live : o->size;
	}
	qsort(p->list, p->n, sizeof(*p->list), by_live);
	return 0;
}

/* `listed` marks the chosen ones meanwhile. */
static uint64_t choose_packs(struct packs *p)
{
	size_t fill = p->live / PACK_SIZE + 1, left = p->n, chosen = 0;
	uint64_t waste = p->size - p->live, bytes = 0;
	bool dead = waste > p->live && waste >= REPACK_MIN, many = p->n > fill + PACKS_SPARE;

	for (size_t i = 0; i < p->n; i++) {
		struct collect_object *o = p->list[i];
		bool small = many && left > fill + PACKS_SPARE / 2 && o->live < PACK_SIZE / 2;

		if ((!(dead && o->live < o->size / 2) && !small) || bytes + o->live > REPACK_MAX)
			continue;
		o->listed = true;
		bytes += o->live;
		left -= chosen++ > 0; /* they become one */
	}
	return bytes;
}

size_t collect_repack(struct collect *c, struct manifest *m)
{
	struct packs p;
	size_t n = 0;

	mark_none(c);
	mark(c, m);
	if (find_packs(c, &p) < 0)
		return 0;
	if (choose_packs(&p) > 0) {
		for (size_t i = 0; i < m->n; i++) {
			struct entry *e = &m->entries[i];
			const struct collect_object *o =
			    e->type == ENTRY_FILE && e->object ? find_below_commits(c, e->object) : NULL;

			if (!o || !o->listed)
				continue;
			e->flags |= ENTRY_REPACK;
			n++;
		}
	}
	for (size_t i = 0; i < p.n; i++)
		p.list[i]->listed = false;
	free(p.list);
	return n;
}

/* --- the list of garbage ------------------------------------------------------------------ */

/* Whatever the list says, only what a listing has shown and nothing needs is ever deleted. */
static void mark_listed(void *ctx, const char *name)
{
	struct collect_object *o = find(ctx, name);

	if (o)
		o->listed = true;
}

static int64_t mtime_of(struct transfer *x, const char *name)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct store_op op;

	store_op_init(&op, STORE_HEAD, volume_key_meta(&a, x->v, name));
	if (!op.key)
		transfer_fail(x, ENOMEM, "out of memory");
	if (!transfer_go_on(x))
		return x->failed;
	x->report->data_requests++;
	if (store_do(x->v->store, &op) == STORE_ABSENT)
		return -ENOENT;
	if (op.result != STORE_OK)
		transfer_fail_op(x, &op);
	return x->failed < 0 ? x->failed : op.mtime;
}

/* 1: the list may be followed, or there is none; 0: it is too young. */
static int is_ripe(struct transfer *x)
{
	int64_t written = mtime_of(x, GARBAGE), now = x->failed < 0 ? 0 : mtime_of(x, "head");

	if (x->failed < 0)
		return x->failed;
	return written == -ENOENT || (written > 0 && now - written >= COLLECT_AGE);
}

static int read_list(struct collect *c, struct transfer *x)
{
	_cleanup_(stream_in_close) struct stream_in in = {.fd = -1};
	_cleanup_close_ int fd = tree_tmpfile(x->v);
	struct store_op op;
	int r;

	store_op_init(&op, STORE_GET, volume_key_meta(&c->arena, x->v, GARBAGE));
	op.out_fd = fd;
	if (!op.key || fd < 0)
		transfer_fail_cache(x, fd < 0 ? fd : ENOMEM, "can't make a file");
	if (!transfer_go_on(x))
		return x->failed;
	x->report->data_requests++;
	if (store_do(x->v->store, &op) == STORE_ABSENT)
		return 0;
	if (op.result != STORE_OK)
		transfer_fail_op(x, &op);
	else if (op.got_size > GARBAGE_MAX_SIZE)
		transfer_fail(x, EFBIG, "list of garbage: %" PRIu64 " bytes are too many", op.got_size);
	if (x->failed < 0)
		return x->failed;
	r = stream_in_open(&in, fd, 0, op.got_size, false);
	if (r == 0)
		r = garbage_read(&in, mark_listed, c, x->err);
	if (r == -ENOMEM)
		error_set(x->err, ENOMEM, "out of memory");
	return x->failed = r;
}

/* --- deletions ------------------------------------------------------------------------------ */

struct removal {
	struct collect *c;
	struct transfer *x;
	size_t next, sent;
};

struct job {
	struct store_op op;
	char key[STORE_KEY_MAX + 1];
	struct collect_object *o;
};

static struct store_op *next(void *ctx)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct removal *r = ctx;
	struct job *j;
	char *key;

	while (r->next < r->c->n && (!r->c->objects[r->next].listed || r->c->objects[r->next].needed))
		r->next++;
	if (r->next == r->c->n || r->sent == DELETE_MAX || !transfer_go_on(r->x))
		return NULL;
	j = calloc(1, sizeof(*j));
	key = volume_key_meta(&a, r->x->v, r->c->objects[r->next].name);
	if (!j || !key) {
		free(j);
		transfer_fail(r->x, ENOMEM, "out of memory");
		return NULL;
	}
	snprintf(j->key, sizeof(j->key), "%s", key);
	j->o = &r->c->objects[r->next++];
	store_op_init(&j->op, STORE_DELETE, j->key);
	j->op.user = j;
	r->sent++;
	return &j->op;
}

static void done(void *ctx, struct store_op *op)
{
	struct removal *r = ctx;
	struct job *j = op->user;

	r->x->report->data_requests++;
	if (op->result == STORE_OK) {
		r->x->report->collected++;
		r->x->report->collected_bytes += j->o->size;
		/* Not in the next list. */
		j->o->needed = true;
	} else {
		transfer_fail_op(r->x, op);
	}
	free(j);
}

static int write_list(struct collect *c, struct transfer *x)
{
	_cleanup_(stream_out_close) struct stream_out out = {.fd = -1};
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	_cleanup_close_ int fd = tree_tmpfile(x->v);
	uint64_t n = 0;
	char sha256[SHA256_HEX_MAX];
	struct store_op op;

	if (fd < 0 || stream_out_open(&out, fd, 0) < 0) {
		transfer_fail_cache(x, fd < 0 ? fd : ENOMEM, "can't make a file");
		return x->failed;
	}
	for (size_t i = 0; i < c->n; i++)
		n += !c->objects[i].needed;
	garbage_write_head(&out, &text, n);
	for (size_t i = 0; i < c->n; i++)
		if (!c->objects[i].needed)
			garbage_write(&out, &text, c->objects[i].name);
	if (stream_finish(&out, sha256) < 0)
		transfer_fail_cache(x, out.failed, "the list of garbage can't be written");
	store_op_init(&op, STORE_PUT, volume_key_meta(&c->arena, x->v, GARBAGE));
	op.in_fd = fd;
	op.size = out.written;
	op.sha256 = sha256;
	if (!op.key)
		transfer_fail(x, ENOMEM, "out of memory");
	if (!transfer_go_on(x))
		return x->failed;
	x->report->data_requests++;
	if (store_do(x->v->store, &op) != STORE_OK)
		transfer_fail_op(x, &op);
	return x->failed;
}

/* The oldest table that the one of this commit builds on; 0: it can't be said. */
static uint64_t oldest_table(struct transfer *x, uint64_t applied_seq)
{
	_cleanup_(kept_close) struct kept_in k = {.in = {.fd = -1}};
	_cleanup_close_ int fd = -1;
	struct error ignored = ERROR_INIT;
	uint64_t size;

	if (applied_fetch(x, applied_seq, &fd, &size) < 0 || fd < 0 || kept_open(&k, fd, size, &ignored) < 0)
		return 0;
	return k.head.chain[0].seq;
}

/* Earlier tables are needed by nothing. */
static void mark_tables(struct collect *c, uint64_t oldest)
{
	for (size_t i = 0; i < c->n; i++) {
		uint64_t seq;

		if (strncmp(c->objects[i].name, "commits/", strlen("commits/")) != 0 &&
		    sscanf(c->objects[i].name, "%" SCNu64, &seq) == 1 && seq >= oldest)
			c->objects[i].needed = true;
	}
}

/* --- uploads that nobody completed ----------------------------------------------------------- */

struct uploads {
	const struct collect *c;
	size_t prefix_len;
	int64_t now; /* by the store's clock; 0: not known */
};

/*
 * For a commit: of a holder before us, which can't commit any more, or of ours, who has none under way now. Anything
 * else when it is old; conflicts, which need no lease, when nobody can still be sending.
 */
static bool is_given_up(void *ctx, const char *key, int64_t began)
{
	const struct uploads *u = ctx;
	const char *name = key + u->prefix_len;

	if (strncmp(name, "commits/", strlen("commits/")) == 0)
		return is_ours(u->c, name);
	return began < u->now &&
	       u->now - began >=
		   (strncmp(name, "conflicts/", strlen("conflicts/")) ? COLLECT_AGE : COLLECT_CONFLICT_AGE);
}

/* A store that can't tell of them, or is not allowed to, keeps them: they cost money, and nothing else. */
static void give_up_uploads(struct collect *c, struct transfer *x)
{
	struct uploads u = {.c = c};
	struct error ignored = ERROR_INIT;
	const char *prefix = volume_key_meta(&c->arena, x->v, "");
	uint64_t n;

	if (!prefix || !transfer_go_on(x))
		return;
	u.prefix_len = strlen(prefix);
	u.now = mtime_of(x, "head");
	if (x->failed == 0)
		store_give_up_uploads(x->v->store, prefix, is_given_up, &u, &n, &ignored);
}

int collect_run(struct collect *c, struct transfer *x, const struct manifest *m, const struct manifest *finished,
		uint64_t applied_seq)
{
	struct removal removal = {.c = c, .x = x};
	int ripe;

	give_up_uploads(c, x);
	ripe = is_ripe(x);
	if (ripe <= 0)
		return x->failed;
	mark_none(c);
	mark(c, m);
	if (finished)
		mark(c, finished);
	mark_tables(c, oldest_table(x, applied_seq));
	if (x->failed < 0 || read_list(c, x) < 0)
		return x->failed;
	store_run(x->v->store, next, done, &removal);
	return x->failed < 0 ? x->failed : write_list(c, x);
}
