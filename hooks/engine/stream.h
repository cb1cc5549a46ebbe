/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - long files read and written piece by piece, with their sha256 or a
 * sum on the way, so that a record of 100,000 lines is never in memory as text.
 */
#ifndef VOLRUN_HOOKS_STREAM_H
#define VOLRUN_HOOKS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "hooks/store/sign.h"

/* A path and a target, each byte of them escaped by JSON, or a path and as many extended attributes as there can be. */
#define STREAM_LINE_MAX 163840
#define STREAM_BUFFER (STREAM_LINE_MAX + 4096)

/*
 * Of the bytes so far, in whatever pieces: for the cache's own files, that a crash may tear. Needs no library, which
 * a start of what is in the cache does not have to load then.
 */
struct stream_sum {
	uint64_t sum, word;
	unsigned n; /* bytes in word */
};

struct stream_in {
	int fd; /* -1: all is in data */
	off_t offset;
	uint64_t left; /* of the file, not yet in data */
	struct stream_sum sum;
	char *data;
	size_t start, end; /* of what was not yet handed out */
	size_t summed;	   /* start of what was handed out, but is not in the sum yet */
	bool borrowed;	   /* data is the caller's */
};

/* Reads len bytes from offset; fd stays the caller's. -ENOMEM. */
int stream_in_open(struct stream_in *s, int fd, off_t offset, uint64_t len);
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
/* The sum of all that was handed out comes next. 0, -ENODATA, -EINVAL: it is another. */
int stream_read_sum(struct stream_in *s);

struct stream_out {
	int fd;
	off_t offset; /* where the next flush goes */
	uint64_t written;
	struct sha256 *hash; /* NULL: the sum is wanted */
	struct stream_sum sum;
	char *data;
	size_t used;
	int failed; /* a negative errno; later calls do nothing */
};

int stream_out_open(struct stream_out *s, int fd, off_t offset);
/* The same with a sum in place of the hash. */
int stream_out_open_summed(struct stream_out *s, int fd, off_t offset);
void stream_out_close(struct stream_out *s);
void stream_add(struct stream_out *s, const void *data, size_t len);
/* Writes what is left. 0 or the first failure; hash_out may be NULL, and must be with a sum. */
int stream_finish(struct stream_out *s, char hash_out[SHA256_HEX_MAX]);
/* Adds the sum of what was written, as stream_read_sum compares it, and finishes. */
int stream_finish_summed(struct stream_out *s);

#endif
