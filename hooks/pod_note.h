/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod_note.h - whether a pod still is there: the init of its sandbox ("pause"), which runs as long as the pod, is noted
 * in run_dir by the hook: pod-<hash of the pod's id>.
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

#endif
