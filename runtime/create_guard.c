/* SPDX-License-Identifier: Apache-2.0 */
/*
 * While volumes are fetched a create may wait for minutes, and who called it kills it then (containerd, with SIGKILL),
 * and never says `delete` for what it has not got. A child that waits with it takes away what it had made.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "runtime/create_internal.h"
#include "runtime/delete.h"
#include "runtime/volumes.h"

/* The lock on the id came with the directory's descriptor, so that nobody else makes or deletes it meanwhile. */
static void take_away(struct create *c)
{
	_cleanup_container_ struct container dead = CONTAINER_INIT;
	_cleanup_strbuf_ struct strbuf notes = STRBUF_INIT;
	const char *root = c->request->globals->root;
	struct error ignored = ERROR_INIT;

	if (container_open(root, c->request->id, c->arena, &dead, &ignored) < 0)
		return;
	close(dead.dir_fd);
	dead.dir_fd = TAKE_FD(c->dir_fd);
	container_delete(root, &dead, true, &notes, &ignored);
}

static void guard(struct create *c, int creator) __attribute__((noreturn));
static void guard(struct create *c, int creator)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char byte;

	/* Nobody waits for the end of our output, or for the hook's socket to close. */
	for (int fd = 0; fd <= 2; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			close(fd);
	volumes_forget(c->hook);
	close(c->sock);
	setsid();
	while (read(creator, &byte, 1) < 0 && errno == EINTR)
		;
	take_away(c);
	_exit(0);
}

int create_guard(struct create *c, struct create_guard *ret, struct error *err)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(err, errno, "can't make a pipe (error %d)", errno);
	pid = fork();
	if (pid == 0) {
		close(ends[1]);
		guard(c, ends[0]);
	}
	close(ends[0]);
	if (pid < 0) {
		int e = errno;

		close(ends[1]);
		return error_set(err, e, "can't start a process (error %d)", e);
	}
	*ret = (struct create_guard){.pid = pid, .fd = ends[1]};
	return 0;
}

void create_unguard(struct create_guard *g)
{
	if (g->pid == 0)
		return;
	/* First: it would take the closed pipe for our death. */
	kill(g->pid, SIGKILL);
	close(g->fd);
	while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
		;
	g->pid = 0;
}
