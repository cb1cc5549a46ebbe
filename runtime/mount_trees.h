/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount_trees.h - sources of bind mounts that the parent clones for init.
 *
 * In a user namespace init is another user than the caller and may not reach a
 * source below a private directory; and a mount's ids can be mapped only by
 * whom the file system's user namespace obeys (mount_setattr(2), Linux 5.12).
 */
#ifndef VOLRUN_RUNTIME_MOUNT_TREES_H
#define VOLRUN_RUNTIME_MOUNT_TREES_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"
#include "oci/spec.h"

struct mount_trees {
	const struct spec *spec;
	const char *bundle; /* relative sources count from it */
	const char *rootfs; /* as init has it, for mount_late.h; NULL: no source is a late one */
	bool all;	    /* for a container that runs already: every bind mount's source is cloned here */
	pid_t pid;	    /* init: its user namespace is the mapping of an "idmap" mount that has none of its own */
};

/*
 * The detached mount for mounts[index], a descriptor of the caller's; -1 when
 * init can do without: no bind mount, or no user namespace and no mapping.
 */
int mount_tree_make(const struct mount_trees *t, size_t index, struct arena *arena, int *ret_fd, struct error *err);

/* Is mounts[index] one whose ids are to be mapped, and that init has to clone (mount_late.h)? */
bool mount_tree_is_late(const struct mount_trees *t, size_t index, struct arena *arena);
/* Maps the ids of such a one, which init has cloned. */
int mount_tree_map(const struct mount_trees *t, size_t index, struct arena *arena, int tree_fd, struct error *err);

/* A detached mount on which host root's files belong to the container's root, by linux.uidMappings and gidMappings. */
int mount_tree_map_own(int tree_fd, const struct spec_linux *mapping, struct error *err);

/*
 * By init, rootless: a detached mount of a directory that the runtime has opened in its own mount namespace; it is
 * looked up again, by its path, in the copy that is this process's. Private, nosuid, nodev, read-only for ro. The
 * errors are a volume's: without the words that callers match.
 */
int mount_tree_of_directory(int dir_fd, bool ro, int *ret_fd, struct error *err);

#endif
