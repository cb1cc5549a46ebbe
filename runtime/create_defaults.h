/* SPDX-License-Identifier: Apache-2.0 */
/* create_defaults.h - what create puts into a config.json where it is silent, or asks for what the host has not. */
#ifndef VOLRUN_RUNTIME_CREATE_DEFAULTS_H
#define VOLRUN_RUNTIME_CREATE_DEFAULTS_H

#include "base/arena.h"
#include "base/error.h"
#include "oci/spec.h"

/*
 * Of a container without `process`, which may be created (config.md): no arguments, and
 * process_execve ends init instead. For exec it is the base of what the command line gives.
 */
const struct spec_process *spec_no_process(void);

/*
 * After spec_load, before create_check.
 * - process: spec_no_process(), unless it is to be started at once.
 * - uidMappings, gidMappings of a new user namespace: as crun, the process's own user and group as
 *   the caller's, and no other id.
 * - SELinux labels on a host without SELinux: none, as crun and as an AppArmor profile.
 */
int create_defaults(struct spec *spec, bool start, struct arena *arena, struct error *err);

#endif
