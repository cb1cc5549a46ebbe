/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool.h - bytes on their way into plain objects: verified against the
 * manifest in a temporary file, so that what is sent is what was committed,
 * whatever happens to the tree.
 */
#ifndef VOLRUN_HOOKS_SPOOL_H
#define VOLRUN_HOOKS_SPOOL_H

#include "hooks/engine/manifest.h"
#include "hooks/engine/volume.h"

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
