/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mount option "tmpcopyup": what the image has in a directory is copied into the
 * tmpfs that covers it. The copy goes by descriptors, never follows a link and
 * never leaves the file system it began in.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "runtime/mount_apply.h"

#define DEPTH_MAX 128 /* a descriptor pair and a stack frame per level */
#define XATTR_LIST_MAX_BYTES 65536

static int copy_xattrs(int from_fd, int to_fd)
{
	_cleanup_free_ char *names = malloc(XATTR_LIST_MAX_BYTES), *value = malloc(XATTR_SIZE_MAX);
	ssize_t n = names && value ? flistxattr(from_fd, names, XATTR_LIST_MAX_BYTES) : -1;

	if (!names || !value)
		return -ENOMEM;
	for (const char *p = names; n > 0 && p < names + n; p += strlen(p) + 1) {
		ssize_t size = fgetxattr(from_fd, p, value, XATTR_SIZE_MAX);

		/* tmpfs has no user.* before Linux 6.6, security.* needs privilege: what it can't keep is left. */
		if (size >= 0 && fsetxattr(to_fd, p, value, (size_t)size, 0) < 0 && errno == ENOSPC)
			return -ENOSPC;
	}
	return 0;
}

/* An id that the user namespace doesn't map (EINVAL) can't be given; the file is then ours. */
static int copy_owner(int dir_fd, const char *name, const struct stat *st)
{
	if (fchownat(dir_fd, name, st->st_uid, st->st_gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 && errno != EINVAL)
		return -errno;
	return 0;
}

/* Owner first: a change of owner clears set-id bits. */
static int copy_attributes(int from_fd, int to_fd, const struct stat *st)
{
	struct timespec times[2] = {st->st_atim, st->st_mtim};
	int r = copy_owner(to_fd, "", st);

	if (r < 0)
		return r;
	if (fchmod(to_fd, st->st_mode & 07777) < 0)
		return -errno;
	if (futimens(to_fd, times) < 0)
		return -errno;
	return copy_xattrs(from_fd, to_fd);
}

static int copy_file(int from_dir, int to_dir, const char *name)
{
	_cleanup_close_ int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC),
			    to = -1;
	struct stat st;
	ssize_t n;

	if (from < 0 || fstat(from, &st) < 0)
		return -errno;
	/* In a directory that others share it may be another one by now. */
	if (!S_ISREG(st.st_mode))
		return -ESTALE;
	to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return -errno;
	do {
		n = sendfile(to, from, NULL, 1 << 30);
	} while (n > 0);
	return n < 0 ? -errno : copy_attributes(from, to, &st);
}

static int copy_other(int from_dir, int to_dir, const char *name, const struct stat *st)
{
	if (S_ISLNK(st->st_mode)) {
		char text[PATH_MAX];
		ssize_t n = readlinkat(from_dir, name, text, sizeof(text) - 1);

		if (n < 0)
			return -errno;
		text[n] = '\0';
		if (symlinkat(text, to_dir, name) < 0)
			return -errno;
	} else if (mknodat(to_dir, name, st->st_mode, st->st_rdev) < 0) {
		/* A user namespace may not make devices: the container could not use it either. */
		return errno == EPERM ? 0 : -errno;
	}
	return copy_owner(to_dir, name, st);
}

static int copy_dir(int from_fd, int to_fd, dev_t dev, unsigned depth, struct error *err);

static int copy_subdir(int from_dir, int to_dir, const char *name, dev_t dev, unsigned depth, struct error *err)
{
	_cleanup_close_ int from = -1, to = -1;
	struct stat st;
	int r;

	from = openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (from < 0 || fstat(from, &st) < 0)
		return error_errno(err, errno, "%s", name);
	if (mkdirat(to_dir, name, 0700) < 0)
		return error_errno(err, errno, "%s", name);
	to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return error_errno(err, errno, "%s", name);
	/* What is mounted there is not the image's. */
	if (st.st_dev == dev) {
		r = copy_dir(from, to, dev, depth + 1, err);
		if (r < 0)
			return error_wrap(err, "%s", name);
	}
	r = copy_attributes(from, to, &st);
	return r < 0 ? error_errno(err, r, "%s", name) : 0;
}

static int copy_dir(int from_fd, int to_fd, dev_t dev, unsigned depth, struct error *err)
{
	_cleanup_closedir_ DIR *dir = NULL;
	int fd = openat(from_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;
	struct dirent *e;
	struct stat st;

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return error_errno(err, errno, "directory");
	if (depth > DEPTH_MAX)
		return error_set(err, ELOOP, "more than %d levels of directories", DEPTH_MAX);
	while (errno = 0, (e = readdir(dir))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (fstatat(from_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return error_errno(err, errno, "%s", e->d_name);
		if (S_ISDIR(st.st_mode)) {
			r = copy_subdir(from_fd, to_fd, e->d_name, dev, depth, err);
			if (r < 0)
				return r;
			continue;
		}
		r = S_ISREG(st.st_mode) ? copy_file(from_fd, to_fd, e->d_name)
					: copy_other(from_fd, to_fd, e->d_name, &st);
		if (r < 0)
			return error_errno(err, r, "%s", e->d_name);
	}
	return errno ? error_errno(err, errno, "readdir") : 0;
}

int mount_copy_up(int from_fd, int to_fd, struct error *err)
{
	_cleanup_close_ int to = openat(to_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int r;

	if (to < 0 || fstat(from_fd, &st) < 0)
		return error_errno(err, errno, "open");
	r = copy_dir(from_fd, to, st.st_dev, 0, err);
	if (r < 0)
		return r;
	r = copy_owner(to, "", &st);
	return r < 0 ? error_errno(err, r, "owner") : 0;
}
