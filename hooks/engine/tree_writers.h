/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree_writers.h - who may still write to a volume's tree by a descriptor, whatever became of the mount that it was
 * opened by: passed to a process outside of the container, or held there as a mount that is in no namespace
 * (open_tree(2)), it outlives cgroup and mount namespace (volumes.md §5).
 */
#ifndef VOLRUN_HOOKS_TREE_WRITERS_H
#define VOLRUN_HOOKS_TREE_WRITERS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Has some process (this one aside) a file of the tree open for writing, or a file or directory of it, its root or its
 * working directory by a mount that may be written to and is not the cache's own? Threads that have descriptors of
 * their own count. ret (may be NULL): "process 12 (sh)". Looks at each descriptor of each process (proc_pid_fd(5)):
 * some 50 us a process. What can't be looked at is passed over, and so are descriptors on their way over a socket,
 * files registered with io_uring, and mappings whose descriptor is closed. Without memory to look: yes.
 */
bool tree_has_writers(int root_fd, char *ret, size_t size);

#endif
