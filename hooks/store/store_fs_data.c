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

int64_t fs_copy_range(int in, off_t in_offset, int out, off_t out_offset, uint64_t len)
{
	_cleanup_free_ char *buf = NULL;
	uint64_t done;
	struct stat st;

	if (in_offset == 0 && out_offset == 0 && fstat(in, &st) == 0 && (uint64_t)st.st_size == len && len > 0 &&
	    ioctl(out, FICLONE, in) == 0)
		return (int64_t)len;
	done = copy_in_kernel(in, in_offset, out, out_offset, len);
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
