/* SPDX-License-Identifier: Apache-2.0 */
/* remove_tree_at of io.h: rm -rf without recursion on the stack's account of a hostile depth. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"

/* Removes an entry if that is possible, or somebody else does so at once: 0, 1 for a directory that is not empty, or an
 * error. */
static int remove_entry(int dirfd, const char *name)
{
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return errno == ENOTEMPTY || errno == EEXIST ? 1 : -errno;
}

/*
 * Empties the directory fd, except for non-empty directories in it, the first
 * of which is named in `sub` (-EAGAIN). Returns 0 when it is empty. Not by
 * readdir(3): what failed for want of memory is removed all the same.
 */
static int empty_directory(int dirfd, char sub[256])
{
	_cleanup_close_ int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_Alignas(struct dirent64) char entries[4096];
	ssize_t n;
	int r = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	while ((n = getdents64(fd, entries, sizeof(entries))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *e = (const struct dirent64 *)(entries + at);
			int left;

			at += e->d_reclen;
			if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
				continue;
			left = remove_entry(dirfd, e->d_name);
			if (left < 0)
				return left;
			if (left > 0 && r == 0) {
				strcpy(sub, e->d_name);
				r = -EAGAIN;
			}
		}
	}
	/* ENOENT: somebody has removed it meanwhile, and so it is empty. */
	return n < 0 && errno != ENOENT ? -errno : r;
}

/* A directory beneath parent: not a link, not another mount. */
static int open_beneath(int parent, const char *name)
{
	return sys_openat2(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0,
			   RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
}

int remove_tree_at(int dirfd, const char *name)
{
	/*
	 * Depth first with a single descriptor: go down to a directory that can be
	 * emptied, and start again from the top. Slow only for trees that are deep
	 * and wide at once.
	 */
	for (;;) {
		_cleanup_close_ int fd = -1;
		char sub[256];
		int r;

		if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
			return 0;
		if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		if (errno != ENOTEMPTY && errno != EEXIST)
			return -errno;
		fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return errno == ENOENT ? 0 : -errno;
		while ((r = empty_directory(fd, sub)) == -EAGAIN) {
			int next = open_beneath(fd, sub);

			if (next < 0 && errno == ENOENT)
				break;
			if (next < 0)
				return -errno;
			close(fd);
			fd = next;
		}
		if (r < 0 && r != -EAGAIN)
			return r;
	}
}
