/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unpack.h - small files come out of the ranges of packs that were fetched. Making a file costs the file system more
 * than its bytes cost anybody else: threads do it, while the one that talks to the store goes on.
 */
#ifndef VOLRUN_HOOKS_UNPACK_H
#define VOLRUN_HOOKS_UNPACK_H

#include "hooks/engine/tree.h"

struct unpacking;

/* The first that went wrong. */
struct unpack_failure {
	int r;			   /* a negative errno; 0: none */
	const struct entry *entry; /* whose file */
	bool wrong_bytes;	   /* they are not what the entry's sha256 says */
};

/* Files of t, which outlives it. NULL: out of memory. */
struct unpacking *unpacking_new(const struct tree *t);
/* What was not begun is forgotten. */
void unpacking_free(struct unpacking *u);

/*
 * Makes n files of the object's bytes from `offset` on, which are in fd from its beginning on; fd is handed over (-1:
 * the files are empty), `files` stays good until the end. Where much is waiting, or there are no threads, some of it is
 * done at once.
 */
void unpacking_add(struct unpacking *u, int fd, uint64_t offset, struct entry **files, size_t n);
struct unpack_failure unpacking_failed(struct unpacking *u);
/* Waits for all, and works itself. */
struct unpack_failure unpacking_end(struct unpacking *u);

#endif
