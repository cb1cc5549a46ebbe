/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree_mounts.h - does another mount namespace still hold a volume's tree?
 * Says when a container has ended that has no cgroup of its own (volumes.md
 * §5). The only part that sees libmount.
 */
#ifndef VOLRUN_HOOKS_TREE_MOUNTS_H
#define VOLRUN_HOOKS_TREE_MOUNTS_H

#include <stdbool.h>

/*
 * Is the directory that fd is open on mounted, as itself, in a mount namespace of
 * some process, ours aside? Follows the directory's renames. Reads each process's
 * /proc/PID/mountinfo (proc_pid_mountinfo(5)) once a namespace: milliseconds on a
 * busy machine. What can't be read counts as not mounted.
 */
bool tree_is_mounted_elsewhere(int fd);

#endif
