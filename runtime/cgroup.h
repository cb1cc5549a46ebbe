/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup.h - the container's cgroups. Three worlds behind one header:
 * cgroup_v2.c (unified), cgroup_v1.c (legacy and hybrid: each mounted v1
 * hierarchy, and the v2 one at "unified" when there), and none (rootless
 * without a delegated cgroup, --cgroup-manager=disabled).
 * cgroup_plan.c maps linux.resources to (file, value) pairs, purely.
 */
#ifndef VOLRUN_RUNTIME_CGROUP_H
#define VOLRUN_RUNTIME_CGROUP_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"
#include "oci/spec.h"

enum cgroup_mode { CGROUP_NONE, CGROUP_V1, CGROUP_V2 };

/* By what is mounted at /sys/fs/cgroup (statfs); hybrid is CGROUP_V1. */
enum cgroup_mode cgroup_detect(void);

/* One mounted hierarchy. v2 has one, v1 several; in hybrid the unified one is the last. */
struct cgroup_hierarchy {
	char *mount; /* where it is: "/sys/fs/cgroup/cpu,cpuacct"; its basename is its place in a container, too */
	char *controllers; /* "cpu,cpuacct", "name=systemd"; "" for the unified one */
	bool unified;
	int fd; /* the container's cgroup in it; -1: it isn't there */
};

struct cgroup {
	enum cgroup_mode mode;
	const char *path; /* beneath each hierarchy's root, absolute: "/volrun/c1"; kept in the container's state */
	bool rootless;	  /* what is not permitted is skipped unless resources were asked for */
	int dir_fd;	  /* v2: the cgroup's directory (also for CLONE_INTO_CGROUP); else -1. Owned by hierarchies */
	struct cgroup_hierarchy *hierarchies; /* NULL unless open */
	size_t n_hierarchies;
};

#define CGROUP_INIT                                                                                                    \
	{                                                                                                              \
		CGROUP_NONE, NULL, false, -1, NULL, 0                                                                  \
	}

/*
 * The path for a container: linux.cgroupsPath when absolute; relative: beneath
 * the default parent; absent: "/<id>" beneath the default parent. That is, as with
 * runc, the parent of the runtime's own cgroup on v2 (its own one holds the runtime, so
 * it may not have children with controllers) and the root on v1. Normal form, ".." taken
 * back, never "/". "slice:prefix:name" without --systemd-cgroup is refused.
 */
int cgroup_path_for(const char *cgroups_path, const char *id, struct arena *a, const char **ret, struct error *err);

/*
 * Makes the cgroup(s) and enables controllers on the way (v2). An existing
 * cgroup that has processes is refused, as runc >= 1.1 does. On failure nothing stays behind.
 * cg is CGROUP_INIT before; path is kept, not copied. Rootless and not permitted, or read-only (in a container): the
 * mode becomes CGROUP_NONE and 0 is returned (cgroup_apply fails if limits are asked for). cgroup_close it.
 */
int cgroup_create(struct cgroup *cg, const char *path, bool rootless, struct error *err);
/*
 * The cgroup that systemd has made for a process that is in it already. v2: opens it. v1: it is
 * systemd's in one hierarchy; makes the others, for cgroup_attach. As cgroup_create otherwise. all: v2, it gets every
 * controller that its parents have, also those that systemd leaves alone (hugetlb, rdma).
 */
int cgroup_adopt(struct cgroup *cg, enum cgroup_mode mode, const char *path, bool rootless, bool all,
		 struct error *err);
/*
 * cgroup_sub.c, v2 only: the cgroup `sub` (a relative path) within an open one, made when it is absent, with pid in it
 * and all controllers. *ret_fd: its directory.
 */
int cgroup_make_child(const struct cgroup *cg, const char *sub, pid_t pid, int *ret_fd, struct error *err);
/* Opens an existing one for the later commands; one that is gone is not an error (dir_fd -1). */
int cgroup_open(struct cgroup *cg, enum cgroup_mode mode, const char *path, bool rootless, struct error *err);
/*
 * Instead of an open cgroup its child `sub` (relative, no ".."), in all hierarchies or in those v1 ones that have one
 * of the controllers ("cpu,memory"). -EINVAL: no such hierarchy, or v2 with controllers; -ENOENT: no such child.
 */
int cgroup_descend(struct cgroup *cg, const char *controllers, const char *sub, struct error *err);
/* Closes and frees; cg is CGROUP_INIT again. */
void cgroup_close(struct cgroup *cg);

/* Moves pid in (v1; v2 where clone could not start it there). */
int cgroup_attach(const struct cgroup *cg, pid_t pid, struct error *err);
/*
 * Limits and device rules (BPF on v2, devices.* on v1). resources may be NULL: the default device rules only.
 * update: only what resources names changes; device rules only when there are some, and only on v2, where
 * a new set replaces the old one at once (runc never changes them in an update).
 */
int cgroup_apply(const struct cgroup *cg, const struct spec_resources *resources, bool update, struct error *err);

/*
 * cgroup_owner.c: who is to own the cgroup, by runtime-spec's rule: v2 only, with a cgroup namespace of the container's
 * own and a writable mount of it, the user of the process. false: it stays the caller's.
 */
bool cgroup_owner(const struct spec *spec, bool new_cgroup_namespace, uid_t *ret);
/* Gives the directory and what the kernel lists in /sys/kernel/cgroup/delegate away. Does nothing on v1. */
int cgroup_give(const struct cgroup *cg, uid_t uid, struct error *err);
/* The same for dir_fd, a directory within it; gid: of the group, too. */
int cgroup_give_child(const struct cgroup *cg, int dir_fd, uid_t uid, gid_t gid, struct error *err);

/* Is it there in any hierarchy? Not where it could not be made, which a container without limits survives. */
bool cgroup_is_there(const struct cgroup *cg);
/* All processes, descendants' too. The caller frees *ret_pids. */
int cgroup_pids(const struct cgroup *cg, pid_t **ret_pids, size_t *ret_n, struct error *err);
/* cgroup.kill (5.14), else freeze, SIGKILL each, thaw; until empty or 10 s. */
int cgroup_kill(const struct cgroup *cg, struct error *err);
int cgroup_signal(const struct cgroup *cg, int sig, struct error *err);
/* Returns when all are frozen (at most 10 s, then they are thawed and it is an error). */
int cgroup_freeze(const struct cgroup *cg, bool freeze, struct error *err);
/* Thaws the freezer of v1 that a process is in, wherever it was moved to. Best effort. */
void cgroup_thaw_process(const struct cgroup *cg, pid_t pid);
/* What a keeper froze for a moment does not count; what a dead one left frozen is thawed. */
int cgroup_is_frozen(const struct cgroup *cg, bool *ret, struct error *err);
/* cgroup_frozen.c: of one that is frozen. True: not by a pause, and it is thawed or will be at once. */
bool cgroup_frozen_by_keeper(const struct cgroup *cg);
/*
 * Keeps keepers from freezing and thawing until it is closed. Waits for one that is at it (10 s at most). -1: no
 * freezer, or in vain: nothing to wait for.
 */
int cgroup_freezer_lock(const struct cgroup *cg);
/* Removes it and its descendants; retries while processes go away (at most 10 s). Absent: 0. */
int cgroup_destroy(const struct cgroup *cg, struct error *err);

#endif
