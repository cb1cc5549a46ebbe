/* SPDX-License-Identifier: Apache-2.0 */
/* delete.h - the end of a container, for `delete` and `run`; and the hooks around its life. */
#ifndef VOLRUN_RUNTIME_DELETE_H
#define VOLRUN_RUNTIME_DELETE_H

#include "base/strbuf.h"
#include "runtime/state_dir.h"

/*
 * Kills what is left when `force` (else the container must be stopped or
 * created), removes the cgroup and the directory, lets volrun-hook wait for the volumes, runs the poststop hooks. Hooks
 * that fail are lines in notes.
 */
int container_delete(const char *root, const struct container *c, bool force, struct strbuf *notes, struct error *err);

/*
 * Runs the poststart hooks of a container that has just started. When one fails, the container is stopped and
 * deleted (runtime.md "Lifecycle", step 9).
 */
int container_poststart(const char *root, const struct container *c, struct error *err);

#endif
