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
 * busy machine. What can't be read counts as not mounted. but: where one of our own mounts of it is, or NULL. A
 * namespace that was copied from ours has it, too, without anybody's doing: of a process whose root is ours too, mounts
 * at this path don't count. They do of one with another root, a container; but not, wherever it is, one that came with
 * what ours lies on, and goes with ours (propagation: "-v /:/host:rslave"): the kernel says when that one is in use.
 */
bool tree_is_mounted_elsewhere(int fd, const char *but);
/* The same of our own namespace. The mount that it was opened by does not count, but where it is the root of that. */
bool tree_is_mounted_here(int fd);

/*
 * Makes each mount of the directory, or of a part of it, in the mount namespace read-only, for good: nobody writes by
 * them any more, not by a directory that he has open either (mount_setattr(2), Linux 5.12). 1: so it is, or there is
 * none. 0: somebody has a file open for writing, or maps one. Negative: the namespace can't be entered, or a mount in
 * it not be reached, as another one covers it: nothing is known. The namespace may be one that no process is left in.
 * Forks; 5 s at most.
 */
int tree_make_quiet_in(int fd, int ns_fd);
/*
 * The same in the namespaces of all processes, ours aside; from Linux 6.12 on also in those that only a descriptor or a
 * mount keeps, and with no look at the processes where no namespace has it.
 */
int tree_make_quiet(int fd);

#endif
