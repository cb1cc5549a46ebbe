/* SPDX-License-Identifier: Apache-2.0 */
/* reconcile.h - makes a tree on this node what a manifest says, from what is there. */
#ifndef VOLRUN_HOOKS_RECONCILE_H
#define VOLRUN_HOOKS_RECONCILE_H

#include "hooks/engine/plain.h"
#include "hooks/engine/transfer.h"
#include "hooks/engine/tree.h"

/*
 * have: a scan of the tree; want: sorted and checked. Removes what should not
 * be there, makes directories, keeps files whose bytes are right (reads those
 * that the scan could not vouch for), fetches the others, then their other
 * names, then links, then owners, modes, attributes and times. Foreign files that are kept or fetched get their
 * hash, size and time in want. Goes on where a killed one stopped.
 */
int reconcile(struct transfer *x, struct tree *t, const struct plain *plain, const struct manifest *have,
	      struct manifest *want);

/* Notes in each entry what the file looks like now, for the index. Nobody writes to the tree. */
int reconcile_stat(struct tree *t, struct manifest *m, struct error *err);

#endif
