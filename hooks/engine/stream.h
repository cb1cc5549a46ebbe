/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - long files read and written piece by piece, with their sha256 on
 * the way, so that a record of 100,000 lines is never in memory as text. Those
 * that never leave this machine have a checksum at their end instead.
 */
#ifndef VOLRUN_HOOKS_STREAM_H
#define VOLRUN_HOOKS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/checksum.h"
#include "hooks/store/sign.h"

/* A path and a target, each byte of them escaped by JSON, or a path and as many extended attributes as there can be. */
#define STREAM_LINE_MAX 163840
#define STREAM_BUFFER (STREAM_LINE_MAX + 4096)

struct stream_in {
	int fd; /* -1: all is in data */
	off_t offset;
	uint64_t left; /* of the file, not yet in data */
	char *data;
	size_t start, end; /* of what was not yet handed out */
	bool summed;
	struct checksum sum;
	size_t counted; /* start of what was handed out, but is not in the sum yet: small pieces cost more than their
			   bytes */
	bool borrowed;	/* data is the caller's */
};

/* Reads len bytes from offset; fd stays the caller's. sum: stream_in_is_whole will be asked. -ENOMEM. */
int stream_in_open(struct stream_in *s, int fd, off_t offset, uint64_t len, bool sum);
/* Reads text in memory, which must outlive it. */
void stream_in_memory(struct stream_in *s, const char *text, size_t len);
void stream_in_close(struct stream_in *s);
/*
 * The next line without its newline; good until the next call. 1; 0 at the end; -EINVAL when the last line has no
 * newline or a line holds a NUL, -EFBIG past STREAM_LINE_MAX, or the errno of reading.
 */
int stream_line(struct stream_in *s, const char **ret_line, size_t *ret_len);
/* Exactly len bytes. -ENODATA. */
int stream_read(struct stream_in *s, void *data, size_t len);
/* Is what comes next the checksum of all that was handed out (stream_finish_summed)? */
bool stream_in_is_whole(struct stream_in *s);

struct stream_out {
	int fd;
	off_t offset; /* where the next flush goes */
	uint64_t written;
	struct sha256 *hash; /* NULL: it is summed */
	struct checksum sum;
	char *data;
	size_t used;
	int failed; /* a negative errno; later calls do nothing */
};

int stream_out_open(struct stream_out *s, int fd, off_t offset);
/* With a checksum, no sha256. */
int stream_out_open_summed(struct stream_out *s, int fd, off_t offset);
void stream_out_close(struct stream_out *s);
void stream_add(struct stream_out *s, const void *data, size_t len);
/* Writes what is left. 0 or the first failure; hash_out may be NULL. */
int stream_finish(struct stream_out *s, char hash_out[SHA256_HEX_MAX]);
/* The same of one that is summed: the checksum is its end. */
int stream_finish_summed(struct stream_out *s);

#endif
