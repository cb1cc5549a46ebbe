/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "base/sys.h"
#include "hooks/engine/ids.h"
#include "hooks/engine/xattrs.h"

#define RESOLVE_TREE (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV)

static const char *reason(int code)
{
	switch (code) {
	case ENOENT:
		return "it is not there";
	case EACCES:
	case EPERM:
		return "the kernel refused it";
	case EISDIR:
	case ENOTDIR:
	case ELOOP:
		return "something of another type is in its place";
	case EXDEV:
		return "a mount is in the way";
	case EOPNOTSUPP:
	case E2BIG:
		return "the file system of cache.path can't hold its extended attributes; put it on ext4, xfs or btrfs";
	case ESTALE:
		return "it changed meanwhile";
	default:
		return strerror(code);
	}
}

int tree_error(struct error *err, int code, const char *fmt, ...)
{
	char what[ERROR_MSG_MAX / 2];
	va_list ap;

	if (code < 0)
		code = -code;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return error_set(err, code, "%s: %s", what, reason(code));
}

static int open_beneath(int root_fd, const char *path, int flags)
{
	int fd;

	/* EAGAIN: a rename ran at the same time somewhere (openat2(2)). */
	do
		fd = sys_openat2(root_fd, path, (uint64_t)flags | O_CLOEXEC, 0, RESOLVE_TREE);
	while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return fd < 0 ? -errno : fd;
}

int tree_open(int root_fd, const char *path, int flags)
{
	return open_beneath(root_fd, path[0] ? path : ".", flags);
}

int tree_open_file(int root_fd, const char *path, struct stat *ret_st)
{
	/* First what it is: opening alone does something to a device. */
	_cleanup_close_ int place = tree_open(root_fd, path, O_PATH | O_NOFOLLOW);
	char name[FD_PATH_MAX];
	int fd;

	if (place < 0)
		return place == -ENOENT || place == -ELOOP || place == -ENOTDIR ? -ESTALE : place;
	if (fstat(place, ret_st) < 0)
		return -errno;
	if (!S_ISREG(ret_st->st_mode))
		return -ESTALE;
	/* The magic link leads to this very file, whatever has its name now. */
	fd = open(fd_path(place, name), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* What a killed process left. */
static void sweep(const struct tree *t)
{
	_cleanup_closedir_ DIR *d = NULL;
	_cleanup_close_ int fd = openat(t->tmp_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t n = strlen(t->tmp_prefix);
	struct dirent *e;

	if (fd < 0 || !(d = fdopendir(fd)))
		return;
	TAKE_FD(fd);
	while ((e = readdir(d)))
		if (!strncmp(e->d_name, t->tmp_prefix, n))
			unlinkat(t->tmp_fd, e->d_name, 0);
}

static int open_directory(int dir_fd, const char *name, bool *ret_made)
{
	*ret_made = mkdirat(dir_fd, name, 0700) == 0;
	if (!*ret_made && errno != EEXIST)
		return -errno;
	return open_beneath(dir_fd, name, O_RDONLY | O_DIRECTORY);
}

int tree_begin(struct tree *t, const struct volume *v, const char *name, const char *tmp_prefix, struct error *err)
{
	bool made_tmp;

	*t = (struct tree){.tmp_prefix = tmp_prefix, .parent_fd = -1};
	t->root_fd = open_directory(v->cache.dir_fd, name, &t->made);
	t->tmp_fd = t->root_fd < 0 ? -1 : open_directory(v->cache.dir_fd, "tmp", &made_tmp);
	if (t->tmp_fd < 0) {
		int code = t->root_fd < 0 ? t->root_fd : t->tmp_fd;

		tree_end(t);
		return tree_error(err, code, "cache: can't open the tree %s", name);
	}
	sweep(t);
	return 0;
}

void tree_end(struct tree *t)
{
	cleanup_close(&t->root_fd);
	cleanup_close(&t->tmp_fd);
	cleanup_close(&t->parent_fd);
	t->root_fd = t->tmp_fd = t->parent_fd = -1;
}

void tree_for_thread(const struct tree *t, struct tree *ret)
{
	*ret = (struct tree){
	    .root_fd = t->root_fd, .tmp_fd = t->tmp_fd, .tmp_prefix = t->tmp_prefix, .ids = t->ids, .parent_fd = -1};
}

void tree_thread_end(struct tree *t)
{
	cleanup_close(&t->parent_fd);
	t->parent_fd = -1;
}

int tree_tmpfile(const struct volume *v)
{
	bool made;
	_cleanup_close_ int dir = open_directory(v->cache.dir_fd, "tmp", &made);
	int fd;

	if (dir < 0)
		return dir;
	fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

/* The directory of a path, kept open for the next one. */
static int parent(struct tree *t, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;
	int fd;

	*ret_name = slash ? slash + 1 : path;
	if (len > MANIFEST_PATH_MAX)
		return -ENAMETOOLONG;
	if (t->parent_fd >= 0 && !strncmp(t->parent, path, len) && t->parent[len] == '\0')
		return t->parent_fd;
	cleanup_close(&t->parent_fd);
	t->parent_fd = -1;
	memcpy(t->parent, path, len);
	t->parent[len] = '\0';
	fd = tree_open(t->root_fd, t->parent, O_PATH | O_DIRECTORY);
	if (fd >= 0)
		t->parent_fd = fd;
	t->parent_gives = -1;
	return fd;
}

/* Would a file that is made in the directory get an ACL of it? The container can have said so. */
static bool gives_acl(int dir)
{
	char path[FD_PATH_MAX];

	return getxattr(fd_path(dir, path), "system.posix_acl_default", NULL, 0) >= 0 ||
	       (errno != ENODATA && errno != EOPNOTSUPP);
}

int tree_stat(struct tree *t, const char *path, struct stat *ret)
{
	const char *name;
	int fd = parent(t, path, &name);

	if (fd < 0)
		return fd;
	/* The root has no name in its parent. */
	return fstatat(fd, name, ret, AT_SYMLINK_NOFOLLOW | (name[0] ? 0 : AT_EMPTY_PATH)) < 0 ? -errno : 0;
}

int tree_remove(struct tree *t, const char *path)
{
	const char *name;
	int fd = parent(t, path, &name);
	int r;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	r = unlinkat(fd, name, 0) == 0 || errno == ENOENT ? 0 : -errno;
	if (r == -EISDIR || r == -EPERM) {
		_cleanup_close_ int dir = tree_open(fd, ".", O_RDONLY | O_DIRECTORY);

		r = dir < 0 ? dir : remove_tree_at(dir, name);
		/* It may have been, or been in, the directory that is kept open. */
		cleanup_close(&t->parent_fd);
		t->parent_fd = -1;
	}
	return r;
}

int tree_mkdir(struct tree *t, const char *path)
{
	const char *name;
	struct stat st;
	int fd = parent(t, path, &name);

	if (fd < 0)
		return fd;
	if (mkdirat(fd, name, 0700) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	/* What scans leave out (a socket) may stand there. */
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
		return 0;
	return unlinkat(fd, name, 0) < 0 || mkdirat(fd, name, 0700) < 0 ? -errno : 0;
}

/* A keeper without privileges can't give files away: they stay its own, and the record keeps the owner it has. */
static int chown_result(int r)
{
	return r < 0 && !(errno == EPERM && geteuid() != 0) ? -errno : 0;
}

static uid_t uid_of(const struct tree *t, const struct entry *e)
{
	return ids_uid_to_disk(t->ids, e->uid);
}

static gid_t gid_of(const struct tree *t, const struct entry *e)
{
	return ids_gid_to_disk(t->ids, e->gid);
}

static void times_of(const struct entry *e, struct timespec times[2])
{
	times[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
	times[1] = entry_timespec(e->mtime_ns);
}

int tree_symlink(struct tree *t, const struct entry *e)
{
	struct timespec times[2];
	const char *name;
	int fd, r = tree_remove(t, e->path);

	if (r < 0)
		return r;
	/* Not before: removing a directory may close the one that is kept open. */
	fd = parent(t, e->path, &name);
	if (fd < 0)
		return fd;
	if (symlinkat(e->target, fd, name) < 0)
		return -errno;
	r = chown_result(fchownat(fd, name, uid_of(t, e), gid_of(t, e), AT_SYMLINK_NOFOLLOW));
	times_of(e, times);
	return r < 0 ? r : utimensat(fd, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int tree_create(struct tree *t, const char *path)
{
	const char *base;
	int dir = parent(t, path, &base), fd;

	if (dir < 0)
		return dir;
	if (t->parent_gives < 0)
		t->parent_gives = gives_acl(dir);
	fd = openat(t->parent_gives ? t->tmp_fd : dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

/* Puts a name of the file into the place of what is there, by a name in tmp/. */
static int replace(struct tree *t, const char *link, int dir, const char *base)
{
	char name[64];
	int r;

	snprintf(name, sizeof(name), "%s%d-%u", t->tmp_prefix, (int)gettid(), t->n_tmp++);
	if (linkat(AT_FDCWD, link, t->tmp_fd, name, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	r = renameat(t->tmp_fd, name, dir, base) < 0 ? -errno : 0;
	/* Also what a rename over another name of the same file leaves (rename(2)). */
	unlinkat(t->tmp_fd, name, 0);
	return r;
}

int tree_install(struct tree *t, int fd, const struct entry *e)
{
	struct timespec times[2];
	char link[FD_PATH_MAX];
	const char *base;
	int dir, r;

	r = chown_result(fchown(fd, uid_of(t, e), gid_of(t, e)));
	if (r < 0)
		return r;
	r = e->xattrs ? xattrs_write(fd, e->xattrs, true) : 0;
	if (r < 0)
		return r;
	times_of(e, times);
	if (fchmod(fd, e->mode) < 0 || futimens(fd, times) < 0)
		return -errno;
	dir = parent(t, e->path, &base);
	if (dir < 0)
		return dir;
	/* The magic link leads to this very file; AT_EMPTY_PATH would take CAP_DAC_READ_SEARCH. */
	if (linkat(AT_FDCWD, fd_path(fd, link), dir, base, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	return errno == EEXIST ? replace(t, link, dir, base) : -errno;
}

int tree_link(struct tree *t, const char *source, const char *path)
{
	_cleanup_close_ int fd = tree_open(t->root_fd, source, O_PATH | O_NOFOLLOW);
	char link[FD_PATH_MAX];
	const char *base;
	struct stat st;
	int dir;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ESTALE;
	dir = parent(t, path, &base);
	return dir < 0 ? dir : replace(t, fd_path(fd, link), dir, base);
}

/* An owner without privileges needs the right to write for it; the mode is set after. */
static int set_xattrs(int fd, const char *path, const struct entry *e)
{
	if (e->xattrs && geteuid() != 0 && chmod(path, (e->mode & 0777) | 0600) < 0)
		return -errno;
	return xattrs_write(fd, e->xattrs, false);
}

int tree_set_meta(struct tree *t, const struct entry *e)
{
	_cleanup_close_ int fd = -1;
	struct timespec times[2];
	char path[FD_PATH_MAX];
	const char *name;
	int dir, r;

	times_of(e, times);
	if (e->type == ENTRY_SYMLINK) {
		dir = parent(t, e->path, &name);
		if (dir < 0)
			return dir;
		if (chown_result(fchownat(dir, name, uid_of(t, e), gid_of(t, e), AT_SYMLINK_NOFOLLOW)) < 0)
			return -errno;
		return utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
	}
	/* By O_PATH: a mode without reading must not be in the way. */
	fd = tree_open(t->root_fd, e->path, O_PATH | O_NOFOLLOW);
	if (fd < 0)
		return fd;
	fd_path(fd, path);
	if (chown_result(fchownat(fd, "", uid_of(t, e), gid_of(t, e), AT_EMPTY_PATH)) < 0)
		return -errno;
	r = set_xattrs(fd, path, e);
	if (r < 0)
		return r;
	/* Through /proc, as fchmod takes no O_PATH; the descriptor is no symlink, RESOLVE_NO_SYMLINKS saw to it. */
	if (chmod(path, e->mode) < 0 || utimensat(AT_FDCWD, path, times, 0) < 0)
		return -errno;
	return 0;
}
