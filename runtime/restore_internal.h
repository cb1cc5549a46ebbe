/* SPDX-License-Identifier: Apache-2.0 */
/* restore_internal.h - between restore.c, the list of steps, and restore_root.c. */
#ifndef VOLRUN_RUNTIME_RESTORE_INTERNAL_H
#define VOLRUN_RUNTIME_RESTORE_INTERNAL_H

#include "runtime/create_internal.h"
#include "runtime/criu.h"
#include "runtime/restore.h"

/* In the container's directory: where criu has the root file system. */
#define RESTORE_ROOT "criu-root"

struct restore {
	struct create create;
	struct restore_request *request;
	const char *criu_path;
	const char *root; /* NULL: no mount namespace */
	struct criu_place place;
	struct criu criu;
	pid_t init; /* 0: not there yet */
	int fds[2]; /* namespaces that criu inherits */
	size_t n_fds;
};

/* restore_root.c: makes the directory for the root file system, and tells criu of it. */
int restore_root_path(struct restore *r, struct error *err);
/*
 * In criu's process, with a struct restore: a mount namespace of its own, in which that directory is the root file
 * system; criu wants it to be a mount point that nothing is mounted over. It is gone when criu is.
 */
int restore_mount_root(void *arg, struct error *err);

#endif
