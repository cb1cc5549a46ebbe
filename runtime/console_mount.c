/* SPDX-License-Identifier: Apache-2.0 */
/* The container's terminal: a pty of its own devpts, believed only by descriptor (CVE-2025-52565). */
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "runtime/devices.h"
#include "runtime/target.h"

#define PTS_MAJOR 136 /* UNIX98_PTY_SLAVE_MAJOR, with its sequels up to 143 */
#define PTS_MAJOR_LAST 143

static bool on_devpts(int fd)
{
	struct statfs sfs;

	return fstatfs(fd, &sfs) == 0 && sfs.f_type == DEVPTS_SUPER_MAGIC;
}

int rootfs_open_pty(struct rootfs *r, int *ret_master, char *ret_slave_name, size_t size, struct error *err)
{
	_cleanup_close_ int fd = sys_openat2(r->root_fd, "dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC, 0,
					     RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
	unsigned number;
	int unlock = 0;

	if (fd < 0)
		return error_errno(err, errno, "open the container's /dev/pts/ptmx");
	if (!on_devpts(fd) || device_check(fd, S_IFCHR, makedev(5, 2)) < 0)
		return error_set(err, ENODEV, "the container's /dev/pts/ptmx is not a pty multiplexer");
	if (ioctl(fd, TIOCSPTLCK, &unlock) < 0 || ioctl(fd, TIOCGPTN, &number) < 0)
		return error_errno(err, errno, "pty");
	if ((size_t)snprintf(ret_slave_name, size, "/dev/pts/%u", number) >= size)
		return error_set(err, ENAMETOOLONG, "pty: no room for the name");
	*ret_master = TAKE_FD(fd);
	return 0;
}

int rootfs_mount_console(struct rootfs *r, const char *slave_name, struct error *err)
{
	struct target t = {.path = slave_name, .no_links = true, .final_nofollow = true};
	_cleanup_close_ int fd = -1;
	struct stat st;
	int e = target_open(r->root_fd, &t, r->arena, &fd, NULL);

	if (e < 0)
		return error_errno(err, e, "terminal \"%s\"", slave_name);
	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "terminal \"%s\"", slave_name);
	if (!on_devpts(fd) || !S_ISCHR(st.st_mode) || major(st.st_rdev) < PTS_MAJOR ||
	    major(st.st_rdev) > PTS_MAJOR_LAST)
		return error_set(err, ENODEV, "\"%s\" is not a pty of the container", slave_name);
	return console_mount(r, fd, err);
}
