/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sysctl.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "base/sys.h"

#define PROC_ROOT_INO 1 /* include/linux/proc_ns.h */

const char *sysctl_path(const char *key, struct arena *arena)
{
	bool is_path = key[strcspn(key, "./")] == '/';
	char *path = arena_printf(arena, "sys/%s", key);

	for (char *p = path ? path + strlen("sys/") : NULL; p && *p && !is_path; p++) {
		if (*p == '.')
			*p = '/';
		else if (*p == '/')
			*p = '.';
	}
	return path && path_is_safe_relative(path, strlen(path)) ? path : NULL;
}

int sysctl_check_namespaces(const struct spec *spec, const struct namespaces *ns, struct error *err)
{
	for (size_t i = 0; i < spec->linux_->n_sysctl; i++) {
		const char *key = spec->linux_->sysctl[i].key;
		int type = spec_sysctl_namespace(key);

		if (type >= 0 && namespaces_joins_own(ns, (enum spec_ns)type))
			return error_set(err, EINVAL, "sysctl \"%s\" is not allowed: the %s namespace is the host's",
					 key, spec_ns_names[type]);
	}
	return 0;
}

static int open_proc(int root_fd, int *ret_fd, struct error *err)
{
	_cleanup_close_ int fd =
	    sys_openat2(root_fd, "proc", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
	struct statfs sfs;
	struct stat st;

	if (fd < 0 || fstatfs(fd, &sfs) < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "the container's /proc");
	if (sfs.f_type != PROC_SUPER_MAGIC || st.st_ino != PROC_ROOT_INO)
		return error_set(err, EINVAL, "the container's /proc is not a mounted procfs");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int write_one(int proc_fd, const char *key, const char *value, struct arena *arena, struct error *err)
{
	const char *path = sysctl_path(key, arena);
	_cleanup_close_ int fd = -1;
	int r;

	if (!path)
		return error_set(err, EINVAL, "not a sysctl's name");
	fd = sys_openat2(proc_fd, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0,
			 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
	if (fd < 0)
		return error_errno(err, errno, "open /proc/%s", path);
	r = write_all(fd, value, strlen(value));
	return r < 0 ? error_errno(err, r, "write \"%s\" to /proc/%s", value, path) : 0;
}

int sysctl_apply(int root_fd, const struct spec_linux *l, struct arena *arena, struct error *err)
{
	_cleanup_close_ int proc_fd = -1;
	int r = l->n_sysctl ? open_proc(root_fd, &proc_fd, err) : 0;

	for (size_t i = 0; r == 0 && i < l->n_sysctl; i++) {
		r = write_one(proc_fd, l->sysctl[i].key, l->sysctl[i].value, arena, err);
		if (r < 0)
			return error_wrap(err, "sysctl \"%s\"", l->sysctl[i].key);
	}
	return r < 0 ? error_wrap(err, "sysctl") : 0;
}
