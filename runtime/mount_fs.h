/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount_fs.h - detached mounts, made and attached by descriptor: fsopen(2)
 * and friends (Linux 5.2), mount_setattr (5.12).
 *
 * A detached mount that is closed before it was attached costs an RCU grace
 * period, so one is made only when its place is known to be good.
 */
#ifndef VOLRUN_RUNTIME_MOUNT_FS_H
#define VOLRUN_RUNTIME_MOUNT_FS_H

#include "base/arena.h"
#include "base/error.h"
#include "runtime/mount_options.h"

struct mount_fs {
	const char *type, *source;
	const struct mount_options *options;
	const char *default_data; /* "mode=0700", before the options' data; NULL: none */
	const char *label;	  /* SELinux context; NULL: none */
	const char *label_option; /* "context", or what else mount(8) has for it */
	bool superblock_readonly; /* "ro" is for the superblock too (a disk), not only for this mount */
	bool without_gid;	  /* the option "gid" is left out */
};

/* The error has the kernel's own words where it gives some ("tmpfs: Unknown parameter 'x'"). */
int mount_fs_detached(const struct mount_fs *f, int *ret_fd, struct error *err);

/* Does the new interface lack something? Values over 255 bytes (overlay's lowerdir), "iversion". */
bool mount_fs_needs_legacy(const struct mount_options *o);
/* The same by mount(2), directly on the target: by its descriptor's path in the host's /proc. */
int mount_fs_legacy(const struct mount_fs *f, int target_fd, struct arena *arena, struct error *err);

/* A copy of what is at fd (or path, beneath dirfd): a detached bind mount. Negative errno. */
int mount_clone(int dirfd, const char *path, bool recursive, bool nofollow);

/* Puts a detached mount on a place. Negative errno. */
int mount_attach(int tree_fd, int target_fd);

/* mount_setattr on the mount that fd is the root of. All zero: nothing is called. Negative errno. */
int mount_change(int fd, bool recursive, uint64_t set, uint64_t clr, unsigned long propagation);

#endif
