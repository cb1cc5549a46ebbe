/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_procs.c - the processes in a container's cgroups: list, signal, freeze, kill. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "runtime/cgroup_internal.h"

/*
 * The hierarchy whose processes are the container's. On v1 first the one that can freeze them; any other that
 * the container is in will do.
 */
static const struct cgroup_hierarchy *leading_hierarchy(const struct cgroup *cg)
{
	static const char *const order[] = {"freezer", "devices", "pids", "memory"};

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		const struct cgroup_hierarchy *h = cgroup_find_controller(cg, order[i]);

		if (h)
			return h;
	}
	for (size_t i = 0; i < cg->n_hierarchies; i++) {
		if (cg->hierarchies[i].fd >= 0)
			return &cg->hierarchies[i];
	}
	return NULL;
}

bool cgroup_is_there(const struct cgroup *cg)
{
	return leading_hierarchy(cg) != NULL;
}

int cgroup_pids(const struct cgroup *cg, pid_t **ret_pids, size_t *ret_n, struct error *err)
{
	const struct cgroup_hierarchy *h = leading_hierarchy(cg);
	struct cgroup_pid_list list = {0};
	int r = h ? cgroup_tree_pids(h->fd, &list) : 0;

	if (r < 0) {
		free(list.pids);
		return error_errno(err, r, "cannot read the processes of cgroup %s%s", h->mount, cg->path);
	}
	*ret_pids = list.pids;
	*ret_n = list.n;
	return 0;
}

int cgroup_signal(const struct cgroup *cg, int sig, struct error *err)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t n;
	int r = cgroup_pids(cg, &pids, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++) {
		if (kill(pids[i], sig) < 0 && errno != ESRCH)
			r = error_errno(err, errno, "cannot send signal %d to process %d", sig, (int)pids[i]);
	}
	return r;
}

int cgroup_is_frozen(const struct cgroup *cg, bool *ret, struct error *err)
{
	bool frozen = false;
	int r = leading_hierarchy(cg) ? cgroup_version_of(cg)->is_frozen(cg, &frozen) : 0;

	/* Gone in between, or a kernel without a freezer: not frozen. */
	if (r < 0 && r != -ENODEV && r != -ENOENT && r != -EOPNOTSUPP)
		return error_errno(err, r, "cannot read the freezer state of cgroup %s", cg->path);
	*ret = frozen && !cgroup_frozen_by_keeper(cg);
	return 0;
}

int cgroup_freeze(const struct cgroup *cg, bool freeze, struct error *err)
{
	int64_t deadline = clock_boottime_ns() + CGROUP_WAIT_NS, delay = 0;
	const char *what = freeze ? "freeze" : "thaw";
	bool frozen = !freeze;
	int r = 0;

	if (!leading_hierarchy(cg))
		return error_set(err, EOPNOTSUPP, "cannot %s: the container has no cgroup", what);
	do {
		/* v1: written again, a FREEZING group looks again for what it could not freeze. */
		if (r == 0)
			r = cgroup_version_of(cg)->freeze(cg, freeze);
		if (r == 0)
			r = cgroup_version_of(cg)->is_frozen(cg, &frozen);
		if (r < 0)
			return error_errno(err, r, "cannot %s cgroup %s", what, cg->path);
		if (frozen == freeze) {
			if (freeze)
				cgroup_unmark_frozen(cg);
			return 0;
		}
	} while (cgroup_wait(&delay, deadline));
	if (freeze)
		(void)cgroup_version_of(cg)->freeze(cg, false);
	return error_set(err, ETIMEDOUT, "cannot %s cgroup %s: some process did not stop within 10 s", what, cg->path);
}

void cgroup_thaw_process(const struct cgroup *cg, pid_t pid)
{
	const struct cgroup_hierarchy *h = cgroup_find_controller(cg, "freezer");
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX], *place, *end;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	if (cg->mode != CGROUP_V1 || !h || read_file_at(AT_FDCWD, path, 1 << 16, &text, NULL) < 0)
		return;
	place = strstr(text, ":freezer:");
	if (!place)
		return;
	place += strlen(":freezer:");
	end = strchr(place, '\n');
	if (end)
		*end = '\0';
	/* Of another cgroup namespace, which no path leads to. */
	if (strstr(place, "/../") || snprintf(path, sizeof(path), "%s%s/freezer.state", h->mount, place) >= PATH_MAX)
		return;
	(void)write_file_at(AT_FDCWD, path, "THAWED");
}

/*
 * cgroup.kill (Linux 5.14): one write kills them all, also those being forked. In hybrid it reaches who is in the
 * unified cgroup, and a v1 freezer must be opened for them to die.
 */
static bool kill_by_kernel(const struct cgroup *cg)
{
	const struct cgroup_hierarchy *h = cgroup_find_unified(cg);

	if (!h || write_file_at(h->fd, "cgroup.kill", "1") < 0)
		return false;
	if (cg->mode == CGROUP_V1)
		(void)cgroup_version_of(cg)->freeze(cg, false);
	return true;
}

/* Frozen, none can fork while the list is walked. */
static int kill_by_list(const struct cgroup *cg, struct error *err)
{
	int r;

	(void)cgroup_version_of(cg)->freeze(cg, true);
	r = cgroup_signal(cg, SIGKILL, err);
	(void)cgroup_version_of(cg)->freeze(cg, false);
	return r;
}

int cgroup_kill(const struct cgroup *cg, struct error *err)
{
	int64_t start = clock_boottime_ns(), delay = 0;
	bool by_kernel;
	size_t n = 0;

	if (!leading_hierarchy(cg))
		return 0;
	by_kernel = kill_by_kernel(cg);
	do {
		_cleanup_free_ pid_t *pids = NULL;
		int r = cgroup_pids(cg, &pids, &n, err);

		if (r == 0 && n == 0)
			return 0;
		/* Hybrid: those that are in the v1 cgroup only are still there after a while. */
		if (r == 0 &&
		    (!by_kernel || (cg->mode == CGROUP_V1 && clock_boottime_ns() - start > 100 * NSEC_PER_MSEC)))
			r = kill_by_list(cg, err);
		if (r < 0)
			return r;
	} while (cgroup_wait(&delay, start + CGROUP_WAIT_NS));
	return error_set(err, ETIMEDOUT, "%zu process(es) of cgroup %s are still there 10 s after SIGKILL", n,
			 cg->path);
}
