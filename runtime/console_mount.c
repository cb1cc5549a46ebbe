/* SPDX-License-Identifier: Apache-2.0 */
/* The container's terminal: a pty of its own devpts, believed only by descriptor (CVE-2025-52565). */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/target.h"
#include "runtime/console.h"
#include "runtime/devices.h"

#define PTS_MAJOR 136 /* UNIX98_PTY_SLAVE_MAJOR, with its sequels up to 143 */
#define PTS_MAJOR_LAST 143

int rootfs_open_pty(struct rootfs *r, int *ret_master, char *ret_slave_name, size_t size, struct error *err)
{
	_cleanup_close_ int host = -1;
	int e = console_open(r->root_fd, ret_master, ret_slave_name, size, err);

	if (e == 0 || spec_find_namespace(r->spec, SPEC_NS_MOUNT))
		return e;
	/* Nothing was mounted: the terminal is one of the runtime's own. */
	host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return host < 0 ? e : console_open(host, ret_master, ret_slave_name, size, err);
}

int rootfs_mount_console(struct rootfs *r, const char *slave_name, struct error *err)
{
	struct target t = {.path = slave_name, .no_links = true, .final_nofollow = true};
	_cleanup_close_ int fd = -1;
	struct stat st;
	int e;

	/* It would be the host's /dev/console. */
	if (!spec_find_namespace(r->spec, SPEC_NS_MOUNT))
		return 0;
	e = target_open(r->root_fd, &t, r->arena, &fd, NULL);

	if (e < 0)
		return error_errno(err, e, "terminal \"%s\"", slave_name);
	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "terminal \"%s\"", slave_name);
	if (!console_on_devpts(fd) || !S_ISCHR(st.st_mode) || major(st.st_rdev) < PTS_MAJOR ||
	    major(st.st_rdev) > PTS_MAJOR_LAST)
		return error_set(err, ENODEV, "\"%s\" is not a pty of the container", slave_name);
	return console_mount(r, fd, err);
}
