/* SPDX-License-Identifier: Apache-2.0 */
/*
 * namespaces.h - from linux.namespaces to a new process: which namespaces are
 * new, which are joined, and one clone3(2) that makes init.
 *
 * Joined namespaces are entered before the new ones are made where one of them
 * decides whom the others belong to (user), or only counts for children (pid):
 * then a short-lived process joins and clones init as its sibling (CLONE_PARENT), so
 * that the runtime itself never leaves its own namespaces. Otherwise init joins.
 *
 * A new cgroup namespace is not in clone3's flags: its root is the cgroup that
 * the process is in at that moment, so init unshares it once it is in its own.
 */
#ifndef VOLRUN_RUNTIME_NAMESPACES_H
#define VOLRUN_RUNTIME_NAMESPACES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "oci/spec.h"

struct namespaces {
	uint64_t new_flags;	     /* CLONE_NEW* for clone3 */
	bool new_cgroup;	     /* to be unshared by init */
	bool new_time_offsets;	     /* the time namespace has offsets, see namespaces_clone */
	int join_fds[SPEC_NS_COUNT]; /* by enum spec_ns; -1: not joined */
	bool join_early;	     /* by the process between, see above */
	int target_pidfd;	     /* exec: join target_flags of this process; -1 */
	int target_flags;
};

/* The CLONE_NEW* flag of an enum spec_ns. */
int namespace_flag(enum spec_ns type);

/* Opens the paths. namespaces_close closes. */
int namespaces_plan(const struct spec *spec, struct namespaces *ret, struct error *err);
/* For exec: the namespaces of a running container, by its config and init's pidfd (not taken over). */
void namespaces_plan_exec(const struct spec *spec, int pidfd, struct namespaces *ret);
void namespaces_close(struct namespaces *ns);
/* Is a joined namespace the one that the caller is in? */
bool namespaces_joins_own(const struct namespaces *ns, enum spec_ns type);

/*
 * Makes the process. Returns 0 in the child and 1 in the parent, which gets pid
 * and pidfd; -errno in the parent. cgroup_fd: the v2 cgroup to start in
 * (CLONE_INTO_CGROUP), or -1.
 */
int namespaces_clone(const struct namespaces *ns, const struct spec *spec, int cgroup_fd, pid_t *ret_pid,
		     int *ret_pidfd, struct error *err);

/* In init: joins what was not joined early; and the new cgroup namespace. */
int namespaces_enter(const struct namespaces *ns, struct error *err);
/* In init, with a new network namespace: brings up "lo". */
int namespaces_loopback_up(struct error *err);

#endif
