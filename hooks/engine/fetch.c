/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/fetch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "hooks/engine/hashing.h"
#include "hooks/engine/sparse.h"
#include "hooks/engine/unpack.h"

#define RANGE_MAX (8u << 20) /* of a request for neighbours */
#define GAP_MAX (64u << 10)  /* what is read and thrown away rather than asked around */
#define PIECE (16u << 20)    /* of a large file */
#define ENDING_MAX 32	     /* large files that are there and not hashed yet */

/* A file that is read on its own. */
struct large {
	struct entry *e;
	int fd;
	bool pieces_of;	 /* it comes in several */
	bool again;	 /* they don't tell what they are of: it is to be read in one */
	uint64_t asked;	 /* bytes requested so far */
	unsigned pieces; /* under way */
	/* Of a file in several pieces: its running hash, which of them are there, and how many without a gap. */
	struct hashed *hashed;
	unsigned char *came;
	uint64_t whole;
	struct large *next; /* of those that only wait for their hash */
};

/* One request: a range of a pack with the files in it, or a piece of a large file. */
struct job {
	struct store_op op;
	char key[STORE_KEY_MAX + 1];
	struct entry **files;
	size_t n;
	struct large *large;
};

struct fetch {
	struct transfer *x;
	struct tree *t;
	const struct plain *plain;
	struct entry **entries;
	size_t n, next;
	struct large *large; /* of which pieces are still to be asked */
	struct large *ending, **ending_last;
	unsigned n_ending;
	bool no_tags;	      /* this store says of a range not what it is of */
	struct entry **again; /* foreign ones that are to be read in one, when the others are done; NULL: none */
	size_t n_again;
	struct hashing *hashing; /* from the first file in pieces on */
	struct unpacking *unpacking;
};

static bool is_foreign(const struct entry *e)
{
	return !e->object && (e->flags & ENTRY_FOREIGN);
}

/* By object and offset: neighbours in a pack beside each other; what has no object first. */
static int by_place(const void *a, const void *b)
{
	const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;
	int cmp;

	if (!x->object || !y->object) {
		if (x->object || y->object)
			return x->object ? 1 : -1;
		return strcmp(x->path, y->path);
	}
	cmp = strcmp(x->object, y->object);
	if (cmp)
		return cmp;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return strcmp(x->path, y->path);
}

static void wrong_bytes(struct fetch *f, const struct entry *e)
{
	transfer_fail(f->x, EBADMSG,
		      "the store has other bytes for \"%.300s\" than its commit (object %s, sha256 differs); restore "
		      "that object from a backup",
		      e->path, e->object ? e->object : "none");
}

static void file_failed(struct fetch *f, int r, const struct entry *e)
{
	struct error why = ERROR_INIT;

	if (r >= 0 || f->x->failed < 0)
		return;
	tree_error(&why, r, "cache: can't write \"%.300s\"", e->path);
	transfer_fail(f->x, -r, "%s", why.msg);
}

/* Notes what went wrong in making files of packs. */
static void unpack_failed(struct fetch *f, struct unpack_failure failure)
{
	if (failure.wrong_bytes)
		wrong_bytes(f, failure.entry);
	else
		file_failed(f, failure.r, failure.entry);
}

/* Is the foreign object that was read the one that was listed? Notes what it is. */
static bool foreign_as_seen(struct fetch *f, const struct job *j)
{
	struct entry *e = j->large->e;

	/* Pieces are of one object only if each of them says so. */
	if (j->op.got_size == (j->op.length > 0 ? j->op.length : e->size) &&
	    ((j->op.tag[0] == '\0' && j->op.length == 0) || !strcmp(j->op.tag, e->tag)))
		return true;
	transfer_fail(f->x, EAGAIN, "\"%.300s\" was changed by another tool while it was being read; try again",
		      e->path);
	return false;
}

/* A piece is there. What is whole from the beginning on can be hashed. */
static void piece_came(struct fetch *f, struct large *l, uint64_t offset)
{
	const uint64_t pieces = (l->e->size + PIECE - 1) / PIECE;
	uint64_t bytes;

	if (!l->hashed)
		return;
	l->came[offset / PIECE / 8] |= (unsigned char)(1u << (offset / PIECE % 8));
	while (l->whole < pieces && (l->came[l->whole / 8] & (1u << (l->whole % 8))))
		l->whole++;
	bytes = l->whole * PIECE < l->e->size ? l->whole * PIECE : l->e->size;
	hashing_reach(f->hashing, l->hashed, bytes);
}

static void large_free(struct fetch *f, struct large *l)
{
	if (l->hashed)
		hashing_end(f->hashing, l->hashed, NULL);
	if (l->fd >= 0)
		close(l->fd);
	if (f->large == l)
		f->large = NULL;
	free(l->came);
	free(l);
}

/* -EBADMSG: it is not what the commit says. */
static int verify(struct fetch *f, struct large *l)
{
	unsigned char hash[SHA256_LEN];
	int r;

	if (l->hashed)
		r = hashing_end(f->hashing, TAKE_PTR(l->hashed), hash);
	else
		r = entry_hash_fd(l->fd, l->e->size, hash);
	if (r == 0 && memcmp(hash, l->e->sha256, SHA256_LEN) != 0) {
		wrong_bytes(f, l->e);
		r = -EBADMSG;
	}
	return r;
}

/* All of it is there. */
static void finish_large(struct fetch *f, struct large *l)
{
	int r = 0;

	if (is_foreign(l->e))
		memset(l->e->sha256, 0, SHA256_LEN);
	else
		r = verify(f, l);
	if (r == 0)
		r = tree_install(f->t, l->fd, l->e);
	file_failed(f, r, l->e);
}

/* Those whose hash is known; with `all`, those whose hash is waited for. */
static void finish_ending(struct fetch *f, bool all)
{
	while (f->ending) {
		struct large *l = f->ending;

		if (f->x->failed == 0 && !all && f->n_ending <= ENDING_MAX && !hashing_is_done(f->hashing, l->hashed))
			return;
		f->ending = l->next;
		f->n_ending--;
		if (f->x->failed == 0)
			finish_large(f, l);
		large_free(f, l);
	}
	f->ending_last = &f->ending;
}

/* A piece without a tag may be of another object than the one before it. */
static void begin_again(struct fetch *f, struct large *l)
{
	f->no_tags = l->again = true;
	if (f->large == l)
		f->large = NULL;
	if (!f->again)
		f->again = calloc(f->n, sizeof(struct entry *));
	if (!f->again)
		transfer_fail(f->x, ENOMEM, "out of memory");
}

/* The last piece of it is there: it is finished at once, or when it is hashed. */
static void end_large(struct fetch *f, struct large *l)
{
	if (f->x->failed == 0 && l->again) {
		f->again[f->n_again++] = l->e;
		large_free(f, l);
		return;
	}
	if (f->x->failed == 0 && l->hashed) {
		l->next = NULL;
		*f->ending_last = l;
		f->ending_last = &l->next;
		f->n_ending++;
		return;
	}
	if (f->x->failed == 0)
		finish_large(f, l);
	large_free(f, l);
}

static void job_free(struct fetch *f, struct job *j)
{
	struct large *l = j->large;

	if (l && --l->pieces == 0 && (f->large != l || f->x->failed < 0))
		end_large(f, l);
	if (!l && j->op.out_fd >= 0)
		close(j->op.out_fd);
	free(j);
}

static void done(void *ctx, struct store_op *op)
{
	struct fetch *f = ctx;
	struct job *j = op->user;
	bool foreign = j->large && is_foreign(j->large->e);

	f->x->report->data_requests++;
	f->x->report->bytes_in += op->got_size;
	if (op->result != STORE_OK) {
		if (foreign && op->result == STORE_ABSENT)
			transfer_fail(f->x, EAGAIN, "\"%.300s\" was removed by another tool meanwhile; try again",
				      j->large->e->path);
		/* A piece of what became shorter is another, or none. */
		if (foreign && op->result == STORE_CORRUPT && !op->cut && op->length > 0)
			transfer_fail(f->x, EAGAIN,
				      "\"%.300s\" did not come whole, or was changed meanwhile; try again",
				      j->large->e->path);
		transfer_fail_op(f->x, op);
	} else if (!foreign && op->length > 0 && op->got_size != op->length) {
		transfer_fail(f->x, EBADMSG, "the store's object %.600s is shorter than its commit says", j->key);
	} else if (!j->large) {
		unpacking_add(f->unpacking, TAKE_FD(op->out_fd), op->offset, j->files, j->n);
	} else {
		if (j->large->e->flags & ENTRY_SPARSE)
			file_failed(f, sparse_punch(j->large->fd, j->op.out_offset, j->op.got_size), j->large->e);
		if (foreign && op->length > 0 && !op->tag[0])
			begin_again(f, j->large);
		else if ((!foreign || foreign_as_seen(f, j)) && f->x->failed == 0)
			piece_came(f, j->large, (uint64_t)op->out_offset);
	}
	job_free(f, j);
	unpack_failed(f, unpacking_failed(f->unpacking));
	finish_ending(f, false);
}

static struct job *new_job(struct fetch *f, const struct entry *e)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct job *j = calloc(1, sizeof(*j));
	const char *name = NULL, *key = NULL;

	if (is_foreign(e)) {
		key = j ? plain_key(f->plain, e->path, j->key) : NULL;
	} else {
		name = arena_printf(&a, "commits/%s", e->object);
		key = name ? volume_key_meta(&a, f->x->v, name) : NULL;
	}
	if (!j || !key) {
		free(j);
		transfer_fail(f->x, ENOMEM, "out of memory");
		return NULL;
	}
	if (key != j->key)
		snprintf(j->key, sizeof(j->key), "%s", key);
	store_op_init(&j->op, STORE_GET, j->key);
	j->op.user = j;
	return j;
}

/* Of a foreign object only where each piece tells which object it is of. */
static bool in_pieces(const struct fetch *f, const struct entry *e)
{
	return !is_foreign(e) || (e->size > PIECE && e->tag && !f->no_tags);
}

/*
 * A file that comes in several pieces is hashed behind them. Of a foreign one nobody knows what it should be: its
 * first commit, which has to read it, finds that out.
 */
static bool begin_hash(struct fetch *f, struct large *l)
{
	if (l->e->size <= PIECE || is_foreign(l->e))
		return true;
	if (!f->hashing)
		f->hashing = hashing_new();
	l->came = calloc(l->e->size / PIECE / 8 + 1, 1);
	l->hashed = f->hashing && l->came ? hashing_begin(f->hashing, l->fd, 0) : NULL;
	if (!l->hashed)
		transfer_fail(f->x, ENOMEM, "out of memory");
	return l->hashed;
}

static struct store_op *next_piece(struct fetch *f)
{
	struct large *l = f->large;
	struct job *j = new_job(f, l->e);
	uint64_t left = l->e->size - l->asked;

	if (!j)
		return NULL;
	j->large = l;
	j->op.out_fd = l->fd;
	j->op.out_offset = (off_t)l->asked;
	if (l->pieces_of) {
		j->op.offset = l->e->offset + l->asked;
		j->op.length = left < PIECE ? left : PIECE;
		l->asked += j->op.length;
	} else {
		j->op.size = l->e->size;
		l->asked = l->e->size;
	}
	l->pieces++;
	if (l->asked == l->e->size)
		f->large = NULL;
	return &j->op;
}

static struct store_op *begin_large(struct fetch *f)
{
	struct large *l = calloc(1, sizeof(*l));
	struct store_op *op;

	if (!l) {
		transfer_fail(f->x, ENOMEM, "out of memory");
		return NULL;
	}
	l->e = f->entries[f->next++];
	l->pieces_of = in_pieces(f, l->e);
	l->fd = tree_create(f->t, l->e->path);
	f->large = l;
	file_failed(f, l->fd, l->e);
	op = l->fd >= 0 && begin_hash(f, l) ? next_piece(f) : NULL;
	if (!op)
		large_free(f, l);
	return op;
}

/* As many neighbours as one request may hold. */
static struct store_op *begin_range(struct fetch *f)
{
	struct entry *first = f->entries[f->next];
	uint64_t end = first->offset + first->size;
	struct job *j = new_job(f, first);

	if (!j)
		return NULL;
	j->files = f->entries + f->next;
	while (f->next < f->n) {
		const struct entry *e = f->entries[f->next];
		uint64_t e_end = e->offset + e->size;

		if (strcmp(e->object, first->object) != 0 || e->offset > end + GAP_MAX ||
		    (j->n > 0 && e_end - first->offset > RANGE_MAX))
			break;
		if (e_end > end)
			end = e_end;
		f->next++;
		j->n++;
	}
	j->op.offset = first->offset;
	j->op.length = end - first->offset;
	j->op.out_fd = tree_tmpfile(f->x->v);
	if (j->op.out_fd >= 0)
		return &j->op;
	file_failed(f, j->op.out_fd, first);
	free(j);
	return NULL;
}

/* What has no bytes needs no request. */
static void make_empty(struct fetch *f)
{
	size_t n = 0;

	for (; f->next + n < f->n; n++) {
		struct entry *e = f->entries[f->next + n];

		if (e->object || e->size > 0)
			break;
		if (is_foreign(e))
			entry_hash_data("", 0, e->sha256);
	}
	if (n > 0)
		unpacking_add(f->unpacking, -1, 0, f->entries + f->next, n);
	f->next += n;
}

static struct store_op *next(void *ctx)
{
	struct fetch *f = ctx;

	if (!transfer_go_on(f->x))
		return NULL;
	if (f->large)
		return next_piece(f);
	make_empty(f);
	if (f->next == f->n || f->x->failed < 0)
		return NULL;
	if (!f->entries[f->next]->object || f->entries[f->next]->size > RANGE_MAX)
		return begin_large(f);
	return begin_range(f);
}

int fetch_files(struct transfer *x, struct tree *t, const struct plain *plain, struct entry **entries, size_t n)
{
	struct fetch f = {.x = x, .t = t, .plain = plain, .entries = entries, .n = n};
	int64_t begin = clock_boottime_ns();

	f.ending_last = &f.ending;
	f.unpacking = unpacking_new(t);
	if (!f.unpacking) {
		transfer_fail(x, ENOMEM, "out of memory");
	} else if (n > 0) {
		qsort(entries, n, sizeof(*entries), by_place);
		store_run(x->v->store, next, done, &f);
		f.entries = f.again;
		f.n = f.n_again;
		f.next = f.n_again = 0;
		if (f.n > 0 && x->failed == 0)
			store_run(x->v->store, next, done, &f);
		if (x->failed == 0)
			unpack_failed(&f, unpacking_end(f.unpacking));
	}
	finish_ending(&f, true);
	if (f.large && f.large->pieces == 0)
		large_free(&f, f.large);
	hashing_free(f.hashing);
	unpacking_free(f.unpacking);
	free(f.again);
	x->report->data_ns += clock_boottime_ns() - begin;
	return x->failed;
}
