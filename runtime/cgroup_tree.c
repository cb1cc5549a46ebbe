/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/num.h"
#include "runtime/cgroup_internal.h"

#define FILE_MAX (64u << 10)
/* The kernel's PID_MAX_LIMIT, with 8 bytes for each. */
#define PIDS_MAX (4u << 20)
#define DEPTH_MAX 128
#define DELAY_MAX (20 * NSEC_PER_MSEC)

bool cgroup_wait(int64_t *delay_ns, int64_t deadline_ns)
{
	if (clock_boottime_ns() >= deadline_ns)
		return false;
	if (*delay_ns == 0)
		*delay_ns = NSEC_PER_MSEC / 10;
	clock_sleep_ns(*delay_ns);
	*delay_ns = *delay_ns * 2 < DELAY_MAX ? *delay_ns * 2 : DELAY_MAX;
	return true;
}

int cgroup_read(int fd, const char *file, char **ret)
{
	return read_file_at(fd, file, FILE_MAX, ret, NULL);
}

int cgroup_read_key(int fd, const char *file, const char *key, uint64_t *ret)
{
	_cleanup_free_ char *text = NULL;
	size_t len = strlen(key);
	char *save = NULL;
	int r = cgroup_read(fd, file, &text);

	if (r < 0)
		return r;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, key, len) == 0 && line[len] == ' ')
			return num_parse_u64(line + len + 1, UINT64_MAX, ret);
	}
	return -ENODATA;
}

static int open_dir(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int full_path(const struct cgroup_hierarchy *h, const char *path, char buf[PATH_MAX])
{
	int n = snprintf(buf, PATH_MAX, "%s%s", h->mount, path);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* --- making ------------------------------------------------------------------ */

/* One level: 1 when it is new, 0 when it was there. */
static int make_level(const struct cgroup_hierarchy *h, int *fd, const char *name, cgroup_level_fn level)
{
	_cleanup_close_ int child = -1;
	int made = 1, r;

	if (mkdirat(*fd, name, 0755) < 0) {
		if (errno != EEXIST)
			return -errno;
		made = 0;
	}
	r = child = open_dir(*fd, name);
	if (r >= 0)
		r = level(h, *fd, child);
	if (r < 0) {
		if (made)
			unlinkat(*fd, name, AT_REMOVEDIR);
		return r;
	}
	close(*fd);
	*fd = TAKE_FD(child);
	return made;
}

int cgroup_tree_make(struct cgroup_hierarchy *h, const char *path, cgroup_level_fn level, size_t *ret_made)
{
	_cleanup_close_ int fd = open_dir(AT_FDCWD, h->mount);
	char copy[PATH_MAX], *save = NULL;
	size_t made = 0, done = 0;

	if (fd < 0)
		return fd;
	if (strlen(path) >= sizeof(copy))
		return -ENAMETOOLONG;
	strcpy(copy, path);
	for (char *name = strtok_r(copy, "/", &save); name; name = strtok_r(NULL, "/", &save)) {
		int r = make_level(h, &fd, name, level);

		if (r < 0) {
			/* The new ones end at `done`, not at the path's end. */
			char part[PATH_MAX];

			snprintf(part, sizeof(part), "%.*s", (int)done, path);
			cgroup_tree_unmake(h, part, made);
			return r;
		}
		done = (size_t)(name - copy) + strlen(name);
		made += (size_t)r;
	}
	h->fd = TAKE_FD(fd);
	*ret_made = made;
	return 0;
}

void cgroup_tree_unmake(const struct cgroup_hierarchy *h, const char *path, size_t n)
{
	char full[PATH_MAX];

	if (full_path(h, path, full) < 0)
		return;
	while (n-- > 0) {
		char *slash = strrchr(full, '/');

		if (unlinkat(AT_FDCWD, full, AT_REMOVEDIR) < 0)
			return;
		*slash = '\0';
	}
}

int cgroup_tree_open(struct cgroup_hierarchy *h, const char *path)
{
	char full[PATH_MAX];
	int r = full_path(h, path, full);

	if (r == 0)
		r = open_dir(AT_FDCWD, full);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	h->fd = r;
	return 0;
}

/* --- walking ----------------------------------------------------------------- */

/* Calls fn for every child cgroup of fd. */
static int each_child(int fd, int (*fn)(int fd, const char *name, unsigned depth, void *data), unsigned depth,
		      void *data)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *e;
	int own = open_dir(fd, ".");

	if (own < 0)
		return own;
	dir = fdopendir(own);
	if (!dir) {
		close(own);
		return -ENOMEM;
	}
	if (depth >= DEPTH_MAX)
		return -ELOOP;
	while ((errno = 0, e = readdir(dir))) {
		int r;

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		r = fn(own, e->d_name, depth + 1, data);
		if (r < 0)
			return r;
	}
	/* The cgroup was removed under us: it has no children. */
	return errno == ENOENT || errno == ENODEV ? 0 : -errno;
}

static int list_add(struct cgroup_pid_list *list, pid_t pid)
{
	if (list->n == list->room) {
		size_t room = list->room ? list->room * 2 : 64;
		pid_t *p = room <= PIDS_MAX ? reallocarray(list->pids, room, sizeof(*p)) : NULL;

		if (!p)
			return -ENOMEM;
		list->pids = p;
		list->room = room;
	}
	list->pids[list->n++] = pid;
	return 0;
}

static int pids_of_one(int fd, struct cgroup_pid_list *list)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL;
	int r = read_file_at(fd, "cgroup.procs", PIDS_MAX * 8, &text, NULL);

	/* EOPNOTSUPP: threaded, its processes are listed above it. */
	if (r == -ENODEV || r == -ENOENT || r == -EOPNOTSUPP)
		return 0;
	if (r < 0)
		return r;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		uint64_t pid;

		/* 0: a process that this PID namespace can't see. */
		if (num_parse_u64(line, INT_MAX, &pid) < 0 || pid == 0)
			continue;
		r = list_add(list, (pid_t)pid);
		if (r < 0)
			return r;
	}
	return 0;
}

static int pids_of_child(int dirfd, const char *name, unsigned depth, void *data)
{
	_cleanup_close_ int fd = open_dir(dirfd, name);
	int r;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	r = pids_of_one(fd, data);
	return r < 0 ? r : each_child(fd, pids_of_child, depth, data);
}

int cgroup_tree_pids(int fd, struct cgroup_pid_list *list)
{
	int r = pids_of_one(fd, list);

	return r < 0 ? r : each_child(fd, pids_of_child, 0, list);
}

/* --- removing ---------------------------------------------------------------- */

static int remove_one(int dirfd, const char *name, unsigned depth, void *deadline_ns)
{
	int64_t delay = 0;

	for (;;) {
		_cleanup_close_ int fd = -1;
		int r;

		if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		if (errno != EBUSY)
			return -errno;
		fd = open_dir(dirfd, name);
		r = fd < 0 ? fd : each_child(fd, remove_one, depth, deadline_ns);
		if (r < 0 && r != -ENOENT)
			return r;
		if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0)
			return 0;
		/* Processes are still on their way out. */
		if (!cgroup_wait(&delay, *(int64_t *)deadline_ns))
			return -EBUSY;
	}
}

int cgroup_tree_remove(const struct cgroup_hierarchy *h, const char *path, int64_t deadline_ns)
{
	char full[PATH_MAX];
	int r = full_path(h, path, full);

	return r < 0 ? r : remove_one(AT_FDCWD, full, 0, &deadline_ns);
}
