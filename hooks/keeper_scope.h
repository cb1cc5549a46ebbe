/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_scope.h - a keeper outlives the unit of the engine that started it, and a machine that goes down waits for
 * it: it gets a scope of systemd's, where there is one.
 *
 * Stopping docker.service or the like ends what is left in that unit's cgroup; a keeper that is uploading must not be
 * there. At a shutdown, systemd stops the scope before the network and the file systems: the keeper, which ends when
 * its volumes are committed and not before, has SCOPE_STOP_SEC for that.
 */
#ifndef VOLRUN_HOOKS_KEEPER_SCOPE_H
#define VOLRUN_HOOKS_KEEPER_SCOPE_H

#include <sys/types.h>

#define SCOPE_STOP_SEC 600

/*
 * Has volrun-systemd move the process to a scope (volrun-keeper-PID.scope), in the background: the caller waits for
 * nothing, and learns of no failure; a keeper that stays where it is does its work as well. container: for the unit's
 * description.
 *
 * Not before the keeper has noted its cgroup (container_cgroup_remember_self).
 */
void keeper_scope_start(pid_t keeper, const char *container);

#endif
