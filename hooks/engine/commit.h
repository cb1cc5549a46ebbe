/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commit.h - cache -> store: scan, stage, record, one conditional write of the
 * register, publish (volumes.md §5).
 */
#ifndef VOLRUN_HOOKS_COMMIT_H
#define VOLRUN_HOOKS_COMMIT_H

#include "hooks/engine/lease.h"
#include "hooks/engine/restore.h"
#include "hooks/engine/snapshot.h"
#include "hooks/engine/volume.h"

/*
 * Commits what changed in rw/ since the index. Nothing changed: no request, 0.
 * Every changing request checks the lease just before it is sent. -ESTALE: the
 * lease was lost; the store holds the commit before. -EFBIG: a limit of §7;
 * -ENOSPC: no room in the cache for what is to be sent; nothing committed. After success the cache is clean;
 * of a volume that is unquiet the tree stays dirty, the commit says so, and the finished one before it stays
 * restorable. Publishes what it committed; a failure there is not a failure of the commit: *ret_applied_seq says how
 * far the plain copy is (for lease_release). The container no longer runs, or nobody writes.
 */
int commit_run(struct volume *v, struct lease *l, struct transfer_report *report, uint64_t *ret_applied_seq,
	       struct error *err);

/*
 * The same of a container that runs (sync=), in three steps, so that it is
 * frozen for the second one alone:
 *
 *     begin      what needs no look at the tree
 *     snapshot   the tree is scanned and what changed is taken aside; nobody writes now. After -EFBIG and -ETIME
 *                (snapshot.h), and after a limit of §7: no commit, nothing is lost
 *     finish     stages, commits, publishes what was taken. *ret_seq: the commit's number, 0: nothing had changed
 *
 * With limits NULL nothing is taken aside: nobody writes until it is finished, and what changed is read then.
 *
 * The tree stays marked dirty. The index becomes that of the commit, but does
 * not vouch for files that are `mapped` (an unsorted list; `all`: not known
 * which), as later writes to them may change no time stamp. report outlives it.
 */
struct commit_live;
struct commit_mapped {
	ino_t *inodes;
	size_t n;
	bool all;
};

int commit_live_begin(struct volume *v, struct lease *l, struct transfer_report *report, struct commit_live **ret,
		      struct error *err);
int commit_live_snapshot(struct commit_live *live, const struct snapshot_limits *limits, struct error *err);
int commit_live_finish(struct commit_live *live, struct commit_mapped *mapped, uint64_t *ret_seq,
		       uint64_t *ret_applied_seq, struct error *err);
/* Bytes that the snapshot copied and reflinked. */
void commit_live_stats(const struct commit_live *live, uint64_t *ret_copied, uint64_t *ret_cloned);
void commit_live_free(struct commit_live *live);

/*
 * Finishes the publishing of the register's commit when an earlier holder did
 * not (applied_seq < commit.seq), and puts a table that the register carries where it belongs. Does nothing otherwise.
 */
int publish_redo(struct volume *v, struct lease *l, uint64_t *ret_applied_seq, struct error *err);

#endif
