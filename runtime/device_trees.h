/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_trees.h - linux.devices of a container with a new user namespace, made by the parent:
 * in there mknod(2) is refused, and the host's node, if there is one at that path, has another owner and mode.
 *
 * The node is made in the container's directory, with which it goes, and given to init as a detached
 * mount. A file system for devices need not be mounted there without "nodev": the clone goes without.
 */
#ifndef VOLRUN_RUNTIME_DEVICE_TREES_H
#define VOLRUN_RUNTIME_DEVICE_TREES_H

#include <stddef.h>

#include "base/error.h"
#include "oci/spec.h"

/* More than that are bound from the host: each costs a descriptor. */
#define DEVICE_TREES_MAX 128

/*
 * For linux.devices[index]. Without the right to make a node *ret_fd is -1, which is no error: init binds the host's.
 */
int device_tree_make(const struct spec *spec, size_t index, int dir_fd, int *ret_fd, struct error *err);

#endif
