/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/pack_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "hooks/engine/index.h"
#include "hooks/engine/pack.h"
#include "hooks/engine/scan.h"
#include "hooks/engine/sparse.h"
#include "hooks/engine/tree.h"

#define COPY_BUFFER 65536
#define PIECES_MAX 10000 /* with more, a store takes larger ones */

void reader_free(struct reader *r)
{
	hashing_free(r->hashing);
	sha256_free(r->hash);
	free(r->buffer);
}

static bool same_stat(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_ino == b->st_ino && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void set_from_stat(const struct reader *r, struct entry *e, const struct stat *st)
{
	e->size = (uint64_t)st->st_size;
	e->mode = st->st_mode & 01777;
	e->uid = ids_uid_from_disk(r->ids, st->st_uid);
	e->gid = ids_gid_from_disk(r->ids, st->st_gid);
	e->mtime_ns = entry_time_ns(&st->st_mtim);
	index_set_stat(e, st);
}

void reader_unsteady(struct reader *r, const struct entry *e)
{
	transfer_fail(r->x, EBUSY, "\"%.300s\" changed each time it was read; something still writes to the volume",
		      e->path);
}

static int read_failed(struct reader *r, int code, const struct entry *e)
{
	struct error why = ERROR_INIT;

	if (code == -ESTALE || code == -EFBIG) {
		reader_unsteady(r, e);
	} else if (code == -ENOSPC) {
		transfer_fail(r->x, ENOSPC, "no room in the cache to stage \"%.300s\"; make room on its disk", e->path);
	} else {
		tree_error(&why, code, "\"%.300s\" can't be read", e->path);
		transfer_fail(r->x, -code, "%s", why.msg);
	}
	return code;
}

/* --- in one go ----------------------------------------------------------------------- */

/* Most runs end without a change, and need neither. */
static int get_ready(struct reader *r)
{
	if (!r->buffer)
		r->buffer = malloc(COPY_BUFFER);
	if (!r->hash)
		r->hash = sha256_new();
	return r->buffer && r->hash ? 0 : -ENOMEM;
}

/* Hashes size bytes from `from` on, and copies them to out at offset. -ESTALE when it ends early. */
static int read_file(struct reader *r, int fd, uint64_t from, uint64_t size, int out, uint64_t offset,
		     unsigned char sha256[SHA256_LEN])
{
	uint64_t done = 0, hole = 0, data = 0; /* what is known to lie ahead */
	int rc = get_ready(r);

	while (done < size && rc == 0) {
		uint64_t *ahead;
		size_t n;

		if (hole == 0 && data == 0)
			hole = hole_at(fd, (off_t)(from + done), size - done, &data);
		ahead = hole > 0 ? &hole : &data;
		n = *ahead < COPY_BUFFER ? (size_t)*ahead : COPY_BUFFER;
		*ahead -= n;
		if (ahead == &hole)
			memset(r->buffer, 0, n);
		else
			rc = pread_full(fd, r->buffer, n, (off_t)(from + done));
		if (rc == 0)
			sha256_update(r->hash, r->buffer, n);
		if (rc == 0)
			rc = pwrite_all(out, r->buffer, n, (off_t)(offset + done));
		done += n;
	}
	if (r->hash)
		entry_hash_final(r->hash, sha256);
	return rc == -ENODATA ? -ESTALE : rc;
}

/* What belongs to the file beside its stat and its bytes. */
static int read_rest(struct reader *r, int fd, struct entry *e)
{
	struct xattrs_lost lost = {0};
	int rc = xattrs_read(fd, &r->m->arena, &e->xattrs, &lost);

	report_lost(r->x->report, &lost, &r->warned, e->path);
	e->flags &= (uint8_t)~ENTRY_SPARSE;
	if (sparse_has_holes(fd, e->size))
		e->flags |= ENTRY_SPARSE;
	return rc;
}

/* Opens it and looks at all but its bytes. A descriptor; -ESTALE: it is another file by now. */
static int open_file(struct reader *r, struct entry *e, struct stat *ret_before)
{
	_cleanup_close_ int fd = tree_open_file(r->root_fd, e->path, ret_before);
	int rc;

	if (fd < 0)
		return fd;
	/* Its other names are taken to be what this one is. */
	if (e->link && ret_before->st_ino != e->ino)
		return -ESTALE;
	e->size = (uint64_t)ret_before->st_size;
	rc = read_rest(r, fd, e);
	return rc < 0 ? rc : TAKE_FD(fd);
}

/* After its bytes were read. What was found is the entry's then. -ESTALE: it changed meanwhile. */
static int look_again(struct reader *r, struct entry *e, int fd, const struct stat *before)
{
	struct stat after;

	if (fstat(fd, &after) < 0)
		return -errno;
	if (!same_stat(before, &after))
		return -ESTALE;
	set_from_stat(r, e, &after);
	return 0;
}

static int copy_once(struct reader *r, struct entry *e, int out, uint64_t offset)
{
	_cleanup_close_ int fd = -1;
	struct stat before;
	int rc;

	/* What was taken aside does not change. */
	if (r->snapshot)
		return read_file(r, r->snapshot->fd, e->offset, e->size, out, offset, e->sha256);
	fd = open_file(r, e, &before);
	if (fd < 0)
		return fd;
	/* A small file that grew must not blow up the pack: it is read as a large one at the next attempt. */
	if (before.st_size > PACK_FILE_MAX)
		return -EFBIG;
	rc = read_file(r, fd, 0, e->size, out, offset, e->sha256);
	return rc < 0 ? rc : look_again(r, e, fd, &before);
}

int reader_copy(struct reader *r, struct entry *e, int out, uint64_t offset)
{
	int rc = -ESTALE;

	/* It may be found to be another one. */
	e->flags &= (uint8_t)~ENTRY_TAKEN;
	for (int i = 0; i < READ_ATTEMPTS && rc == -ESTALE; i++)
		rc = copy_once(r, e, out, offset);
	return rc < 0 ? read_failed(r, rc, e) : 0;
}

/* --- by threads ---------------------------------------------------------------------- */

static int open_reading(struct reader *r, struct reading *g)
{
	if (!r->snapshot)
		return open_file(r, g->e, &g->before);
	g->offset = (off_t)g->e->offset;
	g->fd = fcntl(r->snapshot->fd, F_DUPFD_CLOEXEC, 0);
	return g->fd < 0 ? -errno : g->fd;
}

static int begin_hash(struct reader *r, struct reading *g)
{
	const struct store *s = r->x->v->store;
	uint64_t n = s->piece > 0 && g->e->size > s->whole_max ? (g->e->size + s->piece - 1) / s->piece : 0;

	if (!r->hashing)
		r->hashing = hashing_new();
	g->hashed = r->hashing ? hashing_begin(r->hashing, g->fd, g->offset) : NULL;
	if (!g->hashed)
		return -ENOMEM;
	if (n > 0 && n < PIECES_MAX) {
		g->pieces = calloc(n, sizeof(*g->pieces));
		if (!g->pieces || hashing_pieces(g->hashed, s->piece, g->pieces) < 0)
			return -ENOMEM;
	}
	hashing_reach(r->hashing, g->hashed, g->e->size);
	return 0;
}

static int begin_once(struct reader *r, struct reading *g)
{
	*g = (struct reading){.e = g->e, .fd = -1};
	g->fd = open_reading(r, g);
	return g->fd < 0 ? g->fd : begin_hash(r, g);
}

static int end_once(struct reader *r, struct reading *g)
{
	struct hashed *hashed = TAKE_PTR(g->hashed);
	int rc = hashing_end(r->hashing, hashed, g->e->sha256);

	if (rc < 0)
		return rc == -ENODATA ? -ESTALE : rc;
	return r->snapshot ? 0 : look_again(r, g->e, g->fd, &g->before);
}

void reading_free(struct reader *r, struct reading *g)
{
	if (g->hashed)
		hashing_end(r->hashing, TAKE_PTR(g->hashed), NULL);
	cleanup_close(&g->fd);
	free(TAKE_PTR(g->pieces));
}

int reader_begin(struct reader *r, struct entry *e, struct reading *ret)
{
	int rc = -ESTALE;

	e->flags &= (uint8_t)~ENTRY_TAKEN;
	*ret = (struct reading){.e = e, .fd = -1};
	for (int i = 0; i < READ_ATTEMPTS && rc == -ESTALE; i++) {
		reading_free(r, ret);
		rc = begin_once(r, ret);
	}
	if (rc >= 0)
		return 0;
	reading_free(r, ret);
	return read_failed(r, rc, e);
}

bool reader_is_done(struct reader *r, struct reading *g)
{
	return hashing_is_done(r->hashing, g->hashed);
}

int reader_end(struct reader *r, struct reading *g)
{
	int rc = end_once(r, g);

	for (int i = 1; i < READ_ATTEMPTS && rc == -ESTALE; i++) {
		reading_free(r, g);
		rc = begin_once(r, g);
		if (rc == 0)
			rc = end_once(r, g);
	}
	return rc < 0 ? read_failed(r, rc, g->e) : 0;
}
