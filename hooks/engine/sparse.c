/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/sparse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

#define BLOCK 4096 /* of usual file systems; a larger one keeps blocks that are zeros in part */
#define PUNCH_BUFFER (256 * 1024)

bool sparse_has_holes(int fd, uint64_t size)
{
	off_t hole = size > 0 ? lseek(fd, 0, SEEK_HOLE) : -1;

	return hole >= 0 && (uint64_t)hole < size;
}

static bool is_zero(const char *data, size_t len)
{
	return data[0] == '\0' && !memcmp(data, data + 1, len - 1);
}

/* The length of what is zeros, or is not, from here on: whole blocks of the file, but at the ends of the data. */
static size_t run_length(const char *data, size_t len, off_t offset, bool *ret_zero)
{
	size_t run = 0;

	while (run < len) {
		size_t n = BLOCK - (size_t)((uint64_t)offset + run) % BLOCK;
		bool zero;

		if (n > len - run)
			n = len - run;
		zero = is_zero(data + run, n);
		if (run == 0)
			*ret_zero = zero;
		else if (zero != *ret_zero)
			break;
		run += n;
	}
	return run;
}

int sparse_write(int fd, const char *data, size_t len, off_t offset)
{
	while (len > 0) {
		bool zero;
		size_t n = run_length(data, len, offset, &zero);
		int r = zero ? 0 : pwrite_all(fd, data, n, offset);

		if (r < 0)
			return r;
		data += n;
		len -= n;
		offset += (off_t)n;
	}
	return 0;
}

int sparse_punch(int fd, off_t offset, uint64_t len)
{
	_cleanup_free_ char *data = malloc(PUNCH_BUFFER);

	if (!data)
		return -ENOMEM;
	while (len > 0) {
		off_t there = lseek(fd, offset, SEEK_DATA), end = offset + (off_t)len;
		size_t n;
		int r;

		/* What is a hole already needs no reading. */
		if (there < 0 && errno == ENXIO)
			there = end;
		if (there > offset) {
			offset = there < end ? there : end;
			len = (uint64_t)(end - offset);
			continue;
		}
		n = len < PUNCH_BUFFER ? (size_t)len : PUNCH_BUFFER;
		r = pread_full(fd, data, n, offset);

		if (r < 0)
			return r;
		for (size_t at = 0, run; at < n; at += run) {
			bool zero;

			run = run_length(data + at, n - at, offset + (off_t)at, &zero);
			if (zero)
				fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset + (off_t)at,
					  (off_t)run);
		}
		offset += (off_t)n;
		len -= n;
	}
	return 0;
}
