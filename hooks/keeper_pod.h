/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_pod.h - a pod's lease lasts as long as its sandbox (volumes.md §4): between two of its containers what was
 * written is committed, and the lease kept.
 */
#ifndef VOLRUN_HOOKS_KEEPER_POD_H
#define VOLRUN_HOOKS_KEEPER_POD_H

#include "hooks/keeper_hold.h"

/* Does the sandbox of the hold's pod run? false: it does not, or nobody noted it. */
bool hold_pod_lives(const struct hold *h);

/*
 * Does anybody else of the pod use a volume of the hold? Else nobody joins any more (hold_is_shared). Some volumes may
 * rest while others are used: what was written to one that was joined since is to be committed, too.
 */
bool hold_is_used(struct hold *h);

/*
 * Nobody of the pod has the volumes any more (hold_is_used): commits them, keeps the leases, and lets others of the
 * pod join. false: that can't be; hold_finish is to do what there is to do.
 */
bool hold_rest(struct hold *h);
/*
 * After that, now and then, and when a lease is lost or it is to stop: has somebody joined (REST_WOKEN: hold_is_used
 * says when he has ended)? Is the sandbox gone, the time over, or a lease not known to be valid? Then nobody joins any
 * more.
 */
enum rest { REST_GOES_ON, REST_WOKEN, REST_OVER };
enum rest hold_look_at_rest(struct hold *h, bool stop);

#endif
