/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook_attach.h - volumes into a container that another runtime makes (runc,
 * crun): a createRuntime or prestart hook runs when the container's mount
 * namespace has its mounts, and not yet its root (config.md "POSIX-platform
 * Hooks").
 */
#ifndef VOLRUN_HOOKS_HOOK_ATTACH_H
#define VOLRUN_HOOKS_HOOK_ATTACH_H

#include <stdbool.h>
#include <stddef.h>

#include "hooks/keeper_proto.h"

struct attach_volume {
	const struct keeper_request_volume *request;
	int fd;		/* a detached mount; or */
	bool directory; /* the tree itself, of which only the container's own namespace may make one (rootless) */
};

/*
 * Mounts them in the mount namespace of pid, in this order, each at its
 * destination beneath the root directory `rootfs` (absolute, or relative to
 * bundle), as that namespace has it. The rootfs is hostile: no link in it leads
 * out of it, and what is made there is made with the container's root's ids.
 * Mounts of the bundle that lie beneath a volume are mounted on it again.
 * A process of its own enters the namespaces; confine_allow_mounts() first.
 */
int hook_attach(int pid, const char *bundle, const char *rootfs, const struct attach_volume *volumes, size_t n,
		struct error *err);

#endif
