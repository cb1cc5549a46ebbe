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
 * says when he has ended)? Is the sandbox gone, the time over, or a lease not known to be valid, or does a container of
 * the pod wait for a volume that comes before one of these (hold_want)? Then nobody joins any more.
 */
enum rest { REST_GOES_ON, REST_WOKEN, REST_OVER };
enum rest hold_look_at_rest(struct hold *h, bool stop);

/*
 * A container of a pod waits for a volume (a struct hold_volume): what its pod rests on goes back to the store, but for
 * what comes before it in the order of leases. Else two pods could each rest on what the other one waits for.
 */
void hold_want(void *volume);
/* It has it, or has given up. */
void hold_want_over(struct hold_volume *hv);

#endif
