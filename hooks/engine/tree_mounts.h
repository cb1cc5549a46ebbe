/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree_mounts.h - does another mount namespace still hold a volume's tree?
 * Says when a container has ended that has no cgroup of its own; and sees to it
 * that nobody writes when one has ended (volumes.md §5). The only part that sees
 * libmount.
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

/*
 * Makes each mount of the directory, or of a part of it, in the mount namespace read-only, for good: nobody writes by
 * them any more, not by a directory that he has open either (mount_setattr(2), Linux 5.12). 1: so it is, or there is
 * none. 0: somebody has a file open for writing, or maps one; or a mount can't be reached. Negative: the namespace
 * can't be entered; nothing is known. The namespace may be one that no process is left in. Forks; 5 s at most.
 */
int tree_make_quiet_in(int fd, int ns_fd);
/* The same in the namespaces of all processes, ours aside. */
int tree_make_quiet(int fd);

#endif
