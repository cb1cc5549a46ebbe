/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "hooks/store/store_fs.h"

#define COPY_CHUNK (128 * 1024)
#define RANGE_CHUNK (1u << 30)

/* copy_file_range as far as this pair of files can. Bytes copied, never an error: what is left is copied by hand. */
static uint64_t copy_in_kernel(int in, off_t in_offset, int out, off_t out_offset, uint64_t len)
{
	uint64_t done = 0;

	while (done < len) {
		size_t want = len - done < RANGE_CHUNK ? (size_t)(len - done) : RANGE_CHUNK;
		ssize_t n = copy_file_range(in, &in_offset, out, &out_offset, want, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (uint64_t)n;
	}
	return done;
}

/* All of a range, holes too. */
static int64_t copy_bytes(int in, off_t in_offset, int out, off_t out_offset, uint64_t len)
{
	_cleanup_free_ char *buf = NULL;
	uint64_t done = copy_in_kernel(in, in_offset, out, out_offset, len);

	if (done == len)
		return (int64_t)done;
	buf = malloc(COPY_CHUNK);
	if (!buf)
		return -ENOMEM;
	while (done < len) {
		size_t want = len - done < COPY_CHUNK ? (size_t)(len - done) : COPY_CHUNK;
		ssize_t n = pread(in, buf, want, in_offset + (off_t)done);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		r = pwrite_all(out, buf, (size_t)n, out_offset + (off_t)done);
		if (r < 0)
			return r;
		done += (uint64_t)n;
	}
	return (int64_t)done;
}

/* The data of a range, whose holes stay holes: what is behind the end of `out` reads as zeros. */
static int64_t copy_data(int in, off_t in_offset, int out, off_t out_offset, uint64_t len)
{
	const off_t end = in_offset + (off_t)len;
	off_t at = in_offset;

	while (at < end) {
		off_t data = lseek(in, at, SEEK_DATA), hole = data < 0 ? -1 : lseek(in, data, SEEK_HOLE);
		int64_t n;

		if (data >= end || (data < 0 && errno == ENXIO))
			break;
		/* It changes meanwhile: its reader finds that out. */
		if (hole <= data)
			data = at, hole = end;
		if (hole > end)
			hole = end;
		n = copy_bytes(in, data, out, out_offset + (data - in_offset), (uint64_t)(hole - data));
		if (n < 0)
			return n;
		if (n < hole - data)
			return data - in_offset + n;
		at = hole;
	}
	return ftruncate(out, out_offset + (off_t)len) < 0 ? -errno : (int64_t)len;
}

int64_t fs_copy_range(int in, off_t in_offset, int out, off_t out_offset, uint64_t len)
{
	struct stat from, to;
	off_t hole;

	if (fstat(in, &from) < 0 || fstat(out, &to) < 0)
		return -errno;
	if (in_offset == 0 && out_offset == 0 && (uint64_t)from.st_size == len && len > 0 &&
	    ioctl(out, FICLONE, in) == 0)
		return (int64_t)len;
	if (out_offset < to.st_size || in_offset >= from.st_size || (uint64_t)(from.st_size - in_offset) < len)
		return copy_bytes(in, in_offset, out, out_offset, len);
	hole = lseek(in, in_offset, SEEK_HOLE);
	if (hole < 0 || (uint64_t)(hole - in_offset) >= len)
		return copy_bytes(in, in_offset, out, out_offset, len);
	return copy_data(in, in_offset, out, out_offset, len);
}
