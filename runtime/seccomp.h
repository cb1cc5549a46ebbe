/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp.h - linux.seccomp by libseccomp, compiled in the parent (which has
 * the memory and the time), loaded by the child just before execve.
 * Only runtime/seccomp* includes <seccomp.h>.
 */
#ifndef VOLRUN_RUNTIME_SECCOMP_H
#define VOLRUN_RUNTIME_SECCOMP_H

#include <linux/filter.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "oci/spec.h"

struct seccomp_program {
	struct sock_fprog prog; /* filter in the arena; len 0: nothing to load */
	unsigned flags;		/* SECCOMP_FILTER_FLAG_* */
	bool notify;		/* some rule notifies: the listener must be handed on */
};

/* Unknown syscalls are skipped (runtime-spec), unknown actions, operators, architectures and flags are errors. */
int seccomp_compile(const struct spec_seccomp *s, struct arena *arena, struct seccomp_program *ret, struct error *err);
/*
 * In the child. Without CAP_SYS_ADMIN the caller has set no_new_privs. *ret_listener: -1 unless notify.
 * (Not "seccomp_load": libseccomp has that.)
 */
int seccomp_install(const struct seccomp_program *p, int *ret_listener, struct error *err);

/* What the build knows, for `features`: NULL-terminated lists. */
extern const char *const seccomp_actions[], *const seccomp_operators[], *const seccomp_archs[], *const seccomp_flags[];

#endif
