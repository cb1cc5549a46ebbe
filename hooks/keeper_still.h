/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_still.h - holds still, for a moment, all who write to volumes of a hold: its own container, and those of its
 * pod that joined (keeper_users.h). Nobody joins meanwhile.
 */
#ifndef VOLRUN_HOOKS_KEEPER_STILL_H
#define VOLRUN_HOOKS_KEEPER_STILL_H

#include "base/io.h"
#include "hooks/keeper_freeze.h"
#include "hooks/keeper_hold.h"

struct still_one;

struct still {
	int locks[IO_MAX_FDS]; /* of the volumes' users */
	struct still_one *all;
	size_t n_locks, n;
	int64_t since_ns, deadline_ns; /* CLOCK_BOOTTIME; at the deadline all go on, whatever happens */
};

/*
 * own: the freezer of the hold's container; NULL: it has ended. volumes: n of the hold's, with leases.
 * -EBUSY: one of the containers is being started, paused or checkpointed, or ends: try again later. Others: as
 * freeze_begin. After a failure all go on.
 */
int still_begin(struct hold *h, struct hold_volume **volumes, size_t n, const struct container_cgroup *own,
		int64_t max_ns, struct still *ret, struct error *err);
/* Adds what they have mapped (freeze_mapped). */
void still_mapped(const struct still *s, struct commit_mapped *m);
/* All go on. *ret_ns: how long they were still. -ETIME, -EBUSY: one of them was not all the time; what was read may be
 * torn. */
int still_end(struct still *s, int64_t *ret_ns, struct error *err);

#endif
