/* SPDX-License-Identifier: Apache-2.0 */
/* The detached mount that a container gets of a volume's tree. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/sys.h"
#include "hooks/confine.h"
#include "hooks/hook.h"

int hook_user_ns(int pid, int *ret_fd, struct error *err)
{
	_cleanup_right_ struct right right = right_raise(CAP_SYS_PTRACE);
	_cleanup_close_ int fd = -1;
	struct stat theirs, ours;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &theirs) < 0 || stat("/proc/self/ns/user", &ours) < 0)
		return error_set(err, errno, "the container's init (pid %d) can't be looked at (error %d)", pid, errno);
	*ret_fd = theirs.st_ino == ours.st_ino ? -1 : TAKE_FD(fd);
	return 0;
}

static int set_attributes(int mount_fd, bool ro, struct error *err)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (ro ? MOUNT_ATTR_RDONLY : 0),
				  .propagation = MS_PRIVATE};

	if (sys_mount_setattr(mount_fd, "", AT_EMPTY_PATH, &attr) == 0)
		return 0;
	if (errno == ENOSYS)
		return error_set(err, errno,
				 "the kernel has no mount_setattr(2): volumes need Linux 5.12 or newer, or a filter of "
				 "system calls that allows it");
	return error_set(err, errno, "its mount can't be made private, nosuid and nodev (error %d)", errno);
}

/* Linux 5.12; the file system must allow it (ext4, xfs, btrfs, tmpfs from 6.3 on, ...). */
static int map_ids(int mount_fd, int user_ns, struct error *err)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)user_ns};

	if (sys_mount_setattr(mount_fd, "", AT_EMPTY_PATH, &attr) < 0)
		return error_set(err, errno,
				 "the container has a user namespace, and the cache's file system can't map ids (error "
				 "%d)",
				 errno);
	return 0;
}

int hook_mount_tree(int tree_fd, bool ro, int user_ns, int *ret_fd, struct error *err)
{
	_cleanup_right_ struct right right = right_raise(CAP_SYS_ADMIN);
	_cleanup_close_ int fd = -1;
	int r;

	fd = sys_open_tree(tree_fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	/* No CAP_SYS_ADMIN here, but it is there in the container's own user namespace. */
	if (fd < 0 && errno == EPERM && user_ns >= 0)
		return 1;
	if (fd < 0)
		return error_set(err, errno, "its tree can't be mounted (error %d)", errno);
	r = set_attributes(fd, ro, err);
	if (r == 0 && user_ns >= 0)
		r = map_ids(fd, user_ns, err);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(fd);
	return 0;
}
