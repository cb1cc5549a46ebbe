/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount_live.h - mounts of a container that runs already (`mounts add|remove`).
 *
 * A short-lived process of ours joins the container's namespaces, not dumpable, and
 * works by descriptors beneath its root, as rootfs.c does before the container starts; sources
 * of bind mounts were cloned outside before (open_tree(2)), so that none is looked up in the container.
 */
#ifndef VOLRUN_RUNTIME_MOUNT_LIVE_H
#define VOLRUN_RUNTIME_MOUNT_LIVE_H

#include "runtime/state_dir.h"

/* spec: the container's, but its mounts are the new ones. The first that fails ends it; those before it stay. */
int mount_live_add(const struct container *c, const struct spec *spec, struct arena *arena, struct error *err);
/* Only the destinations count. Lazily, the last one first; what is no mount point is an error. */
int mount_live_remove(const struct container *c, const struct spec *spec, struct arena *arena, struct error *err);

#endif
