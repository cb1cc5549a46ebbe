/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "hooks/engine/hardlinks.h"
#include "hooks/engine/ids.h"
#include "hooks/engine/pack_read.h"
#include "hooks/engine/record.h"
#include "hooks/engine/tree.h"

#define AHEAD 8 /* large files that are hashed and not yet sent */
#define OBJECT_MAX 96

struct stage {
	struct transfer *x;
	struct reader reader;
	char base_name[64], attempt[9];
	const struct manifest *base;
	struct manifest *m;
	struct hardlinks links; /* of m */
	size_t next;		/* entry to look at */
	struct job *ahead;	/* large files that are being hashed, to be sent */
	unsigned n_ahead, under_way, n_packs, n_large;
	int pack_fd; /* of the pack being filled, -1: none */
	uint64_t pack_size;
	char pack_name[OBJECT_MAX], record_name[OBJECT_MAX], record_sha256[SHA256_HEX_MAX];
};

/* An object on its way. */
struct job {
	struct store_op op;
	char key[STORE_KEY_MAX + 1], object[OBJECT_MAX], sha256[SHA256_HEX_MAX];
	struct reading large; /* its entry NULL: a pack or a record */
	unsigned attempts;
	struct job *next;
};

struct stage *stage_new(struct transfer *x, int root_fd, uint64_t epoch, uint64_t seq)
{
	struct stage *s = calloc(1, sizeof(*s));
	unsigned char random[4];

	if (!s)
		return NULL;
	s->x = x;
	s->reader = (struct reader){.x = x, .root_fd = root_fd};
	s->pack_fd = -1;
	snprintf(s->base_name, sizeof(s->base_name), "%" PRIu64 "-%" PRIu64, epoch, seq);
	random_bytes(random, sizeof(random));
	hex_encode(random, sizeof(random), s->attempt);
	if (ids_load(x->v->cache.dir_fd, root_fd, &s->reader.ids) == 0)
		return s;
	stage_free(s);
	return NULL;
}

static void job_free(struct stage *s, struct job *j)
{
	if (j->large.e)
		reading_free(&s->reader, &j->large);
	free(j);
}

void stage_free(struct stage *s)
{
	if (!s)
		return;
	while (s->ahead) {
		struct job *j = s->ahead;

		s->ahead = j->next;
		job_free(s, j);
	}
	if (s->pack_fd >= 0)
		close(s->pack_fd);
	hardlinks_free(&s->links);
	reader_free(&s->reader);
	free(s->reader.ids);
	free(s);
}

static void no_memory(struct stage *s)
{
	transfer_fail(s->x, ENOMEM, "out of memory");
}

static struct job *new_job(struct stage *s, const char *object)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct job *j = calloc(1, sizeof(*j));
	const char *name = arena_printf(&a, "commits/%s", object);
	const char *key = name ? volume_key_meta(&a, s->x->v, name) : NULL;

	if (!j || !key) {
		free(j);
		no_memory(s);
		return NULL;
	}
	snprintf(j->key, sizeof(j->key), "%s", key);
	store_op_init(&j->op, STORE_PUT, j->key);
	j->op.user = j;
	return j;
}

static bool has_same_bytes(const struct entry *old, const struct entry *e)
{
	return old && old->type == ENTRY_FILE && old->object && old->size == e->size &&
	       !memcmp(old->sha256, e->sha256, SHA256_LEN);
}

/* The last commit's file of one of the entry's names, if it has the same bytes. */
static const struct entry *find_old(const struct stage *s, const struct entry *e)
{
	const struct entry *old = manifest_find(s->base, e->path);
	size_t at, end;

	if (has_same_bytes(old, e) || !e->link)
		return has_same_bytes(old, e) ? old : NULL;
	at = hardlinks_find(&s->links, e->link);
	end = at < s->links.n ? hardlinks_end(&s->links, at) : at;
	for (; at < end; at++) {
		old = manifest_find(s->base, s->links.entries[at]->path);
		if (has_same_bytes(old, e))
			return old;
	}
	return NULL;
}

/* The bytes are those of the last commit's file: nothing is to be sent. */
static bool take_old(struct stage *s, struct entry *e)
{
	const struct entry *old;

	e->flags &= (uint8_t)~ENTRY_CHANGED;
	/* First: no record may name an object for it, and one of a pack may have been emptied since the scan. */
	if (e->size == 0) {
		e->object = NULL;
		e->offset = 0;
		return true;
	}
	if (e->flags & ENTRY_REPACK)
		return false;
	old = find_old(s, e);
	if (!old)
		return false;
	e->object = old->object;
	e->offset = old->offset;
	if (!strcmp(old->path, e->path))
		e->flags |= old->flags & ENTRY_REPUBLISH;
	return true;
}

static void place(struct stage *s, struct entry *e, const char *object, uint64_t offset)
{
	e->object = manifest_object(s->m, object);
	e->offset = offset;
	if (!e->object)
		no_memory(s);
}

/* --- packs and large files ---------------------------------------------------------- */

static int open_pack(struct stage *s)
{
	if (s->pack_fd >= 0)
		return 0;
	s->pack_fd = tree_tmpfile(s->x->v);
	s->pack_size = 0;
	snprintf(s->pack_name, sizeof(s->pack_name), "%s/pack-%u-%s", s->base_name, s->n_packs++, s->attempt);
	if (s->pack_fd < 0)
		transfer_fail_cache(s->x, s->pack_fd, "can't make a file for a pack");
	return s->x->failed;
}

/* Hands the pack over to its request. */
static struct store_op *send_pack(struct stage *s)
{
	struct job *j = new_job(s, s->pack_name);

	if (!j)
		return NULL;
	j->op.in_fd = s->pack_fd;
	j->op.size = s->pack_size;
	s->pack_fd = -1;
	return &j->op;
}

static struct store_op *stage_small(struct stage *s, struct entry *e)
{
	if (open_pack(s) < 0 || reader_copy(&s->reader, e, s->pack_fd, s->pack_size) < 0 || take_old(s, e))
		return NULL;
	place(s, e, s->pack_name, s->pack_size);
	s->pack_size += e->size;
	return s->pack_size >= PACK_SIZE ? send_pack(s) : NULL;
}

/*
 * Hashed first, so that the store can check what it gets; looked at again when it was sent. Sent again, it gets
 * another name: the bytes are others, and the first request may land once more.
 */
static void begin_large(struct stage *s, struct entry *e, unsigned attempts)
{
	char object[OBJECT_MAX];
	struct job **slot = &s->ahead, *j;

	snprintf(object, sizeof(object), "%s/large-%u-%s", s->base_name, s->n_large++, s->attempt);
	j = new_job(s, object);
	if (!j)
		return;
	snprintf(j->object, sizeof(j->object), "%s", object);
	j->attempts = attempts;
	if (reader_begin(&s->reader, e, &j->large) < 0) {
		free(j);
		return;
	}
	while (*slot)
		slot = &(*slot)->next;
	*slot = j;
	s->n_ahead++;
}

/* NULL: nothing is to be sent of it. */
static struct store_op *send_large(struct stage *s, struct job *j)
{
	struct entry *e = j->large.e;

	if (reader_end(&s->reader, &j->large) < 0 || take_old(s, e)) {
		job_free(s, j);
		return NULL;
	}
	place(s, e, j->object, 0);
	hex_encode(e->sha256, SHA256_LEN, j->sha256);
	j->op.in_fd = j->large.fd;
	j->op.in_offset = j->large.offset;
	j->op.size = e->size;
	j->op.sha256 = j->sha256;
	j->op.pieces = (const unsigned char(*)[SHA256_LEN])j->large.pieces;
	return &j->op;
}

/* One that is hashed, if any is; with `wait`, else the first one. */
static struct job *take_ahead(struct stage *s, bool wait)
{
	struct job **slot = &s->ahead, *j;

	while (*slot && !reader_is_done(&s->reader, &(*slot)->large))
		slot = &(*slot)->next;
	if (!*slot && wait)
		slot = &s->ahead;
	j = *slot;
	if (j) {
		*slot = j->next;
		s->n_ahead--;
	}
	return j;
}

bool stage_reads(const struct entry *e)
{
	return e->type == ENTRY_FILE && !hardlink_follows(e) &&
	       ((e->flags & (ENTRY_CHANGED | ENTRY_REPACK)) || (!e->object && e->size > 0));
}

/* The next entries: small ones go into packs, the first that is full is sent; large ones begin to be hashed. */
static struct store_op *look_on(struct stage *s)
{
	struct store_op *op = NULL;

	while (!op && s->n_ahead < AHEAD && s->next < s->m->n && transfer_go_on(s->x)) {
		struct entry *e = &s->m->entries[s->next++];

		if (!stage_reads(e))
			continue;
		if (e->size > PACK_FILE_MAX)
			begin_large(s, e, 0);
		else
			op = stage_small(s, e);
	}
	return op;
}

static struct store_op *next(void *ctx)
{
	struct stage *s = ctx;
	struct store_op *op = look_on(s);

	while (!op && s->ahead && transfer_go_on(s->x)) {
		struct job *j = take_ahead(s, s->under_way == 0);

		if (!j)
			return &store_later;
		op = send_large(s, j);
		if (!op)
			op = look_on(s);
	}
	s->under_way += op != NULL;
	return op;
}

/* Has a large file changed since it was read? */
static bool has_moved(const struct stage *s, const struct job *j)
{
	const struct entry *e = j->large.e;
	struct stat st;

	return e && !s->reader.snapshot && fstat(j->op.in_fd, &st) == 0 &&
	       ((uint64_t)st.st_size != e->size || entry_time_ns(&st.st_ctim) != e->ctime_ns);
}

static void done(void *ctx, struct store_op *op)
{
	struct stage *s = ctx;
	struct job *j = op->user;

	s->under_way--;
	s->x->report->data_requests++;
	if (op->result == STORE_OK)
		s->x->report->bytes_out += op->size;
	if ((op->result == STORE_OK || op->result == STORE_CORRUPT) && s->x->failed == 0 && has_moved(s, j)) {
		if (j->attempts + 1 < READ_ATTEMPTS)
			begin_large(s, j->large.e, j->attempts + 1);
		else
			reader_unsteady(&s->reader, j->large.e);
	} else if (op->result != STORE_OK) {
		transfer_fail_op(s->x, op);
	}
	if (!j->large.e)
		close(op->in_fd);
	job_free(s, j);
}

/* Of the names that were not read, whether their plain objects are missing. */
static void note_republish(struct stage *s)
{
	for (size_t i = 0; i < s->links.n; i++) {
		struct entry *e = s->links.entries[i];
		const struct entry *old = hardlink_follows(e) ? manifest_find(s->base, e->path) : NULL;

		if (old)
			e->flags |= old->flags & ENTRY_REPUBLISH;
	}
}

void stage_from_snapshot(struct stage *s, const struct snapshot *snapshot)
{
	s->reader.snapshot = snapshot;
}

int stage_files(struct stage *s, const struct manifest *base, struct manifest *m)
{
	s->base = base;
	s->m = s->reader.m = m;
	s->next = 0;
	if (hardlinks_collect(m, &s->links) < 0) {
		no_memory(s);
		return s->x->failed;
	}
	do
		store_run(s->x->v->store, next, done, s);
	while (s->ahead && s->x->failed == 0);
	note_republish(s);
	hardlinks_spread(&s->links);
	manifest_sort(m);
	return s->x->failed;
}

/* --- the record ------------------------------------------------------------------------ */

struct last {
	struct stage *s;
	struct store_op *ops[2];
	size_t n, next;
};

static struct store_op *next_last(void *ctx)
{
	struct last *l = ctx;

	return l->next < l->n && transfer_go_on(l->s->x) ? l->ops[l->next++] : NULL;
}

static void done_last(void *ctx, struct store_op *op)
{
	struct last *l = ctx;

	l->s->x->report->data_requests++;
	if (op->result == STORE_OK)
		l->s->x->report->bytes_out += op->size;
	else
		transfer_fail_op(l->s->x, op);
}

static int send_last(struct stage *s, const struct head_commit *c)
{
	bool together = c->object == s->pack_name;
	struct job *jobs[2] = {NULL, NULL};
	struct last l = {.s = s};

	jobs[0] = new_job(s, c->object);
	if (jobs[0]) {
		jobs[0]->op.in_fd = s->pack_fd;
		jobs[0]->op.in_offset = together ? 0 : (off_t)s->pack_size;
		jobs[0]->op.size = c->length + (together ? s->pack_size : 0);
		l.ops[l.n++] = &jobs[0]->op;
	}
	if (jobs[0] && !together && s->pack_size > 0) {
		jobs[1] = new_job(s, s->pack_name);
		if (jobs[1]) {
			jobs[1]->op.in_fd = s->pack_fd;
			jobs[1]->op.size = s->pack_size;
			l.ops[l.n++] = &jobs[1]->op;
		}
	}
	if (s->x->failed == 0)
		store_run(s->x->v->store, next_last, done_last, &l);
	free(jobs[0]);
	free(jobs[1]);
	return s->x->failed;
}

/* Writes it behind the pack in the same temporary file, wherever it is sent to. last: as of record_write. */
static int write_record(struct stage *s, const struct manifest *last, uint64_t *ret_length)
{
	_cleanup_(stream_out_close) struct stream_out out = {.fd = -1};
	int r;

	if (stream_out_open(&out, s->pack_fd, (off_t)s->pack_size) < 0) {
		no_memory(s);
		return s->x->failed;
	}
	r = record_write(&out, s->m, last, s->x->err);
	if (r < 0)
		return s->x->failed = r;
	r = stream_finish(&out, s->record_sha256);
	if (r < 0)
		transfer_fail_cache(s->x, r, "the record can't be written");
	*ret_length = out.written;
	return s->x->failed;
}

/* Do the deltas, with one more of this length, pay beside their base? A reader fetches all of them. */
static bool deltas_pay(const struct manifest *last, uint64_t length)
{
	for (size_t i = 1; i < last->n_chain; i++)
		length += last->chain[i].length;
	return length <= last->chain[0].length / 4;
}

int stage_record(struct stage *s, bool exact, struct head_commit *ret)
{
	const struct manifest *last =
	    exact && s->base->n_chain > 0 && s->base->n_chain < RECORD_CHAIN_MAX ? s->base : NULL;
	uint64_t length = 0;

	/* A record that no reader takes would be the end of the volume. */
	if (open_pack(s) == 0)
		s->x->failed = manifest_check(s->m, s->x->err);
	if (last && s->x->failed == 0 && write_record(s, last, &length) == 0 && !deltas_pay(last, length))
		last = NULL;
	if (!last && s->x->failed == 0)
		write_record(s, NULL, &length);
	if (s->x->failed < 0)
		return s->x->failed;
	snprintf(s->record_name, sizeof(s->record_name), "%s/record-%s", s->base_name, s->attempt);
	*ret =
	    (struct head_commit){.seq = s->m->seq, .epoch = s->m->epoch, .sha256 = s->record_sha256, .length = length};
	if (s->pack_size > 0 && s->pack_size + length <= PACK_WITH_RECORD_MAX) {
		ret->object = s->pack_name;
		ret->offset = s->pack_size;
	} else {
		ret->object = s->record_name;
	}
	if (manifest_chain(s->m, last, ret) < 0) {
		no_memory(s);
		return s->x->failed;
	}
	return send_last(s, ret);
}
