/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci_hooks.h - runs the hooks of config.json (runtime-spec config.md,
 * "POSIX-platform Hooks"): in order, each with the state JSON on its stdin, its own
 * environment (empty when it has none), and its timeout.
 */
#ifndef VOLRUN_RUNTIME_OCI_HOOKS_H
#define VOLRUN_RUNTIME_OCI_HOOKS_H

#include "base/error.h"
#include "base/strbuf.h"
#include "oci/spec.h"
#include "oci/state.h"

/*
 * Stops at the first failure:
 *   error running createRuntime hook #0 (/usr/bin/x): exit status 1: <what it wrote on stderr>
 */
int oci_hooks_run(const char *kind, const struct spec_hook *hooks, size_t n, const struct oci_state *state,
		  struct error *err);
/* Runs all; each failure is a line in notes (poststart, poststop: runtime.md "Lifecycle"). */
void oci_hooks_run_all(const char *kind, const struct spec_hook *hooks, size_t n, const struct oci_state *state,
		       struct strbuf *notes);

#endif
