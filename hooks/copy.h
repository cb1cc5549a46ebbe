/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.h - copies a file or a tree on this node: contents (by reflink where the
 * file system can), holes, mode, times, user.* attributes, owners where allowed, and which names are one file. No
 * link is followed, sockets, pipes and devices are left out.
 */
#ifndef VOLRUN_HOOKS_COPY_H
#define VOLRUN_HOOKS_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct copy_report {
	uint64_t files, bytes, skipped;
	bool owners; /* set by the caller: keep them (else they are the caller's) */
};

/*
 * from_dir/from -> to_dir/to; a directory that is there is merged into, a file or link replaced. "" as `from`: the
 * directory from_dir itself. Names in error messages are these.
 */
int copy_tree(int from_dir, const char *from, int to_dir, const char *to, struct copy_report *report,
	      struct error *err);

#endif
