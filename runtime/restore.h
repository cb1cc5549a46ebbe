/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore.h - a container out of a checkpoint's files: as create.c a list of steps, each with its undo, but the
 * processes are made by criu. Its init becomes our child, as if we had cloned it.
 *
 * What is made anew, from config.json, and not as it was: the cgroup with its limits; the network namespace (with "lo"
 * up, linux.netDevices, and what the hooks prestart and createRuntime do, which run when it is there); the sources of
 * bind mounts. The rest is as it was in the checkpoint.
 */
#ifndef VOLRUN_RUNTIME_RESTORE_H
#define VOLRUN_RUNTIME_RESTORE_H

#include "runtime/create.h"
#include "runtime/criu_options.h"

struct restore_request {
	struct create_request create; /* start is set */
	struct criu_options criu;     /* is added to */
};

/* As container_create. */
int container_restore(struct restore_request *request, struct created *ret, struct error *err);

#endif
