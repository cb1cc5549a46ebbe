/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod_note.h - whether a pod still is there: the init of its sandbox ("pause"), which runs as long as the pod, is noted
 * in run_dir by the hook: pod-<hash of the pod's id>. And what containers of it wait for: wants-<the same>/<container>.
 */
#ifndef VOLRUN_HOOKS_POD_NOTE_H
#define VOLRUN_HOOKS_POD_NOTE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/* At the sandbox's create and delete. */
int pod_note(const char *run_dir, const char *pod, pid_t init, struct error *err);
void pod_forget(const char *run_dir, const char *pod);
/* false: it is gone, or nobody noted it. */
bool pod_lives(const char *run_dir, const char *pod);

/* A container (any name) of the pod waits for a volume, as long as its keeper lives (keeper_name.h). */
int pod_want(const char *run_dir, const char *pod, const char *container, const char *keeper, const char *store,
	     const char *volume);
void pod_want_over(const char *run_dir, const char *pod, const char *container);
/* Does any wait for one that comes before this in the order of leases: (store, volume)? */
bool pod_wants_before(const char *run_dir, const char *pod, const char *store, const char *volume);
/* The order: as strcmp(3). */
int pod_volume_order(const char *store_a, const char *volume_a, const char *store_b, const char *volume_b);

#endif
