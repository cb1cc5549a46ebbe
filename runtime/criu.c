/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/criu.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"

#define CRIU_SOCKET 3
/* Its answers are some hundred bytes. */
#define MESSAGE_MAX 65536
#define FDS_MAX 16
#define END_TIMEOUT_MS 5000

int criu_find(struct arena *arena, const char **ret, struct error *err)
{
	const char *p = getenv("PATH");

	if (!p || !*p)
		p = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	while (*p) {
		size_t n = strcspn(p, ":");
		const char *path = *p == '/' ? arena_printf(arena, "%.*s/criu", (int)n, p) : NULL;
		struct stat st;

		if (path && stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0) {
			*ret = path;
			return 0;
		}
		p += n + (p[n] == ':');
	}
	return error_set(err, ENOENT, "criu not found in PATH: install it (Debian: criu)");
}

/* --- the new process ---------------------------------------------------------------- */

/* Each to its place: over copies above all of these, since they may be in each other's way. */
static int arrange_fds(const int *fds, size_t n, struct error *err)
{
	int copies[FDS_MAX];

	for (size_t i = 0; i < n; i++) {
		copies[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, CRIU_SOCKET + FDS_MAX);
		if (copies[i] < 0)
			return error_errno(err, errno, "run criu: descriptors");
	}
	for (size_t i = 0; i < n; i++)
		if (dup2(copies[i], CRIU_SOCKET + (int)i) < 0)
			return error_errno(err, errno, "run criu: descriptors");
	sys_close_range(CRIU_SOCKET + (unsigned)n, ~0U, CLOSE_RANGE_CLOEXEC);
	return 0;
}

/*
 * criu asks the socket who has made it, and takes the numbers of descriptors for that process's: so we make it here,
 * and they are its own. The directories are opened here, too: they must be of the mount namespace that criu is in, as
 * it mounts something in its working directory.
 */
static int become_criu(const struct criu_start *s, int report, struct error *err)
{
	int pair[2], fds[FDS_MAX], r = s->prepare ? s->prepare(s->arg, err) : 0;

	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(err, errno, "run criu: socketpair");
	fds[0] = pair[1];
	fds[1] = open(s->images, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fds[2] = open(s->work ? s->work : s->images, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fds[1] < 0 || fds[2] < 0)
		return error_errno(err, errno, "open the directory %s", fds[1] < 0 || !s->work ? s->images : s->work);
	if (s->n_fds)
		memcpy(&fds[3], s->fds, s->n_fds * sizeof(*fds));
	r = send_fds(report, "", 1, &pair[0], 1);
	if (r < 0)
		return error_errno(err, r, "run criu: socket");
	close(pair[0]);
	r = arrange_fds(fds, s->n_fds + 3, err);
	if (r < 0)
		return r;
	execl(s->path, "criu", "swrk", "3", (char *)NULL);
	return error_errno(err, errno, "run %s", s->path);
}

static void run_child(const struct criu_start *s, int report) __attribute__((noreturn));
static void run_child(const struct criu_start *s, int report)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	struct error err = ERROR_INIT;
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Out of the way of arrange_fds. */
	report = fcntl(report, F_DUPFD_CLOEXEC, CRIU_SOCKET + 2 * FDS_MAX);
	become_criu(s, report, &err);
	(void)!write(report, &err, sizeof(err));
	_exit(127);
}

/* The socket, and then the end of the stream: it is criu now. Or why not. */
static int wait_started(struct criu *c, int report, struct error *err)
{
	for (;;) {
		_cleanup_close_ int fd = -1;
		struct error e;
		size_t n_fds = 1;
		ssize_t n = recv_fds(report, &e, sizeof(e), &fd, &n_fds);

		if (n < 0 || (n == 0 && c->sock < 0))
			return error_errno(err, n < 0 ? (int)n : ECHILD, "run criu");
		if (n == 0)
			return 0;
		if (n_fds == 0)
			fd = -1;
		if (fd < 0) {
			*err = e;
			return -e.code;
		}
		c->sock = TAKE_FD(fd);
	}
}

int criu_start(struct criu *c, const struct criu_start *s, struct error *err)
{
	_cleanup_close_ int report = -1, theirs = -1;
	int pair[2], r;

	if (s->n_fds + 3 > FDS_MAX)
		return error_set(err, E2BIG, "run criu: too many descriptors");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(err, errno, "run criu: socketpair");
	report = pair[0];
	theirs = pair[1];
	c->pid = fork();
	if (c->pid < 0) {
		c->pid = 0;
		return error_errno(err, errno, "run criu: fork");
	}
	if (c->pid == 0)
		run_child(s, theirs);
	close(TAKE_FD(theirs));
	r = wait_started(c, report, err);
	if (r < 0)
		criu_end(c);
	return r;
}

void criu_end(struct criu *c)
{
	cleanup_close(&c->sock);
	c->sock = -1;
	if (c->pid <= 0)
		return;
	kill(c->pid, SIGKILL);
	while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
		;
	c->pid = 0;
}

/* --- the talk -------------------------------------------------------------------------- */

/* The first line of the log that has an error in it: the others follow from it. */
static bool first_error(const char *path, char *out, size_t size)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char line[1024];

	while (f && fgets(line, sizeof(line), f)) {
		const char *at = strstr(line, "Error (");

		if (at) {
			line[strcspn(line, "\n")] = '\0';
			snprintf(out, size, "%s", at);
			return true;
		}
	}
	return false;
}

static int failed(const struct criu_request *r, const char *log_dir, const struct criu_response *last,
		  struct error *err)
{
	char text[512], path[4096];

	snprintf(path, sizeof(path), "%s/%s", log_dir, r->log_file);
	if (last->message[0])
		snprintf(text, sizeof(text), "%s", last->message);
	else if (!first_error(path, text, sizeof(text)))
		snprintf(text, sizeof(text), "it ended without saying why");
	return error_set(err, EIO, "criu failed: %s (log: %s)", text, path);
}

static int send_message(int sock, struct strbuf *m)
{
	ssize_t n;

	if (m->failed)
		return -ENOMEM;
	do
		n = send(sock, m->data, m->len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* Until there is something to read. */
static void wait_message(struct criu *c)
{
	struct pollfd p[] = {{.fd = c->sock, .events = POLLIN}, {.fd = c->init_pidfd, .events = POLLIN}};

	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return;
		if (p[0].revents)
			return;
		if (p[1].revents && poll(p, 1, END_TIMEOUT_MS) == 0)
			kill(c->pid, SIGKILL);
		if (p[1].revents)
			p[1].fd = -1;
		p[1].revents = 0;
	}
}

/* 1: a notification was answered, 0: that was the end. */
static int serve(struct criu *c, criu_notify_fn notify, void *arg, struct criu_response *last, struct error *err)
{
	_cleanup_strbuf_ struct strbuf reply = STRBUF_INIT;
	_cleanup_free_ char *buf = malloc(MESSAGE_MAX);
	_cleanup_close_ int fd = -1;
	size_t n_fds = 1;
	ssize_t n;
	int r;

	wait_message(c);
	n = buf ? recv_fds(c->sock, buf, MESSAGE_MAX, &fd, &n_fds) : -ENOMEM;
	if (n_fds == 0)
		fd = -1;
	if (n <= 0)
		return (int)n;
	r = criu_response_parse(buf, (size_t)n, last);
	if (r < 0 || last->type != CRIU_NOTIFY)
		return r;
	r = notify ? notify(arg, last, fd, err) : 0;
	criu_reply_write(&reply, r == 0);
	return send_message(c->sock, &reply) < 0 ? -EPIPE : 1;
}

static bool wait_end(struct criu *c)
{
	int status = 1;

	cleanup_close(&c->sock);
	c->sock = -1;
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
	c->pid = 0;
	return status == 0;
}

int criu_talk(struct criu *c, const struct criu_request *r, const char *log_dir, criu_notify_fn notify, void *arg,
	      pid_t *ret_pid, struct error *err)
{
	_cleanup_strbuf_ struct strbuf request = STRBUF_INIT;
	struct criu_response last = {0};
	struct error own = ERROR_INIT;
	int e;

	criu_request_write(&request, r);
	e = send_message(c->sock, &request);
	if (e == -ENOMEM || e == -EMSGSIZE)
		return error_errno(err, e, "ask criu");
	/* Not sent, or broken off: then it has ended, and the log says why. */
	do
		e = e < 0 ? 0 : serve(c, notify, arg, &last, own.code ? &(struct error)ERROR_INIT : &own);
	while (e > 0);
	if (!wait_end(c) || e < 0 || last.type != r->type || !last.success) {
		if (own.code == 0)
			return failed(r, log_dir, &last, err);
		*err = own;
		return -own.code;
	}
	if (ret_pid)
		*ret_pid = last.pid;
	return 0;
}
