/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/unix.h"

int console_open(const char *ptmx, int *ret_master, char *name, size_t name_size, struct error *err)
{
	_cleanup_close_ int master = open(ptmx, O_RDWR | O_NOCTTY | O_CLOEXEC);
	unsigned n;
	int unlock = 0;

	if (master < 0)
		return error_errno(err, errno, "open a terminal at %s", ptmx);
	if (ioctl(master, TIOCGPTN, &n) < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return error_errno(err, errno, "make a terminal of %s", ptmx);
	snprintf(name, name_size, "/dev/pts/%u", n);
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
