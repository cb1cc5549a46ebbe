/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "hooks/engine/tree.h"
#include "hooks/engine/xattrs.h"

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

/* What of the file is data from *at on: until *end. false: no more. */
static bool next_data(int fd, off_t size, off_t *at, off_t *end)
{
	off_t data = lseek(fd, *at, SEEK_DATA), hole;

	if (data < 0 && errno == ENXIO)
		return false;
	/* Who can't tell holes has none. */
	hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
	*at = data < 0 ? *at : data;
	*end = hole < 0 || hole > size ? size : hole;
	return *at < *end;
}

static int copy_range(int from, int to, off_t at, off_t end, char *buffer, struct copy_report *report)
{
	off_t in = at, out = at;
	ssize_t n = 1;

	while (in < end && n > 0) {
		n = copy_file_range(from, &in, to, &out, (size_t)(end - in), 0);
		report->bytes += n > 0 ? (uint64_t)n : 0;
	}
	/* Not between these two: by hand, from where it stopped. */
	while (in < end) {
		size_t part = end - in < BUFFER ? (size_t)(end - in) : BUFFER;
		int r;

		n = pread(from, buffer, part, in);
		if (n == 0)
			return 0; /* it got shorter meanwhile */
		r = n < 0 ? -errno : pwrite_all(to, buffer, (size_t)n, in);
		if (r < 0)
			return r;
		report->bytes += (uint64_t)n;
		in += n;
	}
	return 0;
}

/* The holes are the copy's, too: a file may measure more than any disk. */
static int copy_bytes(int from, int to, off_t size, struct copy_report *report)
{
	_cleanup_free_ char *buffer = malloc(BUFFER);
	off_t at = 0, end;
	int r = buffer ? 0 : -ENOMEM;

	if (r == 0 && ftruncate(to, size) < 0)
		r = -errno;
	for (; r == 0 && at < size && next_data(from, size, &at, &end); at = end)
		r = copy_range(from, to, at, end, buffer, report);
	return r;
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
		r = copy_bytes(in, out, st.st_size, report);
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

/* --- a tree ------------------------------------------------------------------------------- */

/* A file of several names: where its first copy is. */
struct seen {
	dev_t dev;
	ino_t ino;
	char *path;
};

struct walk {
	int from, to; /* the roots */
	struct copy_report *report;
	struct error *err;
	struct arena arena;
	/* The directories that were found, in order: those beneath one come after it. */
	const char **dirs;
	size_t n_dirs, dirs_room;
	struct seen *seen; /* a table of 2^n places, at most half of them used; path NULL: free */
	size_t n_seen, seen_room;
};

static int open_dir(int root, const char *path)
{
	int fd = sys_openat2(root, path[0] ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0,
			     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);

	return fd < 0 ? -errno : fd;
}

static int no_memory(struct walk *w)
{
	return error_set(w->err, ENOMEM, "out of memory");
}

static int add_dir(struct walk *w, const char *path)
{
	if (w->n_dirs == w->dirs_room) {
		size_t room = w->dirs_room ? w->dirs_room * 2 : 64;
		const char **all = reallocarray(w->dirs, room, sizeof(*all));

		if (!all)
			return no_memory(w);
		w->dirs = all;
		w->dirs_room = room;
	}
	w->dirs[w->n_dirs++] = path;
	return 0;
}

/* Its place, or the free one where it is to be. */
static struct seen *find_seen(struct seen *all, size_t room, const struct stat *st)
{
	size_t i = (st->st_ino * 0x9e3779b97f4a7c15u >> 20) & (room - 1);

	while (all[i].path && (all[i].dev != st->st_dev || all[i].ino != st->st_ino))
		i = (i + 1) & (room - 1);
	return &all[i];
}

static int grow_seen(struct walk *w)
{
	size_t room = w->seen_room ? w->seen_room * 2 : 256;
	struct seen *all = calloc(room, sizeof(*all));

	if (!all)
		return no_memory(w);
	for (size_t i = 0; i < w->seen_room; i++) {
		const struct seen *s = &w->seen[i];

		if (s->path)
			*find_seen(all, room, &(struct stat){.st_dev = s->dev, .st_ino = s->ino}) = *s;
	}
	free(w->seen);
	w->seen = all;
	w->seen_room = room;
	return 0;
}

/* The copy of its first name gets another one. 1: done; 0: it is the first, or that copy is not there any more. */
static int link_copy(struct walk *w, const struct stat *st, const char *path, int out, const char *name)
{
	_cleanup_close_ int dir = -1;
	char *first, *slash;
	struct seen *s;
	int r = w->n_seen * 2 >= w->seen_room ? grow_seen(w) : 0;

	if (r < 0)
		return r;
	s = find_seen(w->seen, w->seen_room, st);
	if (!s->path) {
		*s = (struct seen){st->st_dev, st->st_ino, arena_strdup(&w->arena, path)};
		w->n_seen++;
		return s->path ? 0 : no_memory(w);
	}
	first = arena_strdup(&w->arena, s->path);
	if (!first)
		return no_memory(w);
	slash = strrchr(first, '/');
	if (slash)
		*slash = '\0';
	dir = open_dir(w->to, slash ? first : "");
	if (dir < 0 || (unlinkat(out, name, 0) < 0 && errno != ENOENT) ||
	    linkat(dir, slash ? slash + 1 : first, out, name, 0) < 0)
		return 0;
	w->report->files++;
	return 1;
}

static int copy_one(int from_dir, const char *from, int to_dir, const char *to, const struct stat *st,
		    struct copy_report *report)
{
	if (S_ISREG(st->st_mode))
		return copy_file(from_dir, from, to_dir, to, report);
	if (S_ISLNK(st->st_mode))
		return copy_link(from_dir, from, to_dir, to, st, report);
	report->skipped++;
	return 0;
}

static int copy_entry(struct walk *w, int in, int out, const char *path, const char *name)
{
	struct stat st;
	int r = 0;

	if (fstatat(in, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return tree_error(w->err, errno, "\"%s\" can't be copied", path);
	if (S_ISDIR(st.st_mode)) {
		const char *kept = arena_strdup(&w->arena, path);

		if (mkdirat(out, name, 0700) < 0 && errno != EEXIST)
			return tree_error(w->err, errno, "\"%s\" can't be made", path);
		return kept ? add_dir(w, kept) : no_memory(w);
	}
	if (S_ISREG(st.st_mode) && st.st_nlink > 1)
		r = link_copy(w, &st, path, out, name);
	if (r != 0)
		return r < 0 ? r : 0;
	r = copy_one(in, name, out, name, &st, w->report);
	return r < 0 ? tree_error(w->err, r, "\"%s\" can't be copied", path) : 0;
}

static int copy_directory(struct walk *w, const char *path)
{
	_cleanup_close_ int out = open_dir(w->to, path), in = open_dir(w->from, path);
	_cleanup_closedir_ DIR *dir = in < 0 ? NULL : fdopendir(in);
	size_t len = strlen(path);
	char child[PATH_MAX];
	struct dirent *d;
	int r = 0;

	if (out < 0 || !dir)
		return tree_error(w->err, out < 0 ? out : in < 0 ? in : errno, "\"%s\" can't be copied", path);
	TAKE_FD(in);
	while (r == 0 && (d = readdir(dir))) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (len + strlen(d->d_name) + 2 > sizeof(child))
			return error_set(w->err, ENAMETOOLONG,
					 "\"%.60s...\": a path has %d bytes or more, the longest there can be", path,
					 PATH_MAX);
		snprintf(child, sizeof(child), "%s%s%s", path, len ? "/" : "", d->d_name);
		r = copy_entry(w, dirfd(dir), out, child, d->d_name);
	}
	return r;
}

/* When nothing is made in it any more. */
static int finish_directory(struct walk *w, const char *path)
{
	_cleanup_close_ int out = open_dir(w->to, path), in = open_dir(w->from, path);
	struct stat st;
	int r = out < 0 ? out : in < 0 ? in : fstat(in, &st) < 0 ? -errno : 0;

	if (r == 0) {
		copy_attributes(in, out);
		r = set_meta(out, &st, w->report);
	}
	return r < 0 ? tree_error(w->err, r, "\"%s\" can't be made as it was", path) : 0;
}

/* The list is its own queue: no recursion, and few descriptors, however deep the tree is. */
static int copy_all(struct walk *w)
{
	int r = add_dir(w, "");

	for (size_t i = 0; i < w->n_dirs && r == 0; i++)
		r = copy_directory(w, w->dirs[i]);
	for (size_t i = w->n_dirs; i > 0 && r == 0; i--)
		r = finish_directory(w, w->dirs[i - 1]);
	return r;
}

int copy_tree(int from_dir, const char *from, int to_dir, const char *to, struct copy_report *report, struct error *err)
{
	struct walk w = {.from = -1, .to = -1, .report = report, .err = err};
	struct stat st;
	int r;

	if (fstatat(from_dir, from, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
		return tree_error(err, errno, "\"%s\" can't be copied", from);
	if (!S_ISDIR(st.st_mode)) {
		r = copy_one(from_dir, from, to_dir, to, &st, report);
		return r < 0 ? tree_error(err, r, "\"%s\" can't be copied", from) : 0;
	}
	w.from = openat(from_dir, from[0] ? from : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (w.from < 0)
		return tree_error(err, errno, "\"%s\" can't be copied", from);
	if (mkdirat(to_dir, to, 0700) < 0 && errno != EEXIST)
		r = tree_error(err, errno, "\"%s\" can't be made", to);
	else if ((w.to = openat(to_dir, to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		r = tree_error(err, errno, "\"%s\" can't be made", to);
	else
		r = copy_all(&w);
	cleanup_close(&w.from);
	cleanup_close(&w.to);
	free(w.dirs);
	free(w.seen);
	arena_free(&w.arena);
	return r;
}
