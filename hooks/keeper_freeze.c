/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/keeper_freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/group_lock.h"
#include "base/io.h"
#include "hooks/confine.h"

#define FILE_MAX 4096
#define LOOK_AGAIN_NS (200 * 1000)
/* What a watchdog says when it has thawed the container: it was told to, or the time was up. */
enum said { SAID_DONE, SAID_TIME_UP };

static void write_state(const struct container_cgroup *c, bool freeze)
{
	if (c->v2)
		write_file_at(c->fd, "cgroup.freeze", freeze ? "1" : "0");
	else
		write_file_at(c->fd, "freezer.state", freeze ? "FROZEN" : "THAWED");
}

static bool file_has(const struct container_cgroup *c, const char *file, const char *text)
{
	_cleanup_free_ char *state = NULL;

	return read_file_at(c->fd, file, FILE_MAX, &state, NULL) == 0 && strstr(state, text);
}

static bool is_frozen(const struct container_cgroup *c)
{
	return c->v2 ? file_has(c, "cgroup.events", "frozen 1") : file_has(c, "freezer.state", "FROZEN");
}

/* By itself or by a cgroup above it, completely or not yet. */
static bool is_being_frozen(const struct container_cgroup *c)
{
	if (c->v2)
		return file_has(c, "cgroup.freeze", "1") || is_frozen(c);
	return !file_has(c, "freezer.state", "THAWED");
}

/* "trusted." attributes are CAP_SYS_ADMIN's. */
static void set_mark(const struct container_cgroup *c)
{
	_cleanup_right_ struct right right = right_raise(CAP_SYS_ADMIN);

	/* Where neither can be set, the container looks paused for the moment. */
	if (fsetxattr(c->fd, FREEZE_MARK, "1", 1, 0) < 0)
		fsetxattr(c->fd, FREEZE_MARK_USER, "1", 1, 0);
}

static bool has_mark(const struct container_cgroup *c)
{
	_cleanup_right_ struct right right = right_raise(CAP_SYS_ADMIN);

	return fgetxattr(c->fd, FREEZE_MARK, NULL, 0) >= 0 || fgetxattr(c->fd, FREEZE_MARK_USER, NULL, 0) >= 0;
}

/* In this order: a mark without frost is looked at and removed, frost without a mark would stay. */
static void thaw(const struct container_cgroup *c)
{
	_cleanup_right_ struct right right = right_raise(CAP_SYS_ADMIN);

	write_state(c, false);
	if (fremovexattr(c->fd, FREEZE_MARK) < 0)
		fremovexattr(c->fd, FREEZE_MARK_USER);
}

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = LOOK_AGAIN_NS}, NULL);
}

/* --- the watchdog --------------------------------------------------------------------- */

/* In the child of a process with threads: nothing that takes a lock of the C library. */
static _Noreturn void watch_over(const struct freeze *f, int socket)
{
	for (;;) {
		int64_t left = f->deadline_ns - clock_boottime_ns();
		struct pollfd p = {.fd = socket, .events = POLLIN};
		unsigned char said;
		int n = left > 0 ? poll(&p, 1, (int)(left / NSEC_PER_MSEC) + 1) : 0;

		if (n < 0)
			continue;
		thaw(f->cgroup);
		group_unlock(f->lock);
		said = n > 0 ? SAID_DONE : SAID_TIME_UP;
		(void)send(socket, &said, 1, MSG_NOSIGNAL);
		_exit(0);
	}
}

static int start_watchdog(struct freeze *f, struct error *err)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return error_set(err, errno, "can't make a socket (error %d)", errno);
	f->watchdog = fork();
	if (f->watchdog == 0) {
		close(ends[1]);
		watch_over(f, ends[0]);
	}
	close(ends[0]);
	f->socket = ends[1];
	if (f->watchdog > 0)
		return 0;
	close(f->socket);
	return error_set(err, errno, "can't start a process (error %d)", errno);
}

/*
 * The end of what it reads is what it waits for. What it says, or -1: it was killed, and thawed nothing. Its exit
 * status would not do: where SIGCHLD is ignored, nobody gets that.
 */
static int end_watchdog(struct freeze *f)
{
	unsigned char said;
	ssize_t n;

	shutdown(f->socket, SHUT_WR);
	do
		n = read(f->socket, &said, 1);
	while (n < 0 && errno == EINTR);
	close(f->socket);
	while (waitpid(f->watchdog, NULL, 0) < 0 && errno == EINTR)
		;
	return n == 1 ? said : -1;
}

/* --- freezing ---------------------------------------------------------------------------- */

static int wait_frozen(const struct freeze *f, struct error *err)
{
	while (!is_frozen(f->cgroup)) {
		if (!file_has(f->cgroup, f->cgroup->v2 ? "cgroup.events" : "freezer.state", ""))
			return error_set(err, ENODEV, "the container has ended");
		if (clock_boottime_ns() >= f->deadline_ns)
			return error_set(err, ETIMEDOUT, "some process of the container did not stop in time");
		nap();
		/* v1: written again, it looks again for what it could not freeze. */
		if (!f->cgroup->v2)
			write_state(f->cgroup, true);
	}
	return 0;
}

int freeze_begin(const struct container_cgroup *c, int64_t max_ns, struct freeze *ret, struct error *err)
{
	struct freeze f = {.cgroup = c, .since_ns = clock_boottime_ns()};
	struct error ignored = ERROR_INIT;
	int64_t ns;
	int r;

	f.lock = group_lock_wanted(c->fd) ? -1 : group_lock(c->fd);
	if (f.lock < 0)
		return error_set(err, EBUSY, "the container is being paused or checkpointed");
	f.deadline_ns = f.since_ns + max_ns;
	if (has_mark(c)) {
		thaw(c); /* a dead keeper's */
		while (is_frozen(c) && clock_boottime_ns() < f.deadline_ns)
			nap();
	}
	if (is_being_frozen(c) && is_frozen(c)) {
		f.watchdog = -1; /* paused: as still as can be, and none of ours to thaw */
		*ret = f;
		return 0;
	}
	if (is_being_frozen(c))
		r = error_set(err, EBUSY, "the container is being paused");
	else
		r = start_watchdog(&f, err);
	if (r < 0) {
		close(f.lock);
		return r;
	}
	set_mark(c);
	write_state(c, true);
	r = wait_frozen(&f, err);
	if (r < 0)
		freeze_end(&f, &ns, &ignored);
	else
		*ret = f;
	return r;
}

int freeze_end(struct freeze *f, int64_t *ret_ns, struct error *err)
{
	int status = f->watchdog < 0 ? SAID_DONE : end_watchdog(f);
	bool torn = f->watchdog < 0 ? !is_frozen(f->cgroup) : status == SAID_TIME_UP;

	/* Not a second time: the lock is open again, and the engine may have paused the container. */
	if (status == -1)
		thaw(f->cgroup);
	*ret_ns = f->watchdog < 0 ? 0 : clock_boottime_ns() - f->since_ns;
	close(f->lock);
	if (!torn)
		return 0;
	return error_set(err, ETIME,
			 "the container would have been frozen for longer than it may be (sync.max_frozen)");
}

void freeze_mend(const struct container_cgroup *c)
{
	_cleanup_close_ int lock = has_mark(c) ? group_lock(c->fd) : -1;

	if (lock >= 0 && has_mark(c))
		thaw(c);
}

int freeze_find(int32_t pid, int pidfd, struct container_cgroup *ret, struct error *err)
{
	if (pidfd < 0 || container_freezer_open(pid, ret, err) < 0)
		return error_set(err, EOPNOTSUPP, "the container has no cgroup of its own that can be frozen");
	if (fd_readable(pidfd)) {
		container_cgroup_close(ret);
		return error_set(err, ESRCH, "the container has ended");
	}
	freeze_mend(ret);
	return 0;
}

/* --- what is mapped ------------------------------------------------------------------------- */

/* Past so many files of which each process may map any: all. */
#define MAPPED_MAX 8192

struct mapped_list {
	struct commit_mapped *m;
	int64_t deadline_ns;
	size_t room;
};

static int by_number(const void *a, const void *b)
{
	ino_t x = *(const ino_t *)a, y = *(const ino_t *)b;

	return x < y ? -1 : x > y;
}

static void forget_doubles(struct commit_mapped *m)
{
	size_t n = 0;

	qsort(m->inodes, m->n, sizeof(*m->inodes), by_number);
	for (size_t i = 0; i < m->n; i++)
		if (n == 0 || m->inodes[n - 1] != m->inodes[i])
			m->inodes[n++] = m->inodes[i];
	m->n = n;
}

/* Everybody is frozen meanwhile, and the container says how many there are. */
static void add_inode(struct mapped_list *l, ino_t ino)
{
	struct commit_mapped *m = l->m;

	if (m->n == MAPPED_MAX) {
		forget_doubles(m);
		m->all |= m->n > MAPPED_MAX / 2;
	}
	if (m->n == l->room) {
		size_t room = l->room ? l->room * 2 : 64;
		ino_t *all = reallocarray(m->inodes, room, sizeof(*all));

		if (!all) {
			m->all = true;
			return;
		}
		m->inodes = all;
		l->room = room;
	}
	m->inodes[m->n++] = ino;
}

/* "start-end rwxs offset dev inode path" (proc_pid_maps(5)). By the inode alone: the device of some file systems is
 * another in stat(2). One too many costs the reading of a file. */
static bool look_at_maps(pid_t pid, void *ctx)
{
	struct mapped_list *l = ctx;
	_cleanup_free_ char *line = NULL;
	char path[64], perms[5];
	uint64_t ino;
	size_t size = 0;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	if (!maps) {
		l->m->all |= errno != ENOENT && errno != ESRCH;
		return l->m->all;
	}
	while (!l->m->all && getline(&line, &size, maps) > 0)
		if (sscanf(line, "%*s %4s %*s %*s %" SCNu64, perms, &ino) == 2 && perms[3] == 's' && ino > 0)
			add_inode(l, (ino_t)ino);
	if (ferror(maps) || clock_boottime_ns() >= l->deadline_ns)
		l->m->all = true;
	fclose(maps);
	return l->m->all;
}

void freeze_mapped(const struct container_cgroup *c, int64_t deadline_ns, struct commit_mapped *m)
{
	struct mapped_list l = {.m = m, .deadline_ns = deadline_ns, .room = m->n};
	_cleanup_right_ struct right right = right_raise(CAP_SYS_PTRACE);

	if (container_cgroup_each(c, look_at_maps, &l) < 0)
		m->all = true;
}
