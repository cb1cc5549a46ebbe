/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_freeze.h - holds a container still for a moment, by its cgroup's
 * freezer, and lets it go again whatever happens to the keeper.
 *
 * The freezer is the one that `volrun pause` uses. Who freezes or thaws holds a
 * lock on the cgroup (base/group_lock.h) meanwhile, and what the keeper froze
 * carries an extended attribute (FREEZE_MARK), so that the runtime never takes
 * it for paused, and neither of them thaws what the other one froze:
 *
 *     marked, locked       a keeper is at work: not paused
 *     marked, not locked   a keeper died just there: thawed by whoever sees it first (`volrun state` and
 *                          its relatives, the next freeze)
 *     frozen, not marked   paused by the engine: left alone
 *
 * A watchdog, forked for the time, thaws when the keeper is gone or the time is up.
 */
#ifndef VOLRUN_HOOKS_KEEPER_FREEZE_H
#define VOLRUN_HOOKS_KEEPER_FREEZE_H

#include <stdint.h>
#include <sys/types.h>

#include "hooks/engine/commit.h"
#include "hooks/keeper_cgroup.h"

/* Of the cgroup's directory. The runtime knows it, too (runtime/cgroup_frozen.c). */
#define FREEZE_MARK "trusted.volrun.frozen"
/* Where that may not be set: in a user namespace. */
#define FREEZE_MARK_USER "user.volrun.frozen"

struct freeze {
	const struct container_cgroup *cgroup;
	int lock, socket; /* socket: to the watchdog */
	pid_t watchdog;
	int64_t since_ns, deadline_ns; /* CLOCK_BOOTTIME */
};

/*
 * Freezes the cgroup (of container_freezer_open) and waits until all are still.
 * At ret->deadline_ns, max_ns from now, the watchdog ends it. A paused
 * container is still already: it is only kept from being resumed.
 * -EBUSY: it is being paused or checkpointed now: try again later.
 * -ETIMEDOUT: some process did not stop in time; it is thawed.
 */
int freeze_begin(const struct container_cgroup *c, int64_t max_ns, struct freeze *ret, struct error *err);
/* Thaws what freeze_begin froze; *ret_ns is for how long it was. -ETIME: somebody had done so before; what was read may
 * be torn. */
int freeze_end(struct freeze *f, int64_t *ret_ns, struct error *err);

/*
 * The cgroup to freeze, of this process, whose pidfd tells it from another one of the same pid (-1: it is nobody that
 * could be frozen). What a dead keeper left frozen is thawed.
 */
int freeze_find(int32_t pid, int pidfd, struct container_cgroup *ret, struct error *err);

/* Thaws what a dead keeper left frozen. */
void freeze_mend(const struct container_cgroup *c);

/*
 * Adds the files that processes of the frozen cgroup have mapped shared; all of them, when there are too many, or it
 * would take longer than until the deadline. m->inodes is the caller's to free.
 */
void freeze_mapped(const struct container_cgroup *c, int64_t deadline_ns, struct commit_mapped *m);

#endif
