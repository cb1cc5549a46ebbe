/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount_numbers.h - mounts by the numbers that the kernel gives them, with no text to be parsed, and of all mount
 * namespaces, with no process to be looked for (statmount(2), listmount(2); Linux 6.12). An older kernel says no, and
 * tree_mounts.c reads /proc/PID/mountinfo.
 */
#ifndef VOLRUN_HOOKS_MOUNT_NUMBERS_H
#define VOLRUN_HOOKS_MOUNT_NUMBERS_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/sys.h"

struct mount_numbers {
	struct sys_statmount s;
	char strings[2 * PATH_MAX]; /* goes on where s ends */
};

/* Where it begins in its file system, and where it lies, as mountinfo has them. */
const char *mount_numbers_root(const struct mount_numbers *m);
const char *mount_numbers_point(const struct mount_numbers *m);

/* The mount of our namespace that fd was opened by. Negative: it is in none, or the kernel is too old. */
int mount_numbers_of(int fd, struct mount_numbers *ret);

/*
 * fn for each mount of the file system in our namespace, until it says something else than 0, which is returned.
 * Negative: not all can be looked at.
 */
int mount_numbers_each(dev_t dev, int (*fn)(void *ctx, const struct mount_numbers *m), void *ctx);

/*
 * Has a mount namespace, ours aside, a mount of the directory `root` of the file system, or of a part of it? 1, 0.
 * Negative: nobody can tell; so for whom this process may not enter all of them. 50 us a namespace.
 */
int mount_numbers_elsewhere(dev_t dev, const char *root);

#endif
