/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/console.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "base/unix.h"
#include "runtime/devices.h"

bool console_on_devpts(int fd)
{
	struct statfs sfs;

	return fstatfs(fd, &sfs) == 0 && sfs.f_type == DEVPTS_SUPER_MAGIC;
}

int console_open(int root_fd, int *ret_master, char *name, size_t name_size, struct error *err)
{
	/* Looked at before it is opened: that alone could start something, if it were another device. */
	_cleanup_close_ int pts =
	    sys_openat2(root_fd, "dev/pts", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
	_cleanup_close_ int master = -1;
	int unlock = 0, r;
	unsigned n;

	if (pts < 0)
		return error_errno(err, errno, "open the container's /dev/pts");
	if (!console_on_devpts(pts))
		return error_set(err, ENODEV, "the container's /dev/pts is no file system of terminals (devpts)");
	master = openat(pts, "ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
	if (master < 0)
		return error_errno(err, errno, "open the container's /dev/pts/ptmx");
	r = console_on_devpts(master) ? device_check(master, S_IFCHR, makedev(5, 2)) : -ENODEV;
	if (r < 0)
		return error_set(err, r, "the container's /dev/pts/ptmx is not a pty multiplexer");
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0 || ioctl(master, TIOCGPTN, &n) < 0)
		return error_errno(err, errno, "make a terminal of the container's /dev/pts/ptmx");
	if ((size_t)snprintf(name, name_size, "/dev/pts/%u", n) >= name_size)
		return error_set(err, ENAMETOOLONG, "terminal: no room for the name");
	*ret_master = TAKE_FD(master);
	return 0;
}

int console_attach(int master, const struct spec_console_size *size, struct error *err)
{
	/* TIOCGPTPEER (Linux 4.13): no path that the container could have put something else on. */
	_cleanup_close_ int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (slave < 0)
		return error_errno(err, errno, "open the terminal's slave");
	if (size && size->height && size->width) {
		struct winsize ws = {.ws_row = (unsigned short)size->height, .ws_col = (unsigned short)size->width};

		if (ioctl(slave, TIOCSWINSZ, &ws) < 0)
			return error_errno(err, errno, "set the terminal's size");
	}
	for (int fd = 0; fd <= 2; fd++)
		if (dup2(slave, fd) < 0)
			return error_errno(err, errno, "make the terminal descriptor %d", fd);
	if (slave <= 2)
		slave = -1;
	if (ioctl(0, TIOCSCTTY, 0) < 0)
		return error_errno(err, errno, "make the terminal the controlling one");
	return 0;
}

void console_clear_onlcr(int master)
{
	struct termios t;

	if (tcgetattr(master, &t) < 0)
		return;
	t.c_oflag &= ~(tcflag_t)ONLCR;
	tcsetattr(master, TCSANOW, &t);
}

int console_socket_connect(const char *path, int *ret, struct error *err)
{
	int fd = unix_connect(path, SOCK_STREAM);

	if (fd < 0)
		return error_errno(err, fd, "connect to the console socket %s", path);
	*ret = fd;
	return 0;
}

int console_socket_send(int sock, int master, const char *name, struct error *err)
{
	int r = send_fds(sock, name, strlen(name), &master, 1);

	return r < 0 ? error_errno(err, r, "send the terminal over the console socket") : 0;
}
