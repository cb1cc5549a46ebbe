/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount_apply.h - runs what mount_plan.h decided, one operation at a time.
 * Internal to rootfs*.c and mount*.c.
 */
#ifndef VOLRUN_RUNTIME_MOUNT_APPLY_H
#define VOLRUN_RUNTIME_MOUNT_APPLY_H

#include "runtime/mount_plan.h"

/* Errors read: mount "tmpfs" on "/dev": <reason>; volume on "/data": <reason>. */
int mount_apply(struct rootfs *r, const struct mount_op *op, struct error *err);

/*
 * When all are made: a volume that can't be seen at its destination, because a link of the image led a mount of the
 * bundle there, is refused. What is written there would be lost.
 */
int mount_check_volumes(struct rootfs *r, struct error *err);

/* mount_cgroup.c: the host's cgroup hierarchy as the container may see it, on an open target. */
int mount_cgroup(struct rootfs *r, const struct mount_op *op, int target_fd, struct error *err);

/* mount_copyup.c: copies what is in a directory into another (modes, owners, links, xattrs); descriptors may be O_PATH.
 */
int mount_copy_up(int from_fd, int to_fd, struct error *err);

/* Sets the attributes and the propagation that the options ask for on a tree, before it is attached. */
int mount_set_options(int tree_fd, const struct mount_options *o, struct error *err);

/* Has a user namespace that may hold locked mounts: sets `set` alone, if the whole is refused. */
int mount_set_bind_options(int tree_fd, const struct mount_options *o, struct error *err);

#endif
