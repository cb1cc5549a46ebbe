/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commit.h - cache -> store: scan, stage, record, one conditional write of the
 * register, publish (volumes.md §5).
 */
#ifndef VOLRUN_HOOKS_COMMIT_H
#define VOLRUN_HOOKS_COMMIT_H

#include "hooks/engine/lease.h"
#include "hooks/engine/restore.h"
#include "hooks/engine/volume.h"

/*
 * Commits what changed in rw/ since the index. Nothing changed: no request, 0.
 * Every changing request checks the lease just before it is sent. -ESTALE: the
 * lease was lost; the store holds the commit before. -EFBIG/-ENOSPC: a limit of
 * §7; nothing committed. After success the cache is clean.
 * Publishes what it committed; a failure there is not a failure of the commit:
 * *ret_applied_seq says how far the plain copy is (for lease_release).
 * The container no longer runs, or nobody writes.
 */
int commit_run(struct volume *v, struct lease *l, struct transfer_report *report, uint64_t *ret_applied_seq,
	       struct error *err);

/*
 * Finishes the publishing of the register's commit when an earlier holder did
 * not (applied_seq < commit.seq). Does nothing otherwise.
 */
int publish_redo(struct volume *v, struct lease *l, uint64_t *ret_applied_seq, struct error *err);

#endif
