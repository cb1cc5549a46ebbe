/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_sync.h - commits while the container runs (volumes.md §5, sync=): all
 * volumes that are due are taken in one moment in which the container, and
 * those of its pod that share a volume of them, are frozen, and sent when they
 * run again.
 */
#ifndef VOLRUN_HOOKS_KEEPER_SYNC_H
#define VOLRUN_HOOKS_KEEPER_SYNC_H

#include "hooks/keeper_cgroup.h"
#include "hooks/keeper_hold.h"

/* Has a volume the option sync=? */
bool hold_wants_sync(const struct hold *h);
/* The container runs from now on: makes the intervals begin. */
void hold_sync_start(struct hold *h);
/* When the next one is due, CLOCK_BOOTTIME; INT64_MAX: never. */
int64_t hold_sync_next(const struct hold *h);
/* Sets the timer (timerfd, CLOCK_BOOTTIME) to that; timer_fd -1: nothing to do. */
void hold_sync_timer(const struct hold *h, int timer_fd);

/*
 * Commits the volumes that are due, or all that are rw. What became of each is
 * in its `synced`, and in its keeper note; a failure loses nothing, as the
 * next commit, at the latest that of the run's end, has all of it. An error
 * of its own only when a container can't be frozen. own: the freezer of the
 * hold's container; NULL: it has ended, others of its pod have not.
 */
int hold_sync(struct hold *h, const struct container_cgroup *own, bool all, struct error *err);

#endif
