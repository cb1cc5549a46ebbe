/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack.h - staging (volumes.md §5.3): the bytes that changed, and the record,
 * become objects under commits/<epoch>-<seq>/.
 *
 * Files up to PACK_FILE_MAX go into packs, which are put together in a
 * temporary file; larger ones are sent singly from the tree. Names carry a
 * random part besides: a second attempt of the same holder must not write over
 * what a late register write of the first one may still name.
 */
#ifndef VOLRUN_HOOKS_PACK_H
#define VOLRUN_HOOKS_PACK_H

#include "hooks/engine/head.h"
#include "hooks/engine/manifest.h"
#include "hooks/engine/transfer.h"

#define PACK_FILE_MAX (8u << 20)
#define PACK_SIZE (32u << 20)
/* Pack and record together up to this are one object. */
#define PACK_WITH_RECORD_MAX (8u << 20)

struct stage;
struct snapshot;

/* Objects will be named "<epoch>-<seq>/...". NULL: out of memory. */
struct stage *stage_new(struct transfer *x, int root_fd, uint64_t epoch, uint64_t seq);
void stage_free(struct stage *s);

/* Are the bytes of this entry of a scan to be read? */
bool stage_reads(const struct entry *e);
/* Files are read from there, not from the tree (snapshot.h); it outlives the stage. */
void stage_from_snapshot(struct stage *s, const struct snapshot *snapshot);

/*
 * Reads every file of m whose bytes are not known (ENTRY_CHANGED) or in no
 * commit, and sends what is not equal to the same path's in base. Sets each
 * one's size, times, attributes, sha256, object and offset as they were when it was read.
 * Of the names of one file (hardlinks.h) the first one is read.
 * -EBUSY: a file changed each time it was read.
 */
int stage_files(struct stage *s, const struct manifest *base, struct manifest *m);

/*
 * Sends the last pack and the record, in one object where they are small: as a
 * delta on base, when that is exactly the last commit (`exact`), its chain is
 * known, and the deltas stay few and small beside their base; else whole.
 * m's chain is set; ret's strings are the stage's own.
 */
int stage_record(struct stage *s, bool exact, struct head_commit *ret);

#endif
