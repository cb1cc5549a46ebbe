/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "hooks/engine/tree.h"
#include "hooks/engine/xattrs.h"

#define DEPTH_MAX 500
#define BUFFER 131072

/* Owner first: a change of it may take mode bits away. */
static int set_meta(int fd, const struct stat *st, const struct copy_report *report)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st->st_mtim};

	if (report->owners && fchown(fd, st->st_uid, st->st_gid) < 0 && errno != EPERM)
		return -errno;
	if (fchmod(fd, st->st_mode & 01777) < 0 || futimens(fd, times) < 0)
		return -errno;
	return 0;
}

static int copy_bytes(int from, int to, struct copy_report *report)
{
	_cleanup_free_ char *buffer = malloc(BUFFER);
	ssize_t n;

	if (!buffer)
		return -ENOMEM;
	for (;;) {
		n = copy_file_range(from, NULL, to, NULL, SSIZE_MAX / 2, 0);
		if (n <= 0)
			break;
		report->bytes += (uint64_t)n;
	}
	/* Not between these two: by hand, from where it stopped. */
	while (n < 0 && (n = read(from, buffer, BUFFER)) > 0) {
		int r = write_all(to, buffer, (size_t)n);

		if (r < 0)
			return r;
		report->bytes += (uint64_t)n;
		n = -1;
	}
	return n < 0 ? -errno : 0;
}

static int copy_attributes(int from, int to)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct xattrs_lost lost = {0};
	const char *text = NULL;

	/* A destination that can't hold them gets the file without. */
	if (xattrs_read(from, &a, &text, &lost) == 0 && text)
		xattrs_write(to, text, true);
	return 0;
}

/* A new file in the place of what is there. */
static int copy_file(int from_dir, const char *from, int to_dir, const char *to, struct copy_report *report)
{
	_cleanup_close_ int in = openat(from_dir, from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_close_ int out = -1;
	struct stat st;
	int r;

	if (in < 0 || fstat(in, &st) < 0 || !S_ISREG(st.st_mode))
		return in < 0 ? -errno : -ESTALE;
	if (unlinkat(to_dir, to, 0) < 0 && errno != ENOENT)
		return -errno;
	out = openat(to_dir, to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0)
		return -errno;
	if (ioctl(out, FICLONE, in) == 0) {
		report->bytes += (uint64_t)st.st_size;
	} else {
		r = copy_bytes(in, out, report);
		if (r < 0)
			return r;
	}
	report->files++;
	copy_attributes(in, out);
	return set_meta(out, &st, report);
}

static int copy_link(int from_dir, const char *from, int to_dir, const char *to, const struct stat *st,
		     const struct copy_report *report)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st->st_mtim};
	char target[PATH_MAX];
	ssize_t n = readlinkat(from_dir, from, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	if ((unlinkat(to_dir, to, 0) < 0 && errno != ENOENT) || symlinkat(target, to_dir, to) < 0)
		return -errno;
	if (report->owners && fchownat(to_dir, to, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 && errno != EPERM)
		return -errno;
	return utimensat(to_dir, to, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int copy_any(int from_dir, const char *from, int to_dir, const char *to, struct copy_report *report,
		    unsigned depth, struct error *err);

static int copy_directory(int from, int to_dir, const char *to, struct copy_report *report, unsigned depth,
			  struct error *err)
{
	_cleanup_close_ int out = -1, fd = -1;
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *d;
	struct stat st;
	int r = 0;

	if (depth > DEPTH_MAX)
		return error_set(err, ELOOP, "\"%s\": more than %d directories deep", to, DEPTH_MAX);
	if (mkdirat(to_dir, to, 0700) < 0 && errno != EEXIST)
		return tree_error(err, errno, "\"%s\" can't be made", to);
	out = openat(to_dir, to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (out < 0 || !dir || fstat(from, &st) < 0)
		return tree_error(err, errno, "\"%s\" can't be made", to);
	fd = -1; /* dir has it */
	while (r == 0 && (d = readdir(dir)))
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			r = copy_any(from, d->d_name, out, d->d_name, report, depth + 1, err);
	if (r < 0)
		return r;
	copy_attributes(from, out);
	r = set_meta(out, &st, report);
	return r < 0 ? tree_error(err, r, "\"%s\" can't be made as it was", to) : 0;
}

static int copy_any(int from_dir, const char *from, int to_dir, const char *to, struct copy_report *report,
		    unsigned depth, struct error *err)
{
	_cleanup_close_ int dir = -1;
	struct stat st;
	int r = 0;

	if (fstatat(from_dir, from, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
		return tree_error(err, errno, "\"%s\" can't be copied", from);
	if (S_ISDIR(st.st_mode)) {
		dir = openat(from_dir, from[0] ? from : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (dir < 0)
			return tree_error(err, errno, "\"%s\" can't be copied", from);
		return copy_directory(dir, to_dir, to, report, depth, err);
	}
	if (S_ISREG(st.st_mode))
		r = copy_file(from_dir, from, to_dir, to, report);
	else if (S_ISLNK(st.st_mode))
		r = copy_link(from_dir, from, to_dir, to, &st, report);
	else
		report->skipped++;
	return r < 0 ? tree_error(err, r, "\"%s\" can't be copied", from) : 0;
}

int copy_tree(int from_dir, const char *from, int to_dir, const char *to, struct copy_report *report, struct error *err)
{
	return copy_any(from_dir, from, to_dir, to, report, 0, err);
}
