/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target.h - places inside a rootfs, by descriptor.
 *
 * The tree is hostile: an image brings its own symbolic links. Every path is
 * resolved beneath the root's descriptor as if that were "/" (openat2
 * RESOLVE_IN_ROOT), links included, so that none leads out; what is opened at
 * last is opened by a path that has no link left (RESOLVE_NO_SYMLINKS), so that
 * the canonical path returned is where the descriptor is.
 */
#ifndef VOLRUN_BASE_TARGET_H
#define VOLRUN_BASE_TARGET_H

#include <stdbool.h>

#include "base/arena.h"

enum target_make {
	TARGET_EXISTING, /* -ENOENT when absent */
	TARGET_DIR,	 /* an absent one is made, with its parents, 0755 */
	TARGET_FILE,	 /* an absent one is made as an empty file 0644, its parents as directories */
};

struct target {
	const char *path; /* "/" is the root itself */
	enum target_make make;
	bool no_links;	     /* a symbolic link anywhere is -ELOOP */
	bool final_nofollow; /* a link as the last segment is the target itself */
};

/*
 * Opens the place O_PATH. Returns 0 when it existed, 1 when it was made (with the caller's ids;
 * umask applies), or a negative errno; -ELOOP past 40 links. *ret_canonical (may be
 * NULL) is its path inside the root without links, in the arena; it is in
 * normal form if t->path is.
 */
int target_open(int root_fd, const struct target *t, struct arena *arena, int *ret_fd, const char **ret_canonical);

/* The directory that holds path's last segment (made when absent); *ret_name points into path. As target_open. */
int target_open_parent(int root_fd, const char *path, struct arena *arena, int *ret_fd, const char **ret_name);

#endif
