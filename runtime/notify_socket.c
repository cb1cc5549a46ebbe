/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/notify_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/unix.h"

#define NOTIFY_DIR "notify"
#define NOTIFY_NAME NOTIFY_DIR "/notify.sock"
#define INSIDE_DIR "/run/notify"
#define INSIDE_ENV "NOTIFY_SOCKET=" INSIDE_DIR "/notify.sock"
#define BARRIER_TIMEOUT_MS 30000

static const char *host_socket(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	return path && *path ? path : NULL;
}

/* --- create -------------------------------------------------------------------------- */

static int add_mount(int dir_fd, struct spec *spec, struct arena *arena, struct error *err)
{
	static const char *options[] = {"bind", "ro", "nosuid", "noexec", "nodev", "rprivate", NULL};
	struct spec_mount *mounts = arena_calloc(arena, spec->n_mounts + 1, sizeof(*mounts));
	char link[FD_PATH_MAX], path[PATH_MAX];
	const char *source;
	ssize_t n = readlink(fd_path(dir_fd, link), path, sizeof(path) - 1);

	if (n < 0)
		return error_errno(err, errno, "find the path of the container's directory");
	source = arena_printf(arena, "%.*s/" NOTIFY_DIR, (int)n, path);
	if (!mounts || !source)
		return error_set(err, ENOMEM, "out of memory");
	if (spec->n_mounts)
		memcpy(mounts, spec->mounts, spec->n_mounts * sizeof(*mounts));
	mounts[spec->n_mounts++] = (struct spec_mount){.destination = INSIDE_DIR,
						       .type = "bind",
						       .source = source,
						       .options = options,
						       .n_options = ARRAY_SIZE(options) - 1};
	spec->mounts = mounts;
	return 0;
}

static int add_env(struct spec_process *p, struct arena *arena, struct error *err)
{
	const char **env = arena_calloc(arena, p->n_env + 2, sizeof(*env));
	size_t n = 0;

	if (!env)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < p->n_env; i++)
		if (strncmp(p->env[i], INSIDE_ENV, strlen("NOTIFY_SOCKET=")) != 0)
			env[n++] = p->env[i];
	env[n++] = INSIDE_ENV;
	p->env = env;
	p->n_env = n;
	return 0;
}

int notify_socket_prepare(int dir_fd, struct spec *spec, struct arena *arena, struct error *err)
{
	int r;

	if (!host_socket())
		return 0;
	if (mkdirat(dir_fd, NOTIFY_DIR, 0700) < 0 || fchmodat(dir_fd, NOTIFY_DIR, 0755, 0) < 0)
		return error_errno(err, errno, "make the directory of the container's notify socket");
	r = add_mount(dir_fd, spec, arena, err);
	return r == 0 ? add_env(spec->process, arena, err) : r;
}

/* --- start ----------------------------------------------------------------------------- */

int notify_socket_listen(int dir_fd, int *ret_sock, struct error *err)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	_cleanup_close_ int sock = -1;

	*ret_sock = -1;
	if (!host_socket() || faccessat(dir_fd, NOTIFY_DIR, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/" NOTIFY_NAME, dir_fd);
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Any user of the container may write to it. */
	if (sock < 0 || bind(sock, (const struct sockaddr *)&a, sizeof(a)) < 0 ||
	    fchmodat(dir_fd, NOTIFY_NAME, 0777, 0) < 0)
		return error_errno(err, errno, "listen on the container's notify socket");
	*ret_sock = TAKE_FD(sock);
	return 0;
}

static bool says_ready(char *text)
{
	char *line;

	while ((line = strsep(&text, "\n")))
		if (strcmp(line, "READY=1") == 0)
			return true;
	return false;
}

/* sd_notify_barrier(3): the manager closes the descriptor when it has handled all messages before. */
static int wait_barrier(int host)
{
	_cleanup_close_ int ours = -1, theirs = -1;
	struct pollfd p = {.events = 0};
	int pair[2], r;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	ours = pair[0];
	theirs = pair[1];
	r = send_fds(host, "BARRIER=1", strlen("BARRIER=1"), &theirs, 1);
	close(TAKE_FD(theirs));
	p.fd = ours;
	/* One that knows no barriers closes it, too; one that hangs doesn't stop the container. */
	while (r == 0 && poll(&p, 1, BARRIER_TIMEOUT_MS) < 0)
		if (errno != EINTR)
			return -errno;
	return r;
}

int notify_socket_forward(int sock, pid_t pid, bool barrier, struct error *err)
{
	_cleanup_close_ int host = -1;
	char text[4096 + 1];
	ssize_t n = recv(sock, text, sizeof(text) - 1, 0);
	int r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return error_errno(err, errno, "read the container's notify socket");
	text[n] = '\0';
	if (!says_ready(text))
		return 0;
	host = unix_connect(host_socket(), SOCK_DGRAM);
	if (host < 0)
		return error_errno(err, host, "tell $NOTIFY_SOCKET (%s) that the container is ready", host_socket());
	r = send_fds(host, "READY=1", strlen("READY=1"), NULL, 0);
	n = snprintf(text, sizeof(text), "MAINPID=%d", pid);
	if (r == 0)
		r = send_fds(host, text, (size_t)n, NULL, 0);
	if (r == 0 && barrier)
		r = wait_barrier(host);
	if (r < 0)
		return error_errno(err, r, "tell $NOTIFY_SOCKET (%s) that the container is ready", host_socket());
	return 1;
}

int notify_socket_serve(int sock, int pidfd, pid_t pid, struct error *err)
{
	struct pollfd p[] = {{.fd = sock, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};

	while (sock >= 0) {
		int r = poll(p, ARRAY_SIZE(p), pidfd >= 0 ? -1 : 0);

		if (r < 0 && errno != EINTR)
			return error_errno(err, errno, "wait for the container to be ready");
		if (r < 0)
			continue;
		if (!(p[0].revents & POLLIN))
			return 0;
		r = notify_socket_forward(sock, pid, true, err);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return 0;
}
