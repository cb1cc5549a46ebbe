/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devices.h - device nodes, the links in /dev and the terminal.
 *
 * Nodes are made with mknod; in a user namespace, where that is refused, the parent's (device_trees.h)
 * or the host's are bind-mounted. A node of the host, of the container's /dev/null or of its
 * terminal is believed only after fstat of the descriptor showed its kind and number.
 */
#ifndef VOLRUN_RUNTIME_DEVICES_H
#define VOLRUN_RUNTIME_DEVICES_H

#include <sys/types.h>

#include "runtime/rootfs.h"

struct device {
	const char *path; /* absolute, inside the rootfs; also the host's, for a bind mount */
	mode_t mode;	  /* S_IFCHR, S_IFBLK or S_IFIFO with the permission bits */
	dev_t rdev;
	uid_t uid;
	gid_t gid;
	size_t made; /* index in linux.devices, plus one; 0: a default device */
};

/* All but path and made. Pure. */
int device_from_spec(const struct spec_device *d, struct device *ret, struct error *err);

/* The default devices (config-linux.md "Default Devices") and linux.devices, which win. Pure. In the arena. */
int devices_plan(const struct spec *spec, struct arena *arena, struct device **ret, size_t *ret_n, struct error *err);

/* Nodes, links (fd stdin stdout stderr core) and ptmx. The caller has set umask 0. */
int devices_make(struct rootfs *r, struct error *err);

/* 0 when fd is a character device of that number; -ENODEV. */
int device_check(int fd, mode_t kind, dev_t rdev);

/* Binds the pty slave on /dev/console. */
int console_mount(struct rootfs *r, int slave_fd, struct error *err);

#endif
