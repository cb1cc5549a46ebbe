/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "hooks/engine/tree.h"

#define COPY_BUFFER 65536

int spool_open(struct spool *s, const struct volume *v)
{
	int r;

	*s = (struct spool){.fd = tree_tmpfile(v), .root_fd = tree_open(v->cache.dir_fd, "rw", O_PATH | O_DIRECTORY)};
	s->hash = sha256_new();
	s->buffer = malloc(COPY_BUFFER);
	if (s->fd >= 0 && s->hash && s->buffer)
		return 0;
	r = s->fd < 0 ? s->fd : -ENOMEM;
	spool_close(s);
	return r;
}

void spool_close(struct spool *s)
{
	cleanup_close(&s->fd);
	cleanup_close(&s->root_fd);
	sha256_free(s->hash);
	free(s->buffer);
	*s = (struct spool){.fd = -1, .root_fd = -1};
}

uint64_t spool_reserve(struct spool *s, uint64_t size)
{
	uint64_t offset = s->end;

	s->end += size;
	s->live += size;
	return offset;
}

/* Hashes size bytes of a file; copies them to the spool unless they are its own. */
static bool read_bytes(struct spool *s, int fd, uint64_t from, const struct entry *e, uint64_t offset)
{
	unsigned char sha256[SHA256_LEN];
	uint64_t done = 0;
	int r = 0;

	while (done < e->size && r == 0) {
		size_t n = e->size - done < COPY_BUFFER ? (size_t)(e->size - done) : COPY_BUFFER;

		r = pread_full(fd, s->buffer, n, (off_t)(from + done));
		if (r == 0)
			sha256_update(s->hash, s->buffer, n);
		if (r == 0 && fd != s->fd)
			r = pwrite_all(s->fd, s->buffer, n, (off_t)(offset + done));
		done += n;
	}
	entry_hash_final(s->hash, sha256);
	return r == 0 && !memcmp(sha256, e->sha256, SHA256_LEN);
}

bool spool_from_tree(struct spool *s, const struct entry *e, uint64_t offset)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (s->root_fd < 0)
		return false;
	fd = tree_open_file(s->root_fd, e->path, &st);
	return fd >= 0 && (uint64_t)st.st_size == e->size && read_bytes(s, fd, 0, e, offset);
}

bool spool_verify(struct spool *s, const struct entry *e, uint64_t offset)
{
	return read_bytes(s, s->fd, offset, e, offset);
}

void spool_release(struct spool *s, uint64_t offset, uint64_t size)
{
	s->live -= size;
	/* A file system that can't make holes gives the room back at the end. */
	if (size > 0)
		fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size);
}
