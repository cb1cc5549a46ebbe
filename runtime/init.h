/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init.h - the container's first process, from clone3 to execve: the child's
 * side. A list of steps in init.c, the twin of create.c. What it says to the parent
 * and hears from it is in handshake.h.
 */
#ifndef VOLRUN_RUNTIME_INIT_H
#define VOLRUN_RUNTIME_INIT_H

#include "base/arena.h"
#include "oci/spec.h"
#include "oci/state.h"
#include "oci/volume.h"
#include "runtime/namespaces.h"
#include "runtime/process.h"
#include "runtime/rootfs.h"

struct init {
	const struct spec *spec;
	const struct namespaces *ns;
	struct process *process;
	struct rootfs rootfs;	/* its volumes come over the handshake */
	struct oci_state state; /* for the hooks that run here; the pid comes with HS_GO */
	struct arena *arena;
	int sock;	   /* handshake with the creator */
	int start_sock;	   /* listening once the creator has said HS_CREATED */
	bool parent_hooks; /* the creator has hooks to run between mounts and pivot_root */
	bool new_keyring;
	bool start_at_once; /* run: nobody waits for HS_READY */
	/* Made here. */
	int report; /* where an error goes: sock, then the connection of `start` */
	int master; /* of the terminal, until it is handed over */
	struct rootfs_volume volumes[VOLUME_MAX];
	struct cgroup scope; /* of systemd */
	int *devices;	     /* per entry of linux.devices, as trees */
	int *trees;	     /* per mount of the spec, -1: none; NULL: none at all */
};

/* Never returns: execve, or _exit(255) after telling the error. */
void init_main(struct init *in) __attribute__((noreturn));

#endif
