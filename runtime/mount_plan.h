/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount_plan.h - from the spec's mounts and the volumes to one ordered list of
 * operations. Pure: no system call, so it is tested without privilege.
 *
 * Order: the bundle's. A volume comes after each mount of the bundle that would
 * hide it, and then just before the first whose destination lies beneath the
 * volume's (that mount lands on it), else at the end (oci/volume.h). Destinations
 * are compared as text, in normal form; what an image's links make of them is
 * seen when all are made (rootfs.c).
 */
#ifndef VOLRUN_RUNTIME_MOUNT_PLAN_H
#define VOLRUN_RUNTIME_MOUNT_PLAN_H

#include "base/arena.h"
#include "base/error.h"
#include "oci/spec.h"
#include "runtime/mount_options.h"
#include "runtime/rootfs.h"

enum mount_kind {
	MOUNT_BIND,    /* source on destination; or the given tree */
	MOUNT_VOLUME,  /* the given tree, as it is */
	MOUNT_REMOUNT, /* changes what is mounted there */
	MOUNT_PROC,    /* proc and sysfs: only on a real directory, not through a link */
	MOUNT_SYSFS,
	MOUNT_TMPFS,
	MOUNT_DEVPTS,
	MOUNT_CGROUP, /* as the host has it: v2, or all of v1 */
	MOUNT_OTHER,  /* a new instance of a file system by its type */
};

struct mount_op {
	enum mount_kind kind;
	const char *type;	 /* the spec's, "" when absent */
	const char *source;	 /* the spec's; the type when absent; a volume's: "volume" */
	const char *destination; /* absolute, normal form */
	struct mount_options options;
	int tree_fd;			    /* a detached mount; -1: none */
	const struct rootfs_volume *volume; /* which has the mount, of a volume */
	const char *late;   /* the source as a path within the root, see mount_late.h; NULL: it is one of the host */
	int index;	    /* of the spec's mounts */
	bool late_readonly; /* made read-only by rootfs_finish: its content has yet to be made */
};

struct mount_plan {
	struct mount_op *ops;
	size_t n;
	bool setup_dev; /* devices and links in /dev are ours to make: it is not a bind mount */
};

/*
 * A destination of the spec as an absolute path within the root, in normal form; one that names the root as the host
 * sees it (rootfs_path, may be NULL) is one within it, as in runc. NULL: out of memory.
 */
const char *mount_destination(const char *rootfs_path, const char *destination, struct arena *arena);

/* Reads spec, volumes and mount_tree_fds of r. Everything returned is in r->arena. */
int mount_plan_make(const struct rootfs *r, struct mount_plan *ret, struct error *err);

/*
 * May something be mounted on this place? `canonical` is its path within the root, links
 * resolved. The root itself never; /proc only a procfs (`is_procfs`: it is one, or a bind of
 * one); beneath /proc only the files that lxcfs emulates. Else a container could be shown
 * a /proc that swallows what the runtime writes there.
 */
int mount_place_check(const char *canonical, bool is_procfs, struct error *err);

#endif
