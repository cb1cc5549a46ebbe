/* SPDX-License-Identifier: Apache-2.0 */
/*
 * criu_mounts.h - which mounts of a container criu can't make itself, because they come from outside: bind mounts,
 * volumes, what was mounted while it ran. Each is named to criu at the checkpoint (by its mount point; the name is the
 * destination in config.json, as runc and crun have it) and gets its source at the restore.
 */
#ifndef VOLRUN_RUNTIME_CRIU_MOUNTS_H
#define VOLRUN_RUNTIME_CRIU_MOUNTS_H

#include "oci/spec.h"
#include "runtime/cgroup.h"
#include "runtime/criu_message.h"

/* Those of config.json. root_fd: the container's "/". */
int criu_mounts_dump(const struct spec *spec, const struct cgroup *cg, int root_fd, struct criu_request *r,
		     struct arena *arena, struct error *err);

/*
 * Adds to r->mounts the mounts that none of the others in r->mounts stands for and that nothing in the
 * container could be the source of; their name is their place. mountinfo: the text of /proc/PID/mountinfo. Pure.
 */
int criu_mounts_unnamed(const char *mountinfo, struct criu_request *r, struct arena *arena, struct error *err);

/* root_fd: the root file system; bundle: relative sources count from it. */
int criu_mounts_restore(const struct spec *spec, const struct cgroup *cg, int root_fd, const char *bundle,
			struct criu_request *r, struct arena *arena, struct error *err);

/*
 * The mount points that are missing in the root file system, and in the sources of bind mounts; as create makes
 * them. Those on a tmpfs come with its content.
 */
int criu_mounts_make_points(const struct spec *spec, int root_fd, const char *bundle, struct arena *arena,
			    struct error *err);

/* Is it a bind mount? -EINVAL: its options make no sense. */
int criu_mount_is_bind(const struct spec_mount *m, struct arena *arena, bool *ret, struct error *err);

/* Where a path leads, links resolved; as it is written, when nothing is there. NULL: out of memory. */
const char *criu_mount_place(int root_fd, const char *path, struct arena *arena);

#endif
