/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "hooks/engine/pack.h"
#include "hooks/engine/scan.h"
#include "hooks/engine/sparse.h"
#include "hooks/engine/tree.h"
#include "hooks/engine/xattrs.h"

/* A reflink writes the file's dirty pages to the disk first: for so little, copying is faster. */
#define SMALL 65536
#define COPY_PIECE (8u << 20)

struct taking {
	struct snapshot *s;
	struct transfer *x;
	const struct snapshot_limits *limits;
	struct xattrs_lost warned;
	uint64_t align;
	bool no_reflink; /* the file system has said so */
};

static bool too_late(const struct taking *t)
{
	return clock_boottime_ns() >= t->limits->deadline_ns;
}

/* Both ends on block boundaries, but for the file's own end (ioctl_ficlonerange(2)). */
static int clone_file(struct taking *t, int fd, uint64_t size, uint64_t offset)
{
	struct file_clone_range range = {.src_fd = fd, .dest_offset = offset};

	if (t->no_reflink)
		return -EOPNOTSUPP;
	if (ioctl(t->s->fd, FICLONERANGE, &range) == 0) {
		t->s->cloned += size;
		return 0;
	}
	if (errno == ENOSPC || errno == EIO)
		return -errno;
	t->no_reflink = true;
	return -EOPNOTSUPP;
}

static int copy_range(struct taking *t, int fd, uint64_t from, uint64_t to, uint64_t offset)
{
	while (from < to) {
		size_t n = to - from < COPY_PIECE ? (size_t)(to - from) : COPY_PIECE;
		off_t in = (off_t)from, out = (off_t)(offset + from);
		ssize_t done;

		if (n > t->limits->copy_bytes - t->s->copied)
			return -EFBIG;
		if (too_late(t))
			return -ETIME;
		done = copy_file_range(fd, &in, t->s->fd, &out, n, 0);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? -errno : -ESTALE; /* it is shorter than it was */
		from += (uint64_t)done;
		t->s->copied += (uint64_t)done;
	}
	return 0;
}

/* Without its holes: they take time and count for nothing. */
static int copy_file(struct taking *t, int fd, uint64_t size, uint64_t offset)
{
	uint64_t at = 0;
	int r = 0;

	while (at < size && r == 0) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			break; /* only a hole is left */
		if (data < 0)
			data = (off_t)at;
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole <= data || (uint64_t)hole > size)
			hole = (off_t)size;
		if ((uint64_t)data < size)
			r = copy_range(t, fd, (uint64_t)data, (uint64_t)hole, offset);
		at = (uint64_t)hole;
	}
	return r;
}

static int take_bytes(struct taking *t, int fd, uint64_t size, uint64_t offset)
{
	bool small = size <= SMALL && size <= t->limits->copy_bytes - t->s->copied;
	int r = small ? -EOPNOTSUPP : clone_file(t, fd, size, offset);

	return r == -EOPNOTSUPP ? copy_file(t, fd, size, offset) : r;
}

static int take_file(struct taking *t, int root_fd, struct manifest *m, struct entry *e)
{
	_cleanup_close_ int fd = -1;
	struct xattrs_lost lost = {0};
	struct stat st;
	int r;

	fd = tree_open_file(root_fd, e->path, &st);
	if (fd < 0)
		return fd;
	/* The scan was a moment ago, and everybody is frozen. */
	if (st.st_ino != e->ino || (uint64_t)st.st_size != e->size || entry_time_ns(&st.st_ctim) != e->ctime_ns)
		return -ESTALE;
	r = xattrs_read(fd, &m->arena, &e->xattrs, &lost);
	report_lost(t->x->report, &lost, &t->warned, e->path);
	if (r == 0)
		r = take_bytes(t, fd, e->size, t->s->end);
	e->flags &= (uint8_t)~ENTRY_SPARSE;
	if (sparse_has_holes(fd, e->size))
		e->flags |= ENTRY_SPARSE;
	e->object = NULL;
	e->offset = t->s->end;
	t->s->end += (e->size + t->align - 1) / t->align * t->align;
	return r;
}

static void failed(struct taking *t, int r, const struct entry *e)
{
	struct error why = ERROR_INIT;

	switch (r) {
	case -EFBIG:
		transfer_fail(
		    t->x, EFBIG,
		    "more than %" PRIu64 " bytes changed, which is what may be copied while the container is frozen "
		    "(sync.max_copy_bytes); a cache on a file system with reflinks (xfs, btrfs) copies nothing",
		    t->limits->copy_bytes);
		return;
	case -ETIME:
		transfer_fail(t->x, ETIME,
			      "the container would have been frozen for longer than it may be (sync.max_frozen)");
		return;
	case -ENOSPC:
		transfer_fail(t->x, ENOSPC, "no room in the cache for \"%.300s\"; make room on its disk", e->path);
		return;
	case -ESTALE:
		transfer_fail(t->x, EBUSY,
			      "\"%.300s\" changed though the container is frozen; something else writes to the volume",
			      e->path);
		return;
	default:
		tree_error(&why, r, "\"%.300s\" can't be read", e->path);
		transfer_fail(t->x, -r, "%s", why.msg);
	}
}

int snapshot_take(struct snapshot *s, struct transfer *x, int root_fd, const struct snapshot_limits *limits,
		  struct manifest *m)
{
	struct taking t = {.s = s, .x = x, .limits = limits, .align = 4096};
	struct statvfs fs;
	int r = 0;

	*s = SNAPSHOT_INIT;
	s->fd = tree_tmpfile(x->v);
	if (s->fd < 0) {
		transfer_fail_cache(x, s->fd, "can't make a file for what changed");
		return x->failed;
	}
	if (fstatvfs(s->fd, &fs) == 0 && fs.f_bsize > t.align)
		t.align = fs.f_bsize;
	for (size_t i = 0; i < m->n && r == 0; i++) {
		struct entry *e = &m->entries[i];

		if (!stage_reads(e))
			continue;
		r = too_late(&t) ? -ETIME : take_file(&t, root_fd, m, e);
		if (r < 0)
			failed(&t, r, e);
	}
	/* A file's last hole is in it, too. */
	if (r == 0 && ftruncate(s->fd, (off_t)s->end) < 0)
		transfer_fail_cache(x, errno, "can't make a file for what changed");
	return x->failed;
}

void snapshot_close(struct snapshot *s)
{
	cleanup_close(&s->fd);
	*s = SNAPSHOT_INIT;
}
