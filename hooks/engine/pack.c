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
#include "hooks/engine/index.h"
#include "hooks/engine/record.h"
#include "hooks/engine/scan.h"
#include "hooks/engine/snapshot.h"
#include "hooks/engine/sparse.h"
#include "hooks/engine/tree.h"
#include "hooks/engine/xattrs.h"

#define COPY_BUFFER 65536
#define READ_ATTEMPTS 3
#define OBJECT_MAX 96

struct stage {
	struct transfer *x;
	int root_fd;
	const struct snapshot *snapshot; /* NULL: files are read from the tree */
	char base_name[64], attempt[9];
	const struct manifest *base;
	struct manifest *m;
	struct hardlinks links; /* of m */
	struct xattrs_lost warned;
	struct ids *ids;  /* of the tree */
	size_t next;	  /* entry to look at */
	struct job *redo; /* large files that changed while they were sent */
	unsigned n_packs, n_large;
	int pack_fd; /* of the pack being filled, -1: none */
	uint64_t pack_size;
	char pack_name[OBJECT_MAX], record_name[OBJECT_MAX], record_sha256[SHA256_HEX_MAX];
	struct sha256 *hash;
	char *buffer;
};

/* An object on its way. */
struct job {
	struct store_op op;
	char key[STORE_KEY_MAX + 1], sha256[SHA256_HEX_MAX];
	struct entry *large; /* NULL: a pack or a record */
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
	s->root_fd = root_fd;
	s->pack_fd = -1;
	snprintf(s->base_name, sizeof(s->base_name), "%" PRIu64 "-%" PRIu64, epoch, seq);
	random_bytes(random, sizeof(random));
	hex_encode(random, sizeof(random), s->attempt);
	if (ids_load(x->v->cache.dir_fd, root_fd, &s->ids) == 0)
		return s;
	stage_free(s);
	return NULL;
}

void stage_free(struct stage *s)
{
	if (!s)
		return;
	while (s->redo) {
		struct job *j = s->redo;

		s->redo = j->next;
		free(j);
	}
	if (s->pack_fd >= 0)
		close(s->pack_fd);
	hardlinks_free(&s->links);
	sha256_free(s->hash);
	free(s->buffer);
	free(s->ids);
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

/* --- reading files --------------------------------------------------------------- */

static bool same_stat(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_ino == b->st_ino && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void set_from_stat(const struct stage *s, struct entry *e, const struct stat *st)
{
	e->size = (uint64_t)st->st_size;
	e->mode = st->st_mode & 01777;
	e->uid = ids_uid_from_disk(s->ids, st->st_uid);
	e->gid = ids_gid_from_disk(s->ids, st->st_gid);
	e->mtime_ns = entry_time_ns(&st->st_mtim);
	index_set_stat(e, st);
}

/* Most runs end without a change, and need neither. */
static int get_ready(struct stage *s)
{
	if (!s->buffer)
		s->buffer = malloc(COPY_BUFFER);
	if (!s->hash)
		s->hash = sha256_new();
	return s->buffer && s->hash ? 0 : -ENOMEM;
}

/* Hashes size bytes from `from` on, and copies them to out at offset (out -1: not). -ESTALE when it ends early. */
static int read_file(struct stage *s, int fd, uint64_t from, uint64_t size, int out, uint64_t offset,
		     unsigned char sha256[SHA256_LEN])
{
	uint64_t done = 0, hole = 0, data = 0; /* what is known to lie ahead */
	int r = get_ready(s);

	while (done < size && r == 0) {
		uint64_t *ahead;
		size_t n;

		if (hole == 0 && data == 0)
			hole = hole_at(fd, (off_t)(from + done), size - done, &data);
		ahead = hole > 0 ? &hole : &data;
		n = *ahead < COPY_BUFFER ? (size_t)*ahead : COPY_BUFFER;
		*ahead -= n;
		if (ahead == &hole)
			memset(s->buffer, 0, n);
		else
			r = pread_full(fd, s->buffer, n, (off_t)(from + done));
		if (r == 0)
			sha256_update(s->hash, s->buffer, n);
		if (r == 0 && out >= 0)
			r = pwrite_all(out, s->buffer, n, (off_t)(offset + done));
		done += n;
	}
	if (s->hash)
		entry_hash_final(s->hash, sha256);
	return r == -ENODATA ? -ESTALE : r;
}

/* What belongs to the file beside its stat and its bytes. */
static int read_rest(struct stage *s, int fd, struct entry *e)
{
	struct xattrs_lost lost = {0};
	int r = xattrs_read(fd, &s->m->arena, &e->xattrs, &lost);

	report_lost(s->x->report, &lost, &s->warned, e->path);
	e->flags &= (uint8_t)~ENTRY_SPARSE;
	if (sparse_has_holes(fd, e->size))
		e->flags |= ENTRY_SPARSE;
	return r;
}

/* What was taken aside does not change. */
static int read_snapshot(struct stage *s, struct entry *e, int out, uint64_t offset, int *ret_fd)
{
	int r = read_file(s, s->snapshot->fd, e->offset, e->size, out, offset, e->sha256), fd;

	if (r < 0 || !ret_fd)
		return r;
	fd = fcntl(s->snapshot->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/* One reading: what it found is the entry's then. -ESTALE: it changed meanwhile. */
static int read_once(struct stage *s, struct entry *e, int out, uint64_t offset, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	struct stat before, after;
	int r;

	if (s->snapshot)
		return read_snapshot(s, e, out, offset, ret_fd);
	fd = tree_open_file(s->root_fd, e->path, &before);
	if (fd < 0)
		return fd;
	/* A small file that grew must not blow up the pack: it is read as a large one at the next attempt. */
	if (out >= 0 && before.st_size > PACK_FILE_MAX)
		return -EFBIG;
	/* Its other names are taken to be what this one is. */
	if (e->link && before.st_ino != e->ino)
		return -ESTALE;
	e->size = (uint64_t)before.st_size;
	r = read_rest(s, fd, e);
	if (r < 0)
		return r;
	r = read_file(s, fd, 0, (uint64_t)before.st_size, out, offset, e->sha256);
	if (r < 0)
		return r;
	if (fstat(fd, &after) < 0)
		return -errno;
	if (!same_stat(&before, &after))
		return -ESTALE;
	set_from_stat(s, e, &after);
	if (ret_fd)
		*ret_fd = TAKE_FD(fd);
	return 0;
}

static void read_failed(struct stage *s, int r, const struct entry *e)
{
	struct error why = ERROR_INIT;

	if (r == -ESTALE || r == -EFBIG) {
		transfer_fail(s->x, EBUSY,
			      "\"%.300s\" changed each time it was read; something still writes to the volume",
			      e->path);
		return;
	}
	if (r == -ENOSPC) {
		transfer_fail(s->x, ENOSPC, "no room in the cache to stage \"%.300s\"; make room on its disk", e->path);
		return;
	}
	tree_error(&why, r, "\"%.300s\" can't be read", e->path);
	transfer_fail(s->x, -r, "%s", why.msg);
}

static int read_steadily(struct stage *s, struct entry *e, int out, uint64_t offset, int *ret_fd)
{
	int r = -ESTALE;

	/* It may be found to be another one. */
	e->flags &= (uint8_t)~ENTRY_TAKEN;
	for (int i = 0; i < READ_ATTEMPTS && r == -ESTALE; i++)
		r = read_once(s, e, out, offset, ret_fd);
	if (r < 0)
		read_failed(s, r, e);
	return r;
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
		transfer_fail(s->x, -s->pack_fd, "cache: can't make a file for a pack (error %d)", -s->pack_fd);
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
	if (open_pack(s) < 0 || read_steadily(s, e, s->pack_fd, s->pack_size, NULL) < 0 || take_old(s, e))
		return NULL;
	place(s, e, s->pack_name, s->pack_size);
	s->pack_size += e->size;
	return s->pack_size >= PACK_SIZE ? send_pack(s) : NULL;
}

/*
 * Hashed first, so that the store can check what it gets; looked at again when it was sent. Sent again, it gets
 * another name: the bytes are others, and the first request may land once more.
 */
static struct store_op *stage_large(struct stage *s, struct entry *e, unsigned attempts)
{
	char object[OBJECT_MAX];
	off_t from = s->snapshot ? (off_t)e->offset : 0;
	struct job *j;
	int fd = -1;

	if (read_steadily(s, e, -1, 0, &fd) < 0 || take_old(s, e)) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	snprintf(object, sizeof(object), "%s/large-%u-%s", s->base_name, s->n_large++, s->attempt);
	j = new_job(s, object);
	if (!j) {
		close(fd);
		return NULL;
	}
	place(s, e, object, 0);
	j->attempts = attempts;
	hex_encode(e->sha256, SHA256_LEN, j->sha256);
	j->op.in_fd = fd;
	j->op.in_offset = from;
	j->op.size = e->size;
	j->op.sha256 = j->sha256;
	j->large = e;
	return &j->op;
}

bool stage_reads(const struct entry *e)
{
	return e->type == ENTRY_FILE && !hardlink_follows(e) &&
	       ((e->flags & (ENTRY_CHANGED | ENTRY_REPACK)) || (!e->object && e->size > 0));
}

static struct store_op *next(void *ctx)
{
	struct stage *s = ctx;
	struct store_op *op = NULL;

	while (!op && s->redo && transfer_go_on(s->x)) {
		struct job *j = s->redo;

		s->redo = j->next;
		op = stage_large(s, j->large, j->attempts);
		free(j);
	}
	while (!op && s->next < s->m->n && transfer_go_on(s->x)) {
		struct entry *e = &s->m->entries[s->next++];

		if (!stage_reads(e))
			continue;
		op = e->size > PACK_FILE_MAX ? stage_large(s, e, 0) : stage_small(s, e);
	}
	return op;
}

static void done(void *ctx, struct store_op *op)
{
	struct stage *s = ctx;
	struct job *j = op->user;
	struct stat st;

	s->x->report->data_requests++;
	if (op->result == STORE_OK)
		s->x->report->bytes_out += op->size;
	if (j->large && !s->snapshot && (op->result == STORE_OK || op->result == STORE_CORRUPT) && s->x->failed == 0 &&
	    fstat(op->in_fd, &st) == 0 &&
	    ((uint64_t)st.st_size != j->large->size || entry_time_ns(&st.st_ctim) != j->large->ctime_ns)) {
		close(op->in_fd);
		if (++j->attempts < READ_ATTEMPTS) {
			j->next = s->redo;
			s->redo = j;
			return;
		}
		read_failed(s, -ESTALE, j->large);
	} else {
		if (op->result != STORE_OK)
			transfer_fail_op(s->x, op);
		close(op->in_fd);
	}
	free(j);
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
	s->snapshot = snapshot;
}

int stage_files(struct stage *s, const struct manifest *base, struct manifest *m)
{
	s->base = base;
	s->m = m;
	s->next = 0;
	if (hardlinks_collect(m, &s->links) < 0) {
		no_memory(s);
		return s->x->failed;
	}
	do
		store_run(s->x->v->store, next, done, s);
	while (s->redo && s->x->failed == 0);
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
		transfer_fail(s->x, -r, "cache: the record can't be written (error %d)", -r);
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
