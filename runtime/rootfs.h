/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rootfs.h - the container's file system, made by the child in its own mount
 * namespace, in this order:
 *
 *   rootfs_prepare   propagation, the root's own mount, every mount of the
 *                    plan, devices, /dev links   -> then hooks createRuntime, createContainer
 *   rootfs_enter     pivot_root (or --no-pivot), rootfsPropagation
 *   rootfs_mount_volumes   those that were not there yet, and need not have been
 *   rootfs_finish    sysctl, masked and read-only paths, read-only root
 *
 * mount_plan.c turns the spec into a list of operations, purely (tested
 * unprivileged); mount_apply.c runs it by descriptors, every path inside
 * the rootfs resolved with openat2 RESOLVE_IN_ROOT, never by string.
 */
#ifndef VOLRUN_RUNTIME_ROOTFS_H
#define VOLRUN_RUNTIME_ROOTFS_H

#include "base/arena.h"
#include "base/error.h"
#include "oci/spec.h"
#include "runtime/cgroup.h"

enum volume_kind {
	VOLUME_MOUNT,	  /* a detached mount, made by volrun-hook (read-only, nosuid, nodev already set on it) */
	VOLUME_DIRECTORY, /* rootless: the directory, of which init makes such a mount before rootfs_prepare */
	VOLUME_DIRECTORY_RO,
};

/* A volume to be mounted. */
struct rootfs_volume {
	const char *destination; /* absolute, normal form */
	int tree_fd;		 /* -1: it comes later, see await_volumes */
	enum volume_kind kind;
};

struct mount_op;

/* Internal: a mount that rootfs_finish makes read-only, once everything is in it. */
struct rootfs_late {
	const char *destination;
	int fd;
	struct rootfs_late *next;
};

/*
 * What the caller fills in; zero for root_fd and late. Relative sources of bind mounts
 * count from the current directory: the caller is in the bundle.
 */
struct rootfs {
	const struct spec *spec;
	const char *rootfs_path; /* absolute */
	const char *bundle;	 /* absolute; NULL: no source of a mount is looked for within the root (mount_late.h) */
	int parent;		 /* the handshake's socket, for mount_late.h */
	bool no_pivot;
	bool live;		     /* rootfs_add_mounts: the container runs, its root stays */
	bool in_userns;		     /* a new user namespace, or we are in one: devices are bind-mounted */
	const struct cgroup *cgroup; /* for mounts of type cgroup */
	const struct rootfs_volume *volumes;
	size_t n_volumes;
	/* Called once before the first volume is mounted, when one has no tree yet: afterwards all have. */
	int (*await_volumes)(void *arg, struct error *err); /* NULL: each has */
	void *await_arg;
	/* Nobody looks at the root file system before rootfs_enter: what is on its way needs not be waited for until
	 * then. */
	bool volumes_may_wait;
	/* Per entry of spec->mounts: an idmapped detached mount that the parent made, or -1; NULL: none has one. */
	const int *mount_tree_fds;
	/* Per entry of linux.devices: a detached mount of its node, or -1; NULL: none has one. */
	const int *device_tree_fds;
	int console_fd; /* terminal: the slave, bind-mounted on /dev/console; -1: none */
	struct arena *arena;
	int root_fd; /* set by rootfs_prepare; "/" of the container, also after rootfs_enter */
	struct rootfs_late *late;
	/*
	 * Internal: the mounts on /proc and /sys, or -1. What is masked in them is found from these: the directory that
	 * they were mounted on may have another name by then, if somebody else can write to the root file system.
	 */
	int proc_fd, sys_fd;
	/* Internal: the volumes that wait. */
	const struct mount_op *waiting;
	size_t n_waiting;
};

/*
 * Without a mount namespace in the spec nothing is mounted, for it would be on the host, where it would stay (as crun):
 * prepare makes the device nodes, enter is a chroot, finish writes the sysctls.
 */
int rootfs_prepare(struct rootfs *r, struct error *err);
/* Afterwards the current directory is the new "/". */
int rootfs_enter(struct rootfs *r, struct error *err);
int rootfs_mount_volumes(struct rootfs *r, struct error *err);
/* The last step: what must be made in the root (process.cwd, /dev/console) comes before it. */
int rootfs_finish(struct rootfs *r, struct error *err);
/*
 * For a container that runs: makes the spec's mounts beneath root_fd, which the caller has opened,
 * as one of the container's mount namespace. Sources of bind mounts are in mount_tree_fds.
 */
int rootfs_add_mounts(struct rootfs *r, struct error *err);
/* Closes root_fd and what rootfs_finish did not reach. */
void rootfs_close(struct rootfs *r);

/*
 * Opens a new pty of the container's own devpts (after rootfs_prepare, at dev/pts/ptmx beneath
 * root_fd; without a mount namespace in the spec also of the runtime's /dev/pts). The name is as the container sees it:
 * "/dev/pts/0".
 */
int rootfs_open_pty(struct rootfs *r, int *ret_master, char *ret_slave_name, size_t size, struct error *err);
/* Bind-mounts that slave on /dev/console; before or after rootfs_enter. Without a mount namespace nothing is done. */
int rootfs_mount_console(struct rootfs *r, const char *slave_name, struct error *err);

#endif
