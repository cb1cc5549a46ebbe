/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "runtime/state_dir.h"

static struct sockaddr_un start_address(int dir_fd)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/" STATE_START_SOCKET, dir_fd);
	return a;
}

int start_socket_new(int *ret, struct error *err)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return error_errno(err, errno, "make the start socket");
	*ret = fd;
	return 0;
}

int start_socket_listen(int sock, int dir_fd, struct error *err)
{
	struct sockaddr_un a = start_address(dir_fd);

	if (bind(sock, (const struct sockaddr *)&a, sizeof(a)) < 0 || listen(sock, 8) < 0)
		return error_errno(err, errno, "listen on the start socket");
	return 0;
}

int start_socket_connect(int dir_fd, int *ret, struct error *err)
{
	struct sockaddr_un a = start_address(dir_fd);
	_cleanup_close_ int fd = -1;
	int r = start_socket_new(&fd, err);

	if (r < 0)
		return r;
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		return error_errno(err, errno, "connect to the container's start socket");
	*ret = TAKE_FD(fd);
	return 0;
}
