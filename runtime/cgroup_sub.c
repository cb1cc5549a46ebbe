/* SPDX-License-Identifier: Apache-2.0 */
/* Cgroups within the container's own, on v2 (cgroup-v2.rst, "No Internal Process Constraint"). */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "runtime/cgroup_internal.h"

/* Opens the levels of `sub` beneath fd, each made when it is absent (make) or given its parent's controllers. */
static int walk(int parent_fd, const char *sub, bool make, int *ret_fd)
{
	_cleanup_close_ int fd = fcntl(parent_fd, F_DUPFD_CLOEXEC, 3);
	char copy[PATH_MAX], *save = NULL;

	if (fd < 0)
		return -errno;
	snprintf(copy, sizeof(copy), "%s", sub);
	for (char *name = strtok_r(copy, "/", &save); name; name = strtok_r(NULL, "/", &save)) {
		int child, r = 0;

		if (make && mkdirat(fd, name, 0755) < 0 && errno != EEXIST)
			return -errno;
		child = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (child < 0)
			return -errno;
		if (!make)
			r = cgroup_version_v2.level(NULL, fd, child);
		close(fd);
		fd = child;
		if (r < 0)
			return r;
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int cgroup_make_child(const struct cgroup *cg, const char *sub, pid_t pid, int *ret_fd, struct error *err)
{
	_cleanup_close_ int fd = -1, again = -1;
	char text[16];
	int r;

	if (cg->mode != CGROUP_V2 || cg->dir_fd < 0)
		return error_set(err, ENOTSUP, "it is only for cgroup v2, where delegation is safe");
	if (strlen(sub) >= PATH_MAX || !path_is_safe_relative(sub, strlen(sub)))
		return error_set(err, EINVAL, "\"%s\" is no relative path without `..` components", sub);
	snprintf(text, sizeof(text), "%d", (int)pid);
	r = walk(cg->dir_fd, sub, true, &fd);
	if (r == 0)
		r = write_file_at(fd, "cgroup.procs", text);
	/* A cgroup with processes can't give controllers to its children: only now it has none. */
	if (r == 0)
		r = walk(cg->dir_fd, sub, false, &again);
	if (r < 0)
		return error_errno(err, r, "the cgroup %s/%s", cg->path, sub);
	*ret_fd = TAKE_FD(fd);
	return 0;
}
