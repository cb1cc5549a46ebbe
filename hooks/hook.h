/* SPDX-License-Identifier: Apache-2.0 */
/* hook.h - the commands of volrun-hook. */
#ifndef VOLRUN_HOOKS_HOOK_H
#define VOLRUN_HOOKS_HOOK_H

#include <stdbool.h>

#include "base/io.h"
#include "hooks/keeper_proto.h"
#include "oci/spec.h"
#include "oci/state.h"

/*
 * Takes the volumes that the container's spec declares, by a keeper, and sends
 * the runtime one message for each over `sock` (SOCK_SEQPACKET):
 * {"destination":"/data","ro":false} with a detached mount; or, sock -1, mounts them itself into
 * the container of another runtime (hook_attach.h). Nothing is sent,
 * and no keeper stays, on failure. config NULL: the standard list. keeper,
 * keeper_pid: socket and process of one that waits for its request (keeper_start); it ends when that is closed.
 * checkpoint: the file of hook_checkpoint that the container is restored with; NULL: it is new.
 */
int hook_prestart(const char *config, const struct oci_state *state, const char *checkpoint, int sock, int keeper,
		  pid_t keeper_pid, struct error *err);

/*
 * As Podman's precreate hook (oci-hooks(5)): the config.json on stdin goes to stdout, with a bind mount of each
 * volume's tree in it. A keeper holds them as long as somebody has them mounted; VOLUME_PREPARED_KEY says so to what
 * comes later.
 */
int hook_precreate(const char *config, int keeper, pid_t keeper_pid, struct error *err);

/*
 * Adds to a request, whose id, bundle, pid, config and by_mounts are there, what the spec declares. No volumes: a
 * pod's sandbox, which takes none.
 */
int hook_fill_request(const struct spec *spec, struct arena *a, struct keeper_request *q, struct error *err);
/* Of the bundle's mounts, as volume_place wants them. NULL: out of memory. */
const char **hook_destinations(const struct spec *spec, struct arena *a);

/*
 * Waits for the keeper's answer; then as keeper_receive. At most as long as the runtime's socket (-1: none) says
 * nothing and is there, and the process of pidfd, the container's init or who asks in its place, has not ended.
 */
int hook_receive_trees(int keeper, int sock, int pidfd, struct arena *a, struct keeper_answer *ret, int fds[IO_MAX_FDS],
		       size_t *n, struct error *err);

/*
 * While nothing of the container moves: has its volumes committed, and notes the commits in that file, for a restore
 * (checkpoint_note.h). A failure: not all of them could be.
 */
int hook_checkpoint(const char *config, const struct oci_state *state, const char *file, struct error *err);

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
