/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publish.h - makes the plain objects of a volume what a commit says
 * (volumes.md §5.5): the deletions, then the files, _symlinks.json, and last
 * the applied table. Works from the manifest of the commit and the applied
 * table of the commit before alone, so that any later holder can finish it.
 *
 * Nothing foreign is overwritten or deleted unseen: writes are conditional on
 * the tag that is expected; what is found instead is looked at.
 *     our bytes                    done
 *     our mark, or a tag that the commit has seen      written again on that tag
 *     anything else                theirs stays, it is counted as a conflict
 */
#ifndef VOLRUN_HOOKS_PUBLISH_H
#define VOLRUN_HOOKS_PUBLISH_H

#include "hooks/engine/manifest.h"
#include "hooks/engine/plain.h"
#include "hooks/engine/transfer.h"

/* m: the commit's manifest (epoch, seq and record_sha256 set). applied_seq: of the last commit that is published. */
int publish_run(struct transfer *x, const struct manifest *m, uint64_t applied_seq);

/* --- between publish.c and publish_source.c -------------------------------------------- */

/*
 * Bytes on their way into plain objects: verified against the manifest in a
 * temporary file, so that what is sent is what was committed, whatever happens to the tree.
 */
struct spool {
	int fd, root_fd; /* root_fd: the tree; -1: none */
	uint64_t end;	 /* of the file */
	uint64_t live;	 /* bytes in use */
	struct sha256 *hash;
	char *buffer;
};

/* Past this much in use, no more is fetched from the store before some was sent. */
#define SPOOL_MAX (256u << 20)

int spool_open(struct spool *s, const struct volume *v);
void spool_close(struct spool *s);
/* Room for size bytes; its offset. */
uint64_t spool_reserve(struct spool *s, uint64_t size);
/* Copies the tree's file into reserved room. false: the tree has not those bytes. */
bool spool_from_tree(struct spool *s, const struct entry *e, uint64_t offset);
/* Are the bytes there the entry's? */
bool spool_verify(struct spool *s, const struct entry *e, uint64_t offset);
void spool_release(struct spool *s, uint64_t offset, uint64_t size);

#endif
