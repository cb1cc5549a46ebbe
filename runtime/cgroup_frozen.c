/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup_frozen.c - frozen by whom? The keeper of a container's volumes freezes
 * it for a moment while it looks at them (hooks/keeper_freeze.h has the
 * protocol): the cgroup is locked meanwhile, and its directory carries a mark.
 */
#include <errno.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/group_lock.h"
#include "runtime/cgroup_internal.h"

#define MARK "trusted.volrun.frozen"
#define MARK_USER "user.volrun.frozen" /* in a user namespace */

static int freezer_fd(const struct cgroup *cg)
{
	const struct cgroup_hierarchy *h = cgroup_find_controller(cg, "freezer");

	if (!h)
		h = cgroup_find_unified(cg);
	return h ? h->fd : cg->dir_fd;
}

static bool is_marked(int fd)
{
	return fgetxattr(fd, MARK, NULL, 0) >= 0 || fgetxattr(fd, MARK_USER, NULL, 0) >= 0;
}

static void remove_mark(int fd)
{
	(void)fremovexattr(fd, MARK);
	(void)fremovexattr(fd, MARK_USER);
}

/* A container that may write to its cgroup's directory can set the second one, but not while it stands still. */
void cgroup_unmark_frozen(const struct cgroup *cg)
{
	int fd = freezer_fd(cg);

	if (fd >= 0 && is_marked(fd))
		remove_mark(fd);
}

bool cgroup_frozen_by_keeper(const struct cgroup *cg)
{
	_cleanup_close_ int lock = -1;
	int fd = freezer_fd(cg);

	if (fd < 0 || !is_marked(fd))
		return false;
	lock = group_lock(fd);
	if (lock < 0)
		return lock == -EWOULDBLOCK;
	/* The keeper and its watchdog died just then; nobody else would ever thaw it. */
	if (is_marked(fd)) {
		(void)cgroup_version_of(cg)->freeze(cg, false);
		remove_mark(fd);
	}
	return true;
}

int cgroup_freezer_lock(const struct cgroup *cg)
{
	int64_t deadline = clock_boottime_ns() + CGROUP_WAIT_NS, delay = 0;
	_cleanup_close_ int want = -1;
	int fd = freezer_fd(cg), lock;

	if (fd < 0)
		return -1;
	/* A keeper that commits all the time leaves no moment to find by chance. */
	want = group_lock_want(fd);
	while ((lock = group_lock(fd)) < 0) {
		/* Past every keeper's patience: it hangs. What it froze has been thawed by then. */
		if (lock != -EWOULDBLOCK || !cgroup_wait(&delay, deadline))
			return -1;
	}
	if (is_marked(fd))
		remove_mark(fd);
	return lock;
}
