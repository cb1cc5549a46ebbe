/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan_walk.h - the looking of a scan (scan.h): directories are listed, and what is in them is compared with the base.
 * Of a large tree by several threads: each has entries and strings of its own until all is seen.
 */
#ifndef VOLRUN_HOOKS_SCAN_WALK_H
#define VOLRUN_HOOKS_SCAN_WALK_H

#include <stdbool.h>
#include <sys/types.h>

#include "hooks/engine/ids.h"
#include "hooks/engine/manifest.h"
#include "hooks/engine/volume.h"
#include "hooks/engine/xattrs.h"

/* A name of a file that has more of them. */
struct scan_name {
	dev_t dev;
	ino_t ino;
	const char *path;
};

struct scan_names {
	struct scan_name *all;
	size_t n, room;
};

struct scan {
	const struct volume *v;
	int root_fd;
	struct manifest *base; /* its entries that are in the tree as they are get ENTRY_TAKEN */
	bool limits;
	struct ids *ids; /* of the tree */
	/* What else there is: root, strings, and, not sorted, entries; good when the walk has ended. */
	struct manifest *m;
	struct scan_names names; /* of files that have several */
	struct transfer_report *report;
	struct error *err;
};

/* Sees all of the tree. */
int scan_walk(struct scan *s);
int scan_no_memory(struct error *err);
int scan_too_many(struct error *err);

#endif
