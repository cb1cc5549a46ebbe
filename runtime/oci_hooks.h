/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci_hooks.h - runs the hooks of config.json (runtime-spec config.md,
 * "POSIX-platform Hooks"): in order, each with the state JSON on its stdin, its own
 * environment, and its timeout, after which its whole process group is killed.
 *
 * A hook without "env" gets what runc and crun give it: the caller's environment, and
 * startContainer (which the image provides) that of the container's process. With "env" it
 * gets exactly that. The annotations run.oci.hooks.stdout and run.oci.hooks.stderr name files
 * to append to; not for startContainer, whose files are the image's.
 */
#ifndef VOLRUN_RUNTIME_OCI_HOOKS_H
#define VOLRUN_RUNTIME_OCI_HOOKS_H

#include "base/error.h"
#include "base/strbuf.h"
#include "oci/spec.h"
#include "oci/state.h"

/*
 * Stops at the first failure:
 *   error running createRuntime hook #0: /usr/bin/x: exit status 1: <what it wrote on stderr>
 * env: for hooks without one, NULL: the caller's (and then the annotations count).
 */
int oci_hooks_run(const char *kind, const struct spec_hook *hooks, size_t n, const struct oci_state *state,
		  const char *const *env, struct error *err);
/* Runs all; each failure is a line in notes (poststop: runtime.md "Lifecycle"). */
void oci_hooks_run_all(const char *kind, const struct spec_hook *hooks, size_t n, const struct oci_state *state,
		       struct strbuf *notes);

#endif
