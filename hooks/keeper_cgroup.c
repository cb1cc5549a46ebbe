/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/keeper_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/num.h"
#include "base/path.h"
#include "base/sys.h"
#include "hooks/confine.h"

#define PROC_FILE_MAX (1u << 20)
#define DEPTH_MAX 128 /* a descriptor or two each */

struct hierarchy {
	const char *name, *mount, *needs;
	bool v2;
};

/* Where hierarchies are mounted. Any v1 one does: a container is in one group of the same name in each. */
static const struct hierarchy hierarchies[] = {
    {"", "/sys/fs/cgroup", "cgroup.events", true},
    {"", "/sys/fs/cgroup/unified", "cgroup.events", true},
    {"pids", "/sys/fs/cgroup/pids", "cgroup.procs", false},
    {"memory", "/sys/fs/cgroup/memory", "cgroup.procs", false},
    {"freezer", "/sys/fs/cgroup/freezer", "cgroup.procs", false},
    {"devices", "/sys/fs/cgroup/devices", "cgroup.procs", false},
    {"cpu", "/sys/fs/cgroup/cpu", "cgroup.procs", false},
    {"name=systemd", "/sys/fs/cgroup/systemd", "cgroup.procs", false},
};

/* The one that the runtime pauses by comes first. */
static const struct hierarchy freezers[] = {
    {"freezer", "/sys/fs/cgroup/freezer", "freezer.state", false},
    {"", "/sys/fs/cgroup", "cgroup.freeze", true},
    {"", "/sys/fs/cgroup/unified", "cgroup.freeze", true},
};

/* Is `name` one of the `len` bytes of comma-separated names? No names at all: "". */
static bool names_hold(const char *names, size_t len, const char *name)
{
	size_t n = strlen(name);

	if (len == 0 || n == 0)
		return len == 0 && n == 0;
	while (len >= n) {
		size_t word = 0;

		while (word < len && names[word] != ',')
			word++;
		if (word == n && memcmp(names, name, n) == 0)
			return true;
		if (word == len)
			return false;
		names += word + 1;
		len -= word + 1;
	}
	return false;
}

int cgroup_text_path(const char *text, const char *hierarchy, char *ret, size_t size)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		const char *names = memchr(text, ':', len), *path;

		path = names ? memchr(names + 1, ':', len - (size_t)(names + 1 - text)) : NULL;
		if (path && names_hold(names + 1, (size_t)(path - names - 1), hierarchy)) {
			size_t n = len - (size_t)(path + 1 - text);

			if (n == 0 || n >= size || path[1] != '/')
				return -ENOENT;
			memcpy(ret, path + 1, n);
			ret[n] = '\0';
			return 0;
		}
		text += len + (text[len] == '\n');
	}
	return -ENOENT;
}

bool cgroup_is_own(const char *path, const char *self)
{
	return !path_is_beneath(self, path) && !path_has_dotdot(path);
}

static int read_proc_cgroup(const char *pid, char **ret)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/cgroup", pid);
	return read_file_at(AT_FDCWD, path, PROC_FILE_MAX, ret, NULL);
}

/* Read once, and kept as long as the process. */
static char *first_self;

void container_cgroup_remember_self(void)
{
	if (!first_self)
		read_proc_cgroup("self", &first_self);
}

static int open_group(const char *mount, const char *path, const char *needs)
{
	_cleanup_close_ int top = open(mount, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = -1;

	if (top < 0)
		return -errno;
	fd = sys_openat2(top, path + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0,
			 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	if (fd < 0 || faccessat(fd, needs, R_OK, 0) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* The first of the hierarchies in which the process has a cgroup of its own with a file of that name. */
static int open_first(pid_t pid, const struct hierarchy *all, size_t n, struct container_cgroup *ret, struct error *err)
{
	_cleanup_free_ char *theirs = NULL;
	_cleanup_right_ struct right right = right_raise(CAP_SYS_PTRACE); /* of a /proc that hides processes */
	char number[16], path[PATH_MAX], self[PATH_MAX];
	size_t i;

	snprintf(number, sizeof(number), "%d", (int)pid);
	container_cgroup_remember_self();
	if (read_proc_cgroup(number, &theirs) < 0 || !first_self)
		return error_set(err, ENOENT, "the container's cgroup can't be read");
	for (i = 0; i < n; i++) {
		const char *h = all[i].name;
		int fd;

		if (cgroup_text_path(theirs, h, path, sizeof(path)) < 0 ||
		    cgroup_text_path(first_self, h, self, sizeof(self)) < 0 || !cgroup_is_own(path, self))
			continue;
		fd = open_group(all[i].mount, path, all[i].needs);
		if (fd >= 0) {
			*ret = (struct container_cgroup){.fd = fd, .v2 = all[i].v2};
			return 0;
		}
	}
	return error_set(err, ENOENT, "the container has no cgroup of its own");
}

int container_cgroup_open(pid_t pid, struct container_cgroup *ret, struct error *err)
{
	return open_first(pid, hierarchies, ARRAY_SIZE(hierarchies), ret, err);
}

int container_freezer_open(pid_t pid, struct container_cgroup *ret, struct error *err)
{
	return open_first(pid, freezers, ARRAY_SIZE(freezers), ret, err);
}

void container_cgroup_close(struct container_cgroup *c)
{
	cleanup_close(&c->fd);
	c->fd = -1;
}

/* 1: fn said true; 0: it never did; negative: not all could be looked at. However long the list is, it is read. */
static int each_listed(int group_fd, bool (*fn)(pid_t, void *), void *ctx)
{
	_cleanup_fclose_ FILE *procs = NULL;
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	int64_t pid;
	int fd = openat(group_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT || errno == ENODEV ? 0 : -errno; /* the group was removed */
	procs = fdopen(fd, "r");
	if (!procs) {
		close(fd);
		return -ENOMEM;
	}
	errno = 0;
	while (getline(&line, &size, procs) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (num_parse_i64(line, 1, INT32_MAX, &pid) == 0 && fn((pid_t)pid, ctx))
			return 1;
	}
	return feof(procs) || errno == ENODEV ? 0 : -EIO;
}

/* The same of a v1 group and those beneath. */
static int each_process(int group_fd, unsigned depth, bool (*fn)(pid_t, void *), void *ctx)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *d;
	int fd, r = each_listed(group_fd, fn, ctx), failed = r;

	if (r > 0)
		return r;
	fd = openat(group_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir)
		return errno == ENOENT || errno == ENODEV ? failed : -EIO;
	while ((d = readdir(dir))) {
		_cleanup_close_ int sub = -1;

		if (d->d_type != DT_DIR || d->d_name[0] == '.')
			continue;
		sub = openat(group_fd, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub < 0 && (errno == ENOENT || errno == ENODEV))
			continue;
		r = sub < 0 || depth == DEPTH_MAX ? -EIO : each_process(sub, depth + 1, fn, ctx);
		if (r > 0)
			return r;
		if (r < 0)
			failed = r;
	}
	return failed;
}

int container_cgroup_each(const struct container_cgroup *c, bool (*fn)(pid_t, void *), void *ctx)
{
	return c->fd >= 0 ? each_process(c->fd, 0, fn, ctx) : 0;
}

static bool found(pid_t pid, void *ctx)
{
	(void)ctx;
	return pid > 0;
}

static bool kill_one(pid_t pid, void *ctx)
{
	(void)ctx;
	if (pid > 1 && pid != getpid())
		kill(pid, SIGKILL);
	return false;
}

bool container_cgroup_empty(const struct container_cgroup *c)
{
	_cleanup_free_ char *events = NULL;
	int r;

	if (c->fd < 0)
		return true;
	if (!c->v2)
		return each_process(c->fd, 0, found, NULL) == 0;
	r = read_file_at(c->fd, "cgroup.events", PROC_FILE_MAX, &events, NULL);
	if (r < 0)
		return r == -ENODEV || r == -ENOENT; /* the group was removed */
	return strstr(events, "populated 0") != NULL;
}

void container_cgroup_kill(const struct container_cgroup *c)
{
	_cleanup_right_ struct right right = right_raise(CAP_KILL);

	if (c->fd >= 0 && (!c->v2 || write_file_at(c->fd, "cgroup.kill", "1") < 0))
		each_process(c->fd, 0, kill_one, NULL);
}
