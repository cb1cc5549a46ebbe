/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "base/sys.h"
#include "runtime/handshake.h"
#include "runtime/process.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

static const int ns_flags[SPEC_NS_COUNT] = {
    [SPEC_NS_PID] = CLONE_NEWPID,	[SPEC_NS_NETWORK] = CLONE_NEWNET, [SPEC_NS_MOUNT] = CLONE_NEWNS,
    [SPEC_NS_IPC] = CLONE_NEWIPC,	[SPEC_NS_UTS] = CLONE_NEWUTS,	  [SPEC_NS_USER] = CLONE_NEWUSER,
    [SPEC_NS_CGROUP] = CLONE_NEWCGROUP, [SPEC_NS_TIME] = CLONE_NEWTIME,
};

/* The user namespace first (it gives the rights for the others), the mount namespace last (paths change). */
static const enum spec_ns join_order[SPEC_NS_COUNT] = {
    SPEC_NS_USER, SPEC_NS_PID, SPEC_NS_NETWORK, SPEC_NS_IPC, SPEC_NS_UTS, SPEC_NS_CGROUP, SPEC_NS_TIME, SPEC_NS_MOUNT,
};

int namespace_flag(enum spec_ns type)
{
	return ns_flags[type];
}

static void namespaces_init(struct namespaces *ns)
{
	*ns = (struct namespaces){.target_pidfd = -1};
	for (int i = 0; i < SPEC_NS_COUNT; i++)
		ns->join_fds[i] = -1;
}

void namespaces_close(struct namespaces *ns)
{
	for (int i = 0; i < SPEC_NS_COUNT; i++) {
		cleanup_close(&ns->join_fds[i]);
		ns->join_fds[i] = -1;
	}
}

int namespaces_plan(const struct spec *spec, struct namespaces *ret, struct error *err)
{
	bool joins = false;

	namespaces_init(ret);
	for (size_t i = 0; i < spec->linux_->n_namespaces; i++) {
		const struct spec_namespace *n = &spec->linux_->namespaces[i];

		if (!n->path) {
			if (n->type == SPEC_NS_CGROUP)
				ret->new_cgroup = true;
			else
				ret->new_flags |= (uint64_t)ns_flags[n->type];
			continue;
		}
		ret->join_fds[n->type] = open(n->path, O_RDONLY | O_CLOEXEC);
		if (ret->join_fds[n->type] < 0) {
			int r = error_errno(err, errno, "open the %s namespace %s", spec_ns_names[n->type], n->path);

			namespaces_close(ret);
			return r;
		}
		/* Nobody enters his own user namespace again: user_namespaces(7). */
		if (n->type == SPEC_NS_USER && namespaces_joins_own(ret, SPEC_NS_USER)) {
			cleanup_close(&ret->join_fds[SPEC_NS_USER]);
			ret->join_fds[SPEC_NS_USER] = -1;
			continue;
		}
		joins = true;
	}
	ret->join_early = ret->join_fds[SPEC_NS_USER] >= 0 || ret->join_fds[SPEC_NS_PID] >= 0 ||
			  (joins && (ret->new_flags & CLONE_NEWUSER));
	ret->new_time = (ret->new_flags & CLONE_NEWTIME) && spec->linux_->n_time_offsets;
	if (ret->new_time)
		ret->new_flags &= ~(uint64_t)CLONE_NEWTIME;
	ret->new_ipc = (ret->new_flags & CLONE_NEWIPC) && (ret->new_flags & CLONE_NEWUSER);
	if (ret->new_ipc)
		ret->new_flags &= ~(uint64_t)CLONE_NEWIPC;
	return 0;
}

void namespaces_plan_exec(const struct spec *spec, int pidfd, struct namespaces *ret)
{
	namespaces_init(ret);
	for (size_t i = 0; i < spec->linux_->n_namespaces; i++)
		ret->target_flags |= ns_flags[spec->linux_->namespaces[i].type];
	if (ret->target_flags) {
		ret->target_pidfd = pidfd;
		ret->join_early = true;
	}
}

bool namespaces_joins_own(const struct namespaces *ns, enum spec_ns type)
{
	/* The names in /proc/PID/ns. */
	static const char *const files[SPEC_NS_COUNT] = {
	    [SPEC_NS_PID] = "pid", [SPEC_NS_NETWORK] = "net", [SPEC_NS_MOUNT] = "mnt",	   [SPEC_NS_IPC] = "ipc",
	    [SPEC_NS_UTS] = "uts", [SPEC_NS_USER] = "user",   [SPEC_NS_CGROUP] = "cgroup", [SPEC_NS_TIME] = "time",
	};
	struct stat own, joined;
	char path[32];

	if (ns->join_fds[type] < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/self/ns/%s", files[type]);
	return stat(path, &own) == 0 && fstat(ns->join_fds[type], &joined) == 0 && own.st_dev == joined.st_dev &&
	       own.st_ino == joined.st_ino;
}

/* --- joining -------------------------------------------------------------------- */

/* Returns what the caller lacks the right for, as bits of enum spec_ns, or a negative errno. */
static int join_some(const struct namespaces *ns, unsigned which, bool refusable, struct error *err)
{
	int refused = 0;

	for (int i = 0; i < SPEC_NS_COUNT; i++) {
		enum spec_ns type = join_order[i];

		if (ns->join_fds[type] < 0 || !(which & 1u << type) || setns(ns->join_fds[type], ns_flags[type]) == 0)
			continue;
		if (errno != EPERM || !refusable)
			return error_errno(err, errno, "join the %s namespace", spec_ns_names[type]);
		refused |= 1 << type;
	}
	return refused;
}

/*
 * Who joins a user namespace has lost his rights on what belongs to another one, and may have got those on
 * what belongs to it. So the others are tried before and after.
 */
static int join_paths(const struct namespaces *ns, struct error *err)
{
	const unsigned all = (1u << SPEC_NS_COUNT) - 1, user = 1u << SPEC_NS_USER;
	bool joins_user = ns->join_fds[SPEC_NS_USER] >= 0;
	int refused = join_some(ns, joins_user ? all & ~user : all, joins_user, err);

	if (refused < 0 || !joins_user)
		return refused;
	return join_some(ns, (unsigned)refused | user, false, err);
}

static int join_target(const struct namespaces *ns, struct error *err)
{
	int flags = ns->target_flags;

	/* By pidfd (Linux 5.8) all at once, and all of the same process. */
	if (setns(ns->target_pidfd, flags) == 0)
		return 0;
	/* It is the caller's own user namespace: user_namespaces(7), nobody enters that again. */
	if (errno == EINVAL && (flags & CLONE_NEWUSER) && setns(ns->target_pidfd, flags & ~CLONE_NEWUSER) == 0)
		return 0;
	return error_errno(err, errno, "join the container's namespaces");
}

static int join_all(const struct namespaces *ns, const struct spec *spec, struct error *err)
{
	bool target = ns->target_pidfd >= 0;
	bool user = target ? ns->target_flags & CLONE_NEWUSER : ns->join_fds[SPEC_NS_USER] >= 0;
	int r = target ? join_target(ns, err) : join_paths(ns, err);

	return r == 0 && user ? process_become_root(spec, err) : r;
}

/* While the process is dumpable, and who owns the user namespace: whoever opened it is asked for the rights. */
static int open_time_offsets(struct error *err)
{
	int fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);

	return fd < 0 ? error_errno(err, errno, "open /proc/self/timens_offsets") : fd;
}

/* For the caller and its children. */
static int make_time_namespace(const struct spec *spec, int offsets_fd, struct error *err)
{
	_cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
	_cleanup_close_ int ns = -1;

	for (size_t i = 0; i < spec->linux_->n_time_offsets; i++) {
		const struct spec_time_offset *o = &spec->linux_->time_offsets[i];

		strbuf_addf(&text, "%s %lld %u\n", o->clock, (long long)o->secs, o->nanosecs);
	}
	if (text.failed)
		return error_set(err, ENOMEM, "out of memory");
	if (unshare(CLONE_NEWTIME) < 0)
		return error_errno(err, errno, "make a time namespace");
	if (write(offsets_fd, text.data, text.len) < 0)
		return error_errno(err, errno, "write linux.timeOffsets");
	ns = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWTIME) < 0)
		return error_errno(err, errno, "enter the new time namespace");
	return 0;
}

int namespaces_enter(const struct namespaces *ns, const struct spec *spec, struct error *err)
{
	int r = 0;

	if (ns->new_time && !ns->join_early) {
		_cleanup_close_ int offsets = open_time_offsets(err);

		r = offsets < 0 ? offsets : make_time_namespace(spec, offsets, err);
	}
	if (r == 0)
		r = process_hide(err);
	if (r == 0 && !ns->join_early)
		r = join_paths(ns, err);
	if (r == 0 && (ns->new_flags & CLONE_NEWUSER))
		r = process_become_root(spec, err);
	if (r < 0)
		return r;
	if (ns->new_ipc && unshare(CLONE_NEWIPC) < 0)
		return error_errno(err, errno, "make an ipc namespace");
	if (ns->new_cgroup && unshare(CLONE_NEWCGROUP) < 0)
		return error_errno(err, errno, "make a cgroup namespace");
	return 0;
}

bool namespaces_loopback_by_creator(const struct namespaces *ns, const struct spec *spec)
{
	return (ns->new_flags & CLONE_NEWNET) && !spec_find_namespace(spec, SPEC_NS_USER) &&
	       spec->hooks->n_create_container == 0;
}

int namespaces_loopback_socket(struct error *err)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return sock < 0 ? error_errno(err, errno, "open a socket for the loopback interface") : sock;
}

int namespaces_loopback_up(int sock, struct error *err)
{
	struct ifreq req = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	return ioctl(sock, SIOCSIFFLAGS, &req) < 0 ? error_errno(err, errno, "bring up the loopback interface") : 0;
}

/* --- cloning --------------------------------------------------------------------- */

static int clone_direct(uint64_t flags, int cgroup_fd, pid_t *ret_pid, int *ret_pidfd, struct error *err)
{
	int pidfd = -1;
	struct clone_args args = {
	    .flags = flags | CLONE_PIDFD,
	    .pidfd = (uintptr_t)&pidfd,
	    .exit_signal = (flags & CLONE_PARENT) ? 0 : SIGCHLD,
	};
	pid_t pid;

	if (cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup_fd;
	}
	pid = sys_clone3(&args);
	/* Nothing else of clone3 is refused this way. */
	if (pid < 0 && errno == EACCES && cgroup_fd >= 0)
		return error_set(err, EACCES,
				 "enter the container's cgroup: permission denied (the caller must be in the same "
				 "delegated tree: cgroups(7), \"delegation containment\")");
	if (pid < 0 && errno == EOPNOTSUPP && cgroup_fd >= 0)
		return error_set(
		    err, EOPNOTSUPP,
		    "enter the container's cgroup: it is in an invalid state, since there are processes "
		    "in its parent (move those to a cgroup beside it: cgroups(7), \"no internal processes\")");
	if (pid < 0 && errno == EPERM && !(flags & CLONE_NEWUSER) && geteuid() != 0)
		return error_set(err, EPERM,
				 "rootless container requires user namespaces: linux.namespaces has no new one");
	if (pid < 0)
		return error_errno(err, errno, "clone the container's init with its namespaces");
	if (pid == 0)
		return 0;
	*ret_pid = pid;
	*ret_pidfd = pidfd;
	return 1;
}

static int close_others(const struct namespaces *ns, int sock, struct error *err)
{
	size_t n = ns->n_keep_fds;
	_cleanup_free_ int *keep = calloc(n + 2, sizeof(*keep));

	if (!keep)
		return error_set(err, ENOMEM, "out of memory");
	memcpy(keep, ns->keep_fds, n * sizeof(*keep));
	keep[n] = sock;
	keep[n + 1] = ns->target_pidfd;
	close_fds_but(ns->close_from, keep, n + 2);
	return 0;
}

/* The process between: joins, clones init as a child of the runtime, tells its pid and ends. Returns 0 in init. */
static int clone_between(const struct namespaces *ns, const struct spec *spec, int sock)
{
	_cleanup_close_ int offsets = -1;
	struct error err = ERROR_INIT;
	int pidfd = -1, r = 0;
	pid_t pid;

	if (ns->start_dir)
		(void)!chdir(ns->start_dir);
	if (ns->close_from)
		r = close_others(ns, sock, &err);
	if (r == 0 && ns->new_time)
		r = offsets = open_time_offsets(&err);
	if (r >= 0)
		r = process_hide(&err);
	if (r == 0)
		r = join_all(ns, spec, &err);
	if (r == 0 && ns->new_time)
		r = make_time_namespace(spec, offsets, &err);
	if (r == 0)
		r = clone_direct(ns->new_flags | CLONE_PARENT, -1, &pid, &pidfd, &err);
	if (r == 0) {
		close(sock);
		return 0;
	}
	/* The pid as seen here may be another one outside: what counts is the pidfd. */
	if (r > 0)
		r = handshake_send(sock, HS_CLONED, 0, NULL, pidfd, &err);
	if (r < 0)
		handshake_send_error(sock, &err);
	_exit(r < 0);
}

/* The pid that a pidfd stands for, as this process's pid namespace numbers it. */
static pid_t pidfd_pid(int pidfd)
{
	_cleanup_free_ char *text = NULL;
	char path[48];
	const char *p;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	if (read_file_at(AT_FDCWD, path, 4096, &text, NULL) < 0)
		return -1;
	p = strstr(text, "\nPid:");
	return p ? (pid_t)atoi(p + strlen("\nPid:")) : -1;
}

static int clone_joined(const struct namespaces *ns, const struct spec *spec, int cgroup_fd, pid_t *ret_pid,
			int *ret_pidfd, struct error *err)
{
	_cleanup_close_ int ours = -1, theirs = -1, between_fd = -1, pidfd = -1;
	struct handshake_message m;
	int pair[2], r;
	pid_t between, pid;

	r = handshake_pair(pair, err);
	if (r < 0)
		return r;
	ours = pair[0];
	theirs = pair[1];
	r = clone_direct(0, cgroup_fd, &between, &between_fd, err);
	if (r == 0) {
		close(TAKE_FD(ours));
		return clone_between(ns, spec, TAKE_FD(theirs));
	}
	if (r < 0)
		return r;
	close(TAKE_FD(theirs));
	r = handshake_recv(ours, &m, &pidfd, err);
	waitpid(between, NULL, 0);
	if (r == 0 || (r > 0 && (m.type != HS_CLONED || pidfd < 0)))
		r = error_set(err, ECHILD, "the process that joins the namespaces ended early");
	if (r < 0)
		return r;
	pid = pidfd_pid(pidfd);
	if (pid <= 0)
		return error_set(err, ESRCH, "the new process ended early");
	*ret_pid = pid;
	*ret_pidfd = TAKE_FD(pidfd);
	return 1;
}

int namespaces_clone(const struct namespaces *ns, const struct spec *spec, int cgroup_fd, pid_t *ret_pid,
		     int *ret_pidfd, struct error *err)
{
	if (ns->join_early)
		return clone_joined(ns, spec, cgroup_fd, ret_pid, ret_pidfd, err);
	return clone_direct(ns->new_flags, cgroup_fd, ret_pid, ret_pidfd, err);
}
