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
 * What is not in clone3's flags is unshared by init: a cgroup namespace, since its root is the
 * cgroup that the process is in at that moment; an ipc namespace together with a user namespace,
 * since its mqueue belongs to who made it; a time namespace with offsets, since they can be
 * written only while no process is in it.
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
	bool new_cgroup, new_ipc;    /* to be unshared by init */
	bool new_time;		     /* likewise, or by the process between; with offsets */
	int join_fds[SPEC_NS_COUNT]; /* by enum spec_ns; -1: not joined */
	bool join_early;	     /* by the process between, see above */
	const char *start_dir;	     /* where that goes, if it may, as who it still is; NULL: stays */
	int target_pidfd;	     /* exec: join target_flags of this process; -1 */
	int target_flags;
	/*
	 * exec: what is closed before the container can see the process that joins (one that may trace it could use
	 * its descriptors): all from close_from on but these. 0: nothing is.
	 */
	unsigned close_from;
	const int *keep_fds;
	size_t n_keep_fds;
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
 * (CLONE_INTO_CGROUP), or -1. In a joined user namespace the child is root.
 */
int namespaces_clone(const struct namespaces *ns, const struct spec *spec, int cgroup_fd, pid_t *ret_pid,
		     int *ret_pidfd, struct error *err);

/*
 * In init, once ids are mapped and the cgroup is entered: makes the process undumpable, joins what
 * was not joined early, becomes root of a new user namespace, makes what clone3 did not.
 */
int namespaces_enter(const struct namespaces *ns, const struct spec *spec, struct error *err);
/*
 * "lo" of a new network namespace is brought up by way of a socket that was made in it (the caller closes it), by
 * anybody who has CAP_NET_ADMIN there. It takes the kernel 0.1 ms, in which init has other things to do: the creator
 * does it, where it surely may and no hook in init could look for it meanwhile.
 */
bool namespaces_loopback_by_creator(const struct namespaces *ns, const struct spec *spec);
int namespaces_loopback_socket(struct error *err);
int namespaces_loopback_up(int sock, struct error *err);

#endif
