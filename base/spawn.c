/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/io.h"
#include "base/sys.h"

extern char **environ;

/* Which of the kept descriptors comes next above `last`; -1: none. */
static int next_kept(const struct spawn *s, int last)
{
	int best = -1;

	for (size_t i = 0; i < s->n_keep_fds; i++)
		if (s->keep_fds[i] > last && (best < 0 || s->keep_fds[i] < best))
			best = s->keep_fds[i];
	return best;
}

static void close_others(const struct spawn *s, int report)
{
	int last = STDERR_FILENO, next;

	while ((next = next_kept(s, last)) >= 0) {
		if (next > last + 1)
			sys_close_range((unsigned)last + 1, (unsigned)next - 1, CLOSE_RANGE_CLOEXEC);
		fcntl(next, F_SETFD, 0);
		last = next;
	}
	sys_close_range((unsigned)last + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	fcntl(report, F_SETFD, FD_CLOEXEC);
}

static int child_stdio(const struct spawn *s, int in, int err_fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(in >= 0 ? in : null, STDIN_FILENO) < 0)
		return -errno;
	if (!s->stdout_inherit && dup2(s->stdout_fd > 0 ? s->stdout_fd : null, STDOUT_FILENO) < 0)
		return -errno;
	if (err_fd >= 0 && dup2(err_fd, STDERR_FILENO) < 0)
		return -errno;
	return 0;
}

/* After the fork. The errno of what failed before execve goes back over `report`. */
static __attribute__((noreturn)) void run_child(const struct spawn *s, int in, int err_fd, int report)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;
	int code;

	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (s->new_session)
		setsid();
	if (s->new_group)
		setpgid(0, 0);
	code = -child_stdio(s, in, err_fd);
	if (code == 0) {
		close_others(s, report);
		if (s->last)
			s->last(s->last_ctx);
		execve(s->path, (char *const *)s->argv, s->envp ? (char *const *)s->envp : environ);
		code = errno;
	}
	(void)!write(report, &code, sizeof(code));
	_exit(127);
}

/* A file in memory: nobody has to feed it, and a program may open /dev/stdin by its path, as it can't a socket. */
static int make_input(const struct spawn *s, int *ret_fd)
{
	_cleanup_close_ int fd = memfd_create("stdin", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = pwrite_all(fd, s->input, s->input_len, 0);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int start(const struct spawn *s, struct spawned *run, struct error *err)
{
	_cleanup_close_ int in_child = -1, err_child = -1, report = -1, report_child = -1;
	int pair[2], code;

	if (s->input && s->input_fd <= 0) {
		code = make_input(s, &in_child);
		if (code < 0)
			return error_errno(err, code, "run %s: input", s->path);
	}
	if (s->stderr_buf && s->stderr_fd <= 0) {
		if (pipe2(pair, O_CLOEXEC) < 0)
			return error_errno(err, errno, "run %s: pipe", s->path);
		run->err_fd = pair[0];
		err_child = pair[1];
	}
	if (pipe2(pair, O_CLOEXEC) < 0)
		return error_errno(err, errno, "run %s: pipe", s->path);
	report = pair[0];
	report_child = pair[1];
	run->pid = fork();
	if (run->pid < 0)
		return error_errno(err, errno, "run %s: fork", s->path);
	if (run->pid == 0)
		run_child(s, s->input_fd > 0 ? s->input_fd : in_child,
			  err_child >= 0     ? err_child
			  : s->stderr_fd > 0 ? s->stderr_fd
					     : -1,
			  report_child);
	close(TAKE_FD(report_child));
	if (read(report, &code, sizeof(code)) == sizeof(code)) {
		waitpid(run->pid, NULL, 0);
		return error_errno(err, code, "run %s", s->path);
	}
	run->pidfd = sys_pidfd_open(run->pid, 0);
	if (run->pidfd < 0) {
		code = errno;
		kill(run->pid, SIGKILL);
		waitpid(run->pid, NULL, 0);
		return error_errno(err, code, "run %s: pidfd_open", s->path);
	}
	return 0;
}

static void drain(const struct spawn *s, struct spawned *run)
{
	char buf[1024];
	ssize_t n = read(run->err_fd, buf, sizeof(buf));
	size_t room = s->stderr_size - 1 - run->err_len;

	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0) {
		close(TAKE_FD(run->err_fd));
		return;
	}
	if ((size_t)n < room)
		room = (size_t)n;
	memcpy(s->stderr_buf + run->err_len, buf, room);
	run->err_len += room;
	s->stderr_buf[run->err_len] = '\0';
}

/* Milliseconds for poll until the deadline, rounded up; -1: none. */
static int poll_time(int64_t deadline)
{
	int64_t left;

	if (!deadline)
		return -1;
	left = deadline - clock_boottime_ns();
	if (left <= 0)
		return 0;
	left = (left + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;
	return left > 1000000 ? 1000000 : (int)left;
}

/* Until the program has ended; what it leaves behind may keep its stderr open, so its end counts, not theirs. */
static int serve(const struct spawn *s, struct spawned *run)
{
	for (;;) {
		struct pollfd fds[] = {
		    {.fd = run->pidfd, .events = POLLIN},
		    {.fd = run->err_fd, .events = POLLIN},
		    {.fd = s->stop_fd > 0 ? s->stop_fd : -1, .events = POLLIN},
		};
		int r = poll(fds, 3, poll_time(run->deadline_ns));

		if (r < 0 && errno != EINTR)
			return -errno;
		if (r == 0)
			return -ETIMEDOUT;
		if (r < 0)
			continue;
		if (fds[2].revents)
			return -ECANCELED;
		if (fds[1].revents)
			drain(s, run);
		else if (fds[0].revents)
			return 0;
	}
}

static void spawned_close(struct spawned *run)
{
	cleanup_close(&run->pidfd);
	cleanup_close(&run->err_fd);
}

int spawn_start(const struct spawn *s, struct spawned *ret, struct error *err)
{
	int r;

	*ret = (struct spawned){.pid = -1, .pidfd = -1, .err_fd = -1};
	if (s->timeout_ns)
		ret->deadline_ns = clock_boottime_ns() + s->timeout_ns;
	if (s->stderr_buf)
		s->stderr_buf[0] = '\0';
	r = start(s, ret, err);
	if (r < 0)
		spawned_close(ret);
	return r;
}

int spawn_finish(const struct spawn *s, struct spawned *run, struct error *err)
{
	int status, r = serve(s, run);
	pid_t waited;

	if (r < 0)
		kill(s->new_group ? -run->pid : run->pid, SIGKILL);
	do
		waited = waitpid(run->pid, &status, 0);
	while (waited < 0 && errno == EINTR);
	spawned_close(run);
	if (r == -ETIMEDOUT)
		return error_set(err, ETIMEDOUT, "%s did not end within %g s and was killed", s->path,
				 (double)s->timeout_ns / NSEC_PER_SEC);
	if (r == -ECANCELED)
		return error_set(err, ECANCELED, "%s was no longer waited for, and killed", s->path);
	if (r < 0)
		return error_errno(err, r, "run %s: poll", s->path);
	if (waited < 0)
		return error_errno(err, ECHILD, "run %s: its exit status", s->path);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int spawn_run(const struct spawn *s, struct error *err)
{
	struct spawned run;
	int r = spawn_start(s, &run, err);

	return r < 0 ? r : spawn_finish(s, &run, err);
}

pid_t spawn_orphan(void)
{
	_cleanup_close_ int ours = -1, theirs = -1;
	pid_t child, orphan = -1;
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) < 0)
		return -1;
	ours = pair[0];
	theirs = pair[1];
	child = fork();
	if (child < 0)
		return -1;
	if (child == 0) {
		orphan = fork();
		if (orphan == 0)
			return 0;
		(void)!write(theirs, &orphan, sizeof(orphan));
		_exit(0);
	}
	close(TAKE_FD(theirs));
	if (read(ours, &orphan, sizeof(orphan)) != sizeof(orphan))
		orphan = -1;
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return orphan;
}
