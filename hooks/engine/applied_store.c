/* SPDX-License-Identifier: Apache-2.0 */
/* Where applied tables lie: in the store, and a copy in the cache. */
#include "hooks/engine/applied_store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "hooks/engine/tree.h"

char *applied_key(struct arena *a, const struct volume *v, uint64_t seq)
{
	char name[40];

	snprintf(name, sizeof(name), "%" PRIu64 ".applied", seq);
	return volume_key_meta(a, v, name);
}

/* The cache's copy, if it is of this seq. */
static int open_kept(const struct volume *v, uint64_t seq, uint64_t *ret_size)
{
	_cleanup_close_ int fd = openat(v->cache.dir_fd, "applied", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_(applied_close) struct applied_in a = {.in = {.fd = -1}};
	struct error ignored = ERROR_INIT;
	struct stream_in in;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || stream_in_open(&in, fd, 0, (uint64_t)st.st_size, false) < 0)
		return -ENOENT;
	if (applied_open(&a, in, &ignored) < 0 || a.seq != seq)
		return -ENOENT;
	*ret_size = (uint64_t)st.st_size;
	return TAKE_FD(fd);
}

void applied_forget(const struct volume *v)
{
	unlinkat(v->cache.dir_fd, "applied", 0);
}

void applied_keep(const struct volume *v, int fd, uint64_t size)
{
	_cleanup_close_ int out = -1;
	off_t offset = 0;

	unlinkat(v->cache.dir_fd, "applied.new", 0);
	out = openat(v->cache.dir_fd, "applied.new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	while (out >= 0 && (uint64_t)offset < size) {
		ssize_t n = copy_file_range(fd, &offset, out, NULL, size - (uint64_t)offset, 0);

		if (n <= 0)
			break;
	}
	if (out >= 0 && (uint64_t)offset == size && fdatasync(out) == 0)
		renameat(v->cache.dir_fd, "applied.new", v->cache.dir_fd, "applied");
	unlinkat(v->cache.dir_fd, "applied.new", 0);
}

int applied_fetch(struct transfer *x, uint64_t seq, int *ret_fd, uint64_t *ret_size)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_close_ int fd = -1;
	struct store_op op;

	*ret_fd = -1;
	*ret_size = 0;
	if (seq == 0 || x->failed < 0 || (*ret_fd = open_kept(x->v, seq, ret_size)) >= 0)
		return x->failed;
	*ret_fd = -1;
	store_op_init(&op, STORE_GET, applied_key(&a, x->v, seq));
	fd = op.out_fd = tree_tmpfile(x->v);
	if (!op.key || fd < 0) {
		transfer_fail(x, fd < 0 ? -fd : ENOMEM, "cache: can't make a file");
		return x->failed;
	}
	if (!transfer_go_on(x))
		return x->failed;
	x->report->data_requests++;
	if (store_do(x->v->store, &op) == STORE_ABSENT)
		return 0;
	if (op.result != STORE_OK)
		transfer_fail_op(x, &op);
	else if (op.got_size > APPLIED_MAX_SIZE)
		transfer_fail(x, EFBIG, "applied table: %" PRIu64 " bytes are too many", op.got_size);
	if (x->failed < 0)
		return x->failed;
	applied_keep(x->v, fd, op.got_size);
	*ret_size = op.got_size;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int applied_load(struct transfer *x, uint64_t seq, struct applied *ret)
{
	struct error err = ERROR_INIT;
	int r = 0;

	/* The second time from the store: the cache's copy may be broken. */
	for (int i = 0; i < 2; i++) {
		_cleanup_close_ int fd = -1;
		struct stream_in in;
		uint64_t size;

		if (applied_fetch(x, seq, &fd, &size) < 0)
			return x->failed;
		if (fd < 0) {
			*ret = (struct applied){0};
			return 0;
		}
		r = stream_in_open(&in, fd, 0, size, false);
		r = r < 0 ? error_set(&err, -r, "out of memory") : applied_read(in, ret, &err);
		if (r == 0)
			return 0;
		applied_forget(x->v);
	}
	transfer_fail(x, -r, "%s", err.msg);
	return x->failed;
}
