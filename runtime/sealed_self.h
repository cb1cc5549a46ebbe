/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealed_self.h - volrun out of a sealed copy of itself, where the launcher (launcher.h) does not do.
 *
 * Our processes are not dumpable while they are in a container, so that nobody there can take hold of volrun's file by
 * /proc/PID/exe; but one that may trace any process (CAP_SYS_PTRACE, in the same user namespace) can. A
 * container that has or may meet such a one is joined by a volrun that was executed again from a memfd: about 1 ms,
 * which others need not pay. (What else it can do to a process of its own pid namespace, it can do to any.)
 */
#ifndef VOLRUN_RUNTIME_SEALED_SELF_H
#define VOLRUN_RUNTIME_SEALED_SELF_H

#include <stdbool.h>
#include <sys/types.h>

#include "oci/spec.h"

/* By main: argv, for the execve. */
void self_remember(char **argv);

/* May somebody in the container trace who joins it: its pid namespace is another container's, or it has the capability?
 */
bool self_is_exposed(const struct spec *spec);

/*
 * Executes volrun again with the same arguments, unless it is the copy that runs. To be called before anything is made,
 * or read that can be read only once. Returns in the copy, and where a memfd can't be had or executed
 * (vm.memfd_noexec=2): there the container has to be trusted.
 */
void self_seal(void);

/* Where volrun's file is: what it was executed from. Returns its length, or -1. */
ssize_t self_path(char *buf, size_t size);

#endif
