/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h - what changed in a tree, kept aside while nobody writes to it
 * (volumes.md §5, sync=): one unnamed file in the cache's tmp/ that holds the
 * bytes of each file that a commit has to read. It vanishes with its
 * descriptor, however its owner ends.
 *
 * Reflinks (FICLONERANGE) where the cache's file system has them, copies
 * otherwise; small files are copied anyhow, which is faster.
 */
#ifndef VOLRUN_HOOKS_SNAPSHOT_H
#define VOLRUN_HOOKS_SNAPSHOT_H

#include "hooks/engine/manifest.h"
#include "hooks/engine/transfer.h"

struct snapshot {
	int fd;
	uint64_t end;	 /* of the file */
	uint64_t copied; /* bytes */
	uint64_t cloned;
};

#define SNAPSHOT_INIT ((struct snapshot){.fd = -1})

struct snapshot_limits {
	uint64_t copy_bytes; /* that may be copied; what is reflinked does not count */
	int64_t deadline_ns; /* CLOCK_BOOTTIME */
};

/*
 * Takes the bytes of all entries that stage_reads() of the scanned m, whose
 * offset then says where in the snapshot they are; their attributes and holes
 * are noted as stage_files does of a tree. The entries may no longer be moved.
 * -EFBIG: more than may be copied; -ETIME: it took too long; -ENOSPC: the
 * cache is full; -EBUSY: somebody writes. m is of no use then.
 */
int snapshot_take(struct snapshot *s, struct transfer *x, int root_fd, const struct snapshot_limits *limits,
		  struct manifest *m);
void snapshot_close(struct snapshot *s);

#endif
