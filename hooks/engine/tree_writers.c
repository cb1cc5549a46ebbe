/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/tree_writers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "base/strbuf.h"
#include "base/sys.h"
#include "hooks/confine.h"

#define FDINFO_MAX 4096
#define COMM_MAX 64

/* Where the tree is. */
struct place {
	uint64_t mount; /* the cache's own, as this process sees it */
	uint32_t dev_major, dev_minor;
};

/* Asks no server of a network for it: those hang. */
static int look_at(int dir_fd, const char *name, int flags, struct statx *st)
{
	return statx(dir_fd, name, flags | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO | STATX_MNT_ID, st);
}

static bool place_of(int root_fd, struct place *ret)
{
	struct statx st;

	if (look_at(root_fd, "", AT_EMPTY_PATH, &st) < 0)
		return false;
	*ret = (struct place){st.stx_mnt_id, st.stx_dev_major, st.stx_dev_minor};
	return true;
}

/* --- looking ---------------------------------------------------------------------------- */

/* A process, or a thread of one. */
struct look {
	const struct place *place;
	struct strbuf *list;
	const char *pid;
	int dir_fd; /* its directory in /proc */
};

/* In the list, each ended by NUL: process, inode, and the kernel's name of what it has. */
static void note(const struct look *l, const struct statx *st, const char *path)
{
	strbuf_addf(l->list, "%s%c%llu%c%s%c", l->pid, 0, (unsigned long long)st->stx_ino, 0, path, 0);
}

static bool opened_for_writing(int dir_fd, const char *fd)
{
	char path[sizeof("../fdinfo/") + NAME_MAX];
	_cleanup_free_ char *text = NULL;
	const char *flags;

	snprintf(path, sizeof(path), "../fdinfo/%s", fd);
	if (read_file_at(dir_fd, path, FDINFO_MAX, &text, NULL) < 0)
		return false;
	flags = strstr(text, "flags:");
	return flags && (strtoul(flags + strlen("flags:"), NULL, 8) & O_ACCMODE) != O_RDONLY;
}

static bool mount_is_writable(int dir_fd, const char *name)
{
	_cleanup_close_ int there = openat(dir_fd, name, O_PATH | O_CLOEXEC);
	struct statvfs fs;

	return there >= 0 && fstatvfs(there, &fs) == 0 && !(fs.f_flag & ST_RDONLY);
}

/* A link of proc(5): a descriptor, or (fd false) a root or working directory. */
static void look_at_link(const struct look *l, int dir_fd, const char *name, bool fd)
{
	char path[PATH_MAX];
	struct statx st;
	ssize_t len;

	if (look_at(dir_fd, name, 0, &st) < 0 || st.stx_dev_major != l->place->dev_major ||
	    st.stx_dev_minor != l->place->dev_minor || !(S_ISREG(st.stx_mode) || S_ISDIR(st.stx_mode)))
		return;
	/* What is open for reading alone can be opened anew by its mount (proc_pid_fd(5)). */
	if ((st.stx_mnt_id == l->place->mount || !mount_is_writable(dir_fd, name)) &&
	    !(fd && S_ISREG(st.stx_mode) && opened_for_writing(dir_fd, name)))
		return;
	len = readlinkat(dir_fd, name, path, sizeof(path) - 1);
	if (len <= 0)
		return;
	path[len] = '\0';
	note(l, &st, path);
}

static void look_at_fds(const struct look *l)
{
	_cleanup_close_ int fd = openat(l->dir_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir)
		return;
	TAKE_FD(fd);
	while ((e = readdir(dir)))
		if (e->d_name[0] != '.')
			look_at_link(l, dirfd(dir), e->d_name, true);
}

static void look_at_directories(const struct look *l)
{
	look_at_link(l, l->dir_fd, "root", false);
	look_at_link(l, l->dir_fd, "cwd", false);
}

/* unshare(2): threads may have descriptors, or a root, of their own. A process whose first thread has ended has none.
 */
static void look_at_threads(const struct look *process, uint64_t pid)
{
	_cleanup_close_ int fd = openat(process->dir_fd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct look l = *process;
	struct dirent *e;

	if (!dir)
		return;
	TAKE_FD(fd);
	while ((e = readdir(dir))) {
		_cleanup_close_ int thread = -1;
		uint64_t tid;

		if (num_parse_u64(e->d_name, INT_MAX, &tid) < 0 || tid == pid)
			continue;
		thread = l.dir_fd = openat(dirfd(dir), e->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		/* Also where the kernel can't compare. */
		if (syscall(SYS_kcmp, (pid_t)pid, (pid_t)tid, KCMP_FILES, 0, 0) != 0)
			look_at_fds(&l);
		if (syscall(SYS_kcmp, (pid_t)pid, (pid_t)tid, KCMP_FS, 0, 0) != 0)
			look_at_directories(&l);
	}
}

static void look_at_all(const struct place *place, struct strbuf *ret)
{
	_cleanup_right_ struct right right = right_raise(CAP_SYS_PTRACE);
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	struct dirent *e;

	while (proc && (e = readdir(proc))) {
		struct look l = {.place = place, .list = ret, .pid = e->d_name};
		_cleanup_close_ int dir = -1;
		struct stat st;
		uint64_t pid;

		if (num_parse_u64(e->d_name, INT_MAX, &pid) < 0 || pid == (uint64_t)getpid())
			continue;
		dir = l.dir_fd = openat(dirfd(proc), e->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			continue;
		look_at_directories(&l);
		look_at_fds(&l);
		/* A link for each thread, and two. */
		if (fstatat(dir, "task", &st, 0) == 0 && st.st_nlink > 3)
			look_at_threads(&l, pid);
	}
}

/* --- whose it is ------------------------------------------------------------------------ */

/*
 * The kernel's name of it begins somewhere above the tree, or at its root, where the mount has none above any more: is
 * it what some end of that name is in the tree?
 */
static bool is_beneath(int root_fd, uint64_t dev, const char *path, uint64_t ino)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		_cleanup_close_ int fd = sys_openat2(root_fd, slash + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0,
						     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
		struct stat there;

		if (fd >= 0 && fstat(fd, &there) == 0 && there.st_ino == ino && there.st_dev == dev)
			return true;
	}
	return false;
}

static void tell(const char *pid, char *ret, size_t size)
{
	char path[sizeof("/proc//comm") + NAME_MAX];
	_cleanup_free_ char *comm = NULL;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	if (read_file_at(AT_FDCWD, path, COMM_MAX, &comm, NULL) == 0)
		for (char *c = comm; *c; c++)
			if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
				*c = *c == '\n' ? '\0' : '?';
	snprintf(ret, size, "process %s (%s)", pid, comm ? comm : "?");
}

/* The next string of the list, or NULL. */
static const char *next(const struct strbuf *list, size_t *at)
{
	const char *s = *at < list->len ? list->data + *at : NULL;
	size_t len = s ? strnlen(s, list->len - *at) : 0;

	*at += len + 1;
	return s && *at <= list->len ? s : NULL;
}

static bool find(const struct strbuf *list, int root_fd, char *ret, size_t size)
{
	struct stat root;
	size_t at = 0;

	/* Who was left out may be the one. */
	if (list->failed && ret)
		snprintf(ret, size, "some process (there is no memory for the list of them)");
	if (list->failed)
		return true;
	if (fstat(root_fd, &root) < 0)
		return false;
	for (;;) {
		const char *pid = next(list, &at), *number = next(list, &at), *path = next(list, &at);
		uint64_t ino, n;

		if (!path)
			return false;
		if (num_parse_u64(pid, INT_MAX, &n) < 0 || n == (uint64_t)getpid() ||
		    num_parse_u64(number, UINT64_MAX, &ino) < 0)
			continue;
		if (ino != root.st_ino && !is_beneath(root_fd, root.st_dev, path, ino))
			continue;
		if (ret)
			tell(pid, ret, size);
		return true;
	}
}

bool tree_has_writers(int root_fd, char *ret, size_t size)
{
	_cleanup_strbuf_ struct strbuf list = STRBUF_INIT;
	struct place place;

	if (!place_of(root_fd, &place))
		return false;
	look_at_all(&place, &list);
	return find(&list, root_fd, ret, size);
}
