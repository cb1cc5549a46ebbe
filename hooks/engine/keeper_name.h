/* SPDX-License-Identifier: Apache-2.0 */
/* keeper_name.h - "pid start-time" of a keeper, as registers carry it: tells a process from a later one of the same
 * pid. */
#ifndef VOLRUN_HOOKS_KEEPER_NAME_H
#define VOLRUN_HOOKS_KEEPER_NAME_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/arena.h"

/* In the arena. NULL: there is no such process, a zombie counts as none (or no memory). */
const char *keeper_name(pid_t pid, struct arena *a);
/* Of this node and this boot: does it run, and is it another process than the caller? */
bool keeper_alive(const char *name);

#endif
