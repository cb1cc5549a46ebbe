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

/*
 * Empties the directory fd, except for non-empty directories in it, the first
 * of which is named in `sub` (-EAGAIN). Returns 0 when it is empty.
 */
static int empty_directory(int dirfd, char sub[256])
{
	_cleanup_close_ int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *e;
	int r = 0;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir)
		return -errno;
	fd = -1; /* dir has it */
	for (errno = 0; (e = readdir(dir)); errno = 0) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (unlinkat(dirfd, e->d_name, 0) == 0 || errno == ENOENT)
			continue;
		if (errno != EISDIR && errno != EPERM)
			return -errno;
		if (unlinkat(dirfd, e->d_name, AT_REMOVEDIR) == 0)
			continue;
		if (errno != ENOTEMPTY && errno != EEXIST)
			return -errno;
		if (r == 0) {
			strcpy(sub, e->d_name);
			r = -EAGAIN;
		}
	}
	return errno ? -errno : r;
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
		if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0)
			return 0;
		if (errno != ENOTEMPTY && errno != EEXIST)
			return -errno;
		fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		while ((r = empty_directory(fd, sub)) == -EAGAIN) {
			int next = open_beneath(fd, sub);

			if (next < 0)
				return -errno;
			close(fd);
			fd = next;
		}
		if (r < 0)
			return r;
	}
}
