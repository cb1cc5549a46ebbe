/* SPDX-License-Identifier: Apache-2.0 */
/* hook.h - the two commands of volrun-hook. */
#ifndef VOLRUN_HOOKS_HOOK_H
#define VOLRUN_HOOKS_HOOK_H

#include <stdbool.h>

#include "oci/state.h"

/*
 * Takes the volumes that the container's spec declares, by a keeper, and sends
 * the runtime one message for each over `sock` (SOCK_SEQPACKET):
 * {"destination":"/data","ro":false} with a detached mount. Nothing is sent,
 * and no keeper stays, on failure. config NULL: the standard list. keeper,
 * keeper_pid: socket and process of one that waits for its request (keeper_start); it ends when that is closed.
 */
int hook_prestart(const char *config, const struct oci_state *state, int sock, int keeper, pid_t keeper_pid,
		  struct error *err);

/* Waits for the container's keeper, for a while; what it has to tell goes to stderr. */
int hook_poststop(const char *config, const struct oci_state *state, struct error *err);

/*
 * A detached clone of the tree's mount: private, nosuid, nodev, read-only for
 * ro; mapped by user_ns (-1: none), so that ids on disk are the container's.
 * Returns 1, with no descriptor, where only the container may mount (rootless): the tree itself is to be sent.
 */
int hook_mount_tree(int tree_fd, bool ro, int user_ns, int *ret_fd, struct error *err);
/* The user namespace of pid when it is not this process's own; else -1. */
int hook_user_ns(int pid, int *ret_fd, struct error *err);

#endif
