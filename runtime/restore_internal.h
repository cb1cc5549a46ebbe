/* SPDX-License-Identifier: Apache-2.0 */
/* restore_internal.h - between restore.c, the list of steps, and its parts. */
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
	const char **places; /* of mounts that the checkpoint had and config.json does not know of; "": done */
	size_t n_places;
	bool has_leases; /* the volumes were asked for */
};

/* restore_root.c: makes the directory for the root file system, and tells criu of it. */
int restore_root_path(struct restore *r, struct error *err);
/*
 * In criu's process, with a struct restore: a mount namespace of its own, in which that directory is the root file
 * system; criu wants it to be a mount point that nothing is mounted over. It is gone when criu is.
 */
int restore_mount_root(void *arg, struct error *err);

/*
 * restore_volumes.c: volumes are fetched when init is there, since their keeper watches it; criu wants to be told of
 * their mounts before. So it is told of directories, and they are mounted there just in time.
 */
int restore_volumes_plan(struct restore *r, struct error *err);
int restore_volumes_mount(struct restore *r, struct error *err);
/* Removes the directories: criu is done. */
void restore_volumes_clean(struct restore *r);
/* After init is gone. */
void restore_volumes_undo(struct restore *r);

#endif
