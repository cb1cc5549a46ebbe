/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/tree_writers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "base/sys.h"
#include "hooks/confine.h"

#define FDINFO_MAX 4096
#define COMM_MAX 64

struct search {
	int root_fd;
	struct statx root;
};

/* Asks no server of a network for it: those hang. */
static int look_at(int dir_fd, const char *name, int flags, struct statx *st)
{
	return statx(dir_fd, name, flags | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO | STATX_MNT_ID, st);
}

static bool same(const struct statx *a, const struct statx *b)
{
	return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major && a->stx_dev_minor == b->stx_dev_minor;
}

/*
 * The kernel's name of it begins somewhere above the tree, or at its root, where the mount has none above any more: is
 * it what some end of that name is in the tree?
 */
static bool is_beneath(const struct search *s, const char *path, const struct statx *st)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		_cleanup_close_ int fd = sys_openat2(s->root_fd, slash + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0,
						     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
		struct statx there;

		if (fd >= 0 && look_at(fd, "", AT_EMPTY_PATH, &there) == 0 && same(&there, st))
			return true;
	}
	return false;
}

static bool opened_for_writing(const char *pid, const char *fd)
{
	char path[sizeof("/proc//fdinfo/") + 2 * NAME_MAX];
	_cleanup_free_ char *text = NULL;
	const char *flags;

	snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", pid, fd);
	if (read_file_at(AT_FDCWD, path, FDINFO_MAX, &text, NULL) < 0)
		return false;
	flags = strstr(text, "flags:");
	return flags && (strtoul(flags + strlen("flags:"), NULL, 8) & O_ACCMODE) != O_RDONLY;
}

static bool mount_is_writable(int dir_fd, const char *fd)
{
	_cleanup_close_ int there = openat(dir_fd, fd, O_PATH | O_CLOEXEC);
	struct statvfs fs;

	return there >= 0 && fstatvfs(there, &fs) == 0 && !(fs.f_flag & ST_RDONLY);
}

static bool writes(const struct search *s, const char *pid, int dir_fd, const char *fd)
{
	char path[PATH_MAX];
	struct statx st;
	ssize_t len;

	if (look_at(dir_fd, fd, 0, &st) < 0 || st.stx_dev_major != s->root.stx_dev_major ||
	    st.stx_dev_minor != s->root.stx_dev_minor)
		return false;
	if (S_ISDIR(st.stx_mode) ? st.stx_mnt_id == s->root.stx_mnt_id || !mount_is_writable(dir_fd, fd)
				 : !S_ISREG(st.stx_mode) || !opened_for_writing(pid, fd))
		return false;
	if (same(&st, &s->root))
		return true;
	len = readlinkat(dir_fd, fd, path, sizeof(path) - 1);
	if (len <= 0)
		return false;
	path[len] = '\0';
	return is_beneath(s, path, &st);
}

static bool process_writes(const struct search *s, const char *pid)
{
	char path[sizeof("/proc//fd") + NAME_MAX];
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *e;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.' && writes(s, pid, dirfd(dir), e->d_name))
			return true;
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

bool tree_has_writers(int root_fd, char *ret, size_t size)
{
	_cleanup_right_ struct right right = right_raise(CAP_SYS_PTRACE);
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	struct search s = {.root_fd = root_fd};
	struct dirent *e;

	if (!proc || look_at(root_fd, "", AT_EMPTY_PATH, &s.root) < 0)
		return false;
	while ((e = readdir(proc))) {
		uint64_t pid;

		if (num_parse_u64(e->d_name, INT_MAX, &pid) < 0 || pid == (uint64_t)getpid() ||
		    !process_writes(&s, e->d_name))
			continue;
		if (ret)
			tell(e->d_name, ret, size);
		return true;
	}
	return false;
}
