/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch.h - bytes from the store into files of a tree. Small files come out of
 * packs, neighbours in one request; large ones in pieces, at once; each is
 * verified before it gets its name.
 */
#ifndef VOLRUN_HOOKS_FETCH_H
#define VOLRUN_HOOKS_FETCH_H

#include "hooks/engine/plain.h"
#include "hooks/engine/transfer.h"
#include "hooks/engine/tree.h"

/*
 * Makes the files of the n entries (the array is sorted anew). Those of a
 * commit are read from their object and checked against their sha256. Those
 * without an object and with ENTRY_FOREIGN are the plain objects of their
 * paths: their size, tag and sha256 are set from what was read; -EAGAIN when
 * one is not what the listing saw any more.
 */
int fetch_files(struct transfer *x, struct tree *t, const struct plain *plain, struct entry **entries, size_t n);

#endif
