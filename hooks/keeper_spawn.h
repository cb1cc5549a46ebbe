/* SPDX-License-Identifier: Apache-2.0 */
/* keeper_spawn.h - starts a keeper; it makes itself a background process. */
#ifndef VOLRUN_HOOKS_KEEPER_SPAWN_H
#define VOLRUN_HOOKS_KEEPER_SPAWN_H

#include <sys/types.h>

struct error;

/*
 * *ret_sock: this end of its socket (keeper_proto.h). It stays in the caller's cgroup (keeper_scope.h). config: of the
 * request that will come, or NULL.
 */
int keeper_start(const char *config, pid_t *ret_pid, int *ret_sock, struct error *err);

struct volume;
struct keeper_note;

/*
 * Starts one that goes on in the place of the dead keeper that left the note: it
 * gets the volume's lock (v's is closed), holds the lease again and commits when the container has
 * ended. 0 when it does.
 */
int keeper_start_adopter(struct volume *v, const struct keeper_note *note, struct error *err);

#endif
