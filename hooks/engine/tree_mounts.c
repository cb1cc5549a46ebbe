/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/engine/tree_mounts.h"

#include <dirent.h>
#include <fcntl.h>
#include <libmount.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"

#define NAMESPACES_SEEN_MAX 256

/* A directory as mountinfo names it: the file system, and the path in that. */
struct place {
	dev_t dev;
	char root[PATH_MAX];
};

static void cleanup_table(struct libmnt_table **t)
{
	mnt_unref_table(*t);
}

static void cleanup_iter(struct libmnt_iter **i)
{
	mnt_free_iter(*i);
}

/* Lines that libmount can't read are skipped, not printed: the keeper has no terminal. */
static int skip_bad_line(struct libmnt_table *t, const char *file, int line)
{
	(void)t, (void)file, (void)line;
	return 1;
}

static struct libmnt_table *read_mounts(const char *path)
{
	struct libmnt_table *t = mnt_new_table();

	if (t && (mnt_table_set_parser_errcb(t, skip_bad_line) != 0 || mnt_table_parse_file(t, path) != 0)) {
		mnt_unref_table(t);
		t = NULL;
	}
	return t;
}

static bool join(struct place *place, const char *root, const char *rest)
{
	int n = snprintf(place->root, sizeof(place->root), "%s%s", strcmp(root, "/") ? root : "", rest);

	return n > 0 && (size_t)n < sizeof(place->root);
}

/* By our own mount that holds the directory: where that mount begins in its file system, and what is beneath. */
static bool find_place(int fd, struct place *ret)
{
	_cleanup_(cleanup_table) struct libmnt_table *t = NULL;
	_cleanup_(cleanup_iter) struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	char link[FD_PATH_MAX], path[PATH_MAX];
	ssize_t len = readlink(fd_path(fd, link), path, sizeof(path) - 1);
	struct libmnt_fs *fs;
	struct statx st;

	if (len <= 0 || !iter || statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		return false;
	path[len] = '\0';
	t = read_mounts("/proc/self/mountinfo");
	while (t && mnt_table_next_fs(t, iter, &fs) == 0) {
		const char *target = mnt_fs_get_target(fs), *root = mnt_fs_get_root(fs);
		size_t n = target ? strlen(target) : 0;

		if ((uint64_t)mnt_fs_get_id(fs) != st.stx_mnt_id || !root || !n)
			continue;
		if (n == 1)
			n = 0; /* "/" */
		if (strncmp(path, target, n) != 0 || (path[n] != '/' && path[n] != '\0'))
			return false;
		ret->dev = mnt_fs_get_devno(fs);
		return join(ret, root, path + n);
	}
	return false;
}

static bool is_in(const char *mountinfo, const struct place *place)
{
	_cleanup_(cleanup_table) struct libmnt_table *t = read_mounts(mountinfo);
	_cleanup_(cleanup_iter) struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;

	while (t && iter && mnt_table_next_fs(t, iter, &fs) == 0)
		if (mnt_fs_get_devno(fs) == place->dev && mnt_fs_get_root(fs) &&
		    strcmp(mnt_fs_get_root(fs), place->root) == 0)
			return true;
	return false;
}

static bool is_new(ino_t *seen, size_t *n, ino_t ns)
{
	for (size_t i = 0; i < *n; i++)
		if (seen[i] == ns)
			return false;
	if (*n < NAMESPACES_SEEN_MAX)
		seen[(*n)++] = ns;
	return true;
}

bool tree_is_mounted_elsewhere(int fd)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	ino_t seen[NAMESPACES_SEEN_MAX];
	struct place place;
	struct dirent *e;
	struct stat st;
	size_t n = 0;

	if (!proc || stat("/proc/self/ns/mnt", &st) < 0 || !find_place(fd, &place))
		return false;
	is_new(seen, &n, st.st_ino);
	while ((e = readdir(proc))) {
		char path[sizeof("/proc//mountinfo") + NAME_MAX];
		uint64_t pid;

		if (num_parse_u64(e->d_name, INT_MAX, &pid) < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/ns/mnt", e->d_name);
		if (stat(path, &st) < 0 || !is_new(seen, &n, st.st_ino))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/mountinfo", e->d_name);
		if (is_in(path, &place))
			return true;
	}
	return false;
}
