/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publish_conflict.h - ours of the plain objects that another tool changed
 * during the run (volumes.md §5, step 2): theirs stays, and the next start takes
 * it in the place of ours, whose bytes then are no commit's any more. So they
 * are kept, as conflict.h has it, below conflicts/0-<seq of the commit>/: no run
 * has the epoch 0.
 */
#ifndef VOLRUN_HOOKS_PUBLISH_CONFLICT_H
#define VOLRUN_HOOKS_PUBLISH_CONFLICT_H

#include "hooks/engine/publish_plan.h"

/* Of the items that are `foreign`; without any, no request. Returns x->failed. */
int publish_keep_ours(struct transfer *x, const struct publish_plan *p);

#endif
