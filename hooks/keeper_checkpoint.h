/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_checkpoint.h - volumes of a container that is checkpointed, and restored (volumes.md §4): a checkpoint commits
 * them while the processes stand still, and notes the commits; a restore is refused where one of them has another now.
 */
#ifndef VOLRUN_HOOKS_KEEPER_CHECKPOINT_H
#define VOLRUN_HOOKS_KEEPER_CHECKPOINT_H

#include "hooks/keeper_cgroup.h"
#include "hooks/keeper_hold.h"

/*
 * The caller keeps the container's processes still until it has the answer: so what changed is read from the tree
 * itself, however much that is, and without a freezer (freezer: its cgroup, to look at what is mapped; NULL: not
 * known). Strings are in the arena. An error, of the first volume that can't be committed: nothing is lost, all goes
 * on.
 */
int hold_checkpoint(struct hold *h, const struct container_cgroup *freezer, struct arena *a, struct keeper_outcome *ret,
		    struct error *err);

/*
 * Where a checkpoint is restored: -ESTALE, if this is not the commit that it noted; or, now NULL, for a volume that
 * others of the pod have already.
 */
int hold_check_restored(const struct hold *h, const struct hold_volume *hv, const struct head_commit *now,
			struct error *err);
/* The same by a look at the register: what has moved on needs no lease, and what is gone is not made anew. */
int hold_look_restored(struct hold *h, struct hold_volume *hv, struct error *err);

#endif
