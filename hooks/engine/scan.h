/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan.h - what is in the tree (volumes.md §5.1): O(stat), no file is read.
 * The tree's owner was a hostile container, and might still be one.
 */
#ifndef VOLRUN_HOOKS_SCAN_H
#define VOLRUN_HOOKS_SCAN_H

#include "hooks/engine/manifest.h"
#include "hooks/engine/restore.h"
#include "hooks/engine/volume.h"
#include "hooks/engine/xattrs.h"

/*
 * Lists the tree under root_fd. What stands in base (an index, or a record's
 * manifest without stats) with the same stat is taken from there as it is,
 * with ENTRY_CLEAN; the other files are ENTRY_CHANGED: their bytes are to be
 * read. Strings are shared with base, which must live as long.
 *
 * What is taken moves, it is not copied: it has ENTRY_TAKEN, too, and base keeps
 * the other entries alone (also of those with ENTRY_CLEAN whose names or owners
 * are looked at again). So an entry with neither flag that base doesn't have is
 * new, and what base still has and the tree hasn't is gone. After a failure
 * base is good for manifest_free only. A large tree is looked at by several threads.
 *
 * Names of one file are hard links (hardlinks.h) of each other. Extended
 * attributes of directories are read; those of files when their bytes are
 * (pack.h): of an ENTRY_CHANGED file they are not known.
 *
 * Left out, with a warning in the report: sockets, fifos, devices, ACLs, what lies
 * on another mount. Left out silently: mount points of the volume that are
 * empty and not in base. -EFBIG: what no later try can commit: a limit of the
 * volume (limits: false asks for none), a path over 4,095 bytes, too many entries.
 */
int scan_tree(const struct volume *v, int root_fd, struct manifest *base, bool limits, struct manifest *ret,
	      struct transfer_report *report, struct error *err);

/* Notes what of an entry's attributes is not kept: once for each kind (*warned remembers). */
void report_lost(struct transfer_report *report, const struct xattrs_lost *lost, struct xattrs_lost *warned,
		 const char *path);
/* Notes a warning: the first one's text is kept, all are counted. */
void report_warning(struct transfer_report *report, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
