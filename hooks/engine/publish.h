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

/*
 * m: the commit's manifest (epoch, seq and record_sha256 set). applied_seq: of the last commit that is published.
 * ret_carried: if the table is short, it is not put, but is for the register to carry (head.h), which spares the end of
 * a run a round trip; *ret_carried is its text then, and NULL else. NULL: it is put.
 */
int publish_run(struct transfer *x, const struct manifest *m, uint64_t applied_seq, char **ret_carried);

#endif
