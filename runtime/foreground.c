/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "runtime/console.h"
#include "runtime/notify_socket.h"

/* Our terminal in raw mode, and how it was. */
struct raw_terminal {
	struct termios saved;
	bool active;
};

static void raw_end(struct raw_terminal *t)
{
	if (t->active)
		tcsetattr(STDIN_FILENO, TCSANOW, &t->saved);
	t->active = false;
}

static void raw_begin(struct raw_terminal *t)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &t->saved) < 0)
		return;
	raw = t->saved;
	cfmakeraw(&raw);
	raw.c_oflag |= OPOST; /* see console_clear_onlcr */
	t->active = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

static void copy_window_size(int master)
{
	struct winsize ws;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) == 0)
		ioctl(master, TIOCSWINSZ, &ws);
}

/* Returns false at the end of the stream. */
static bool copy_some(int from, int to)
{
	char buf[8192];
	ssize_t n = read(from, buf, sizeof(buf));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	/* A reader that is gone must not keep the container from going on. */
	return n > 0 && write_all(to, buf, (size_t)n) == 0;
}

static void pass_signals(int signals, int pidfd, int master)
{
	struct signalfd_siginfo info;

	while (read(signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			continue;
		if (info.ssi_signo == SIGWINCH && master >= 0)
			copy_window_size(master);
		else
			sys_pidfd_send_signal(pidfd, (int)info.ssi_signo, NULL, 0);
	}
}

static int open_signals(sigset_t *ret_saved, struct error *err)
{
	/* What a fault in ourselves raises stays ours. */
	static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGPIPE};
	sigset_t set;
	int fd;

	sigfillset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		sigdelset(&set, own[i]);
	sigprocmask(SIG_BLOCK, &set, ret_saved);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? error_errno(err, errno, "wait for signals") : fd;
}

static void relay(pid_t pid, int pidfd, int master, int notify, int signals)
{
	struct pollfd p[] = {
	    {.fd = pidfd, .events = POLLIN},  {.fd = signals, .events = POLLIN},
	    {.fd = master, .events = POLLIN}, {.fd = master >= 0 ? STDIN_FILENO : -1, .events = POLLIN},
	    {.fd = notify, .events = POLLIN},
	};
	struct error ignored = ERROR_INIT;

	for (;;) {
		if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
			return;
		if (p[1].revents & POLLIN)
			pass_signals(signals, pidfd, master);
		if ((p[2].revents & (POLLIN | POLLHUP | POLLERR)) && !copy_some(master, STDOUT_FILENO))
			p[2].fd = -1;
		if ((p[3].revents & (POLLIN | POLLHUP | POLLERR)) && !copy_some(STDIN_FILENO, master))
			p[3].fd = -1;
		/* The container runs whether its readiness could be told or not. */
		if ((p[4].revents & POLLIN) && notify_socket_forward(notify, pid, false, &ignored) != 0)
			p[4].fd = -1;
		if (p[0].revents & POLLIN)
			break;
	}
	/* What the container wrote last. */
	if (p[2].fd >= 0 && fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK) == 0)
		for (p[2].revents = 0; poll(&p[2], 1, 0) == 1 && copy_some(master, STDOUT_FILENO); p[2].revents = 0)
			;
}

int foreground_wait(pid_t pid, int pidfd, int master, int notify, struct error *err)
{
	_cleanup_(raw_end) struct raw_terminal terminal = {.active = false};
	_cleanup_close_ int signals = -1;
	sigset_t saved;
	int status;

	signals = open_signals(&saved, err);
	if (signals < 0)
		return -err->code;
	if (master >= 0) {
		copy_window_size(master);
		raw_begin(&terminal);
	}
	relay(pid, pidfd, master, notify, signals);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_errno(err, errno, "wait for the container's process");
	sigprocmask(SIG_SETMASK, &saved, NULL);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
