/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caps.h - linux capabilities (capabilities(7)) by libcap. Only caps.c
 * includes <sys/capability.h>.
 */
#ifndef VOLRUN_RUNTIME_CAPS_H
#define VOLRUN_RUNTIME_CAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "oci/spec.h"

struct caps {
	uint64_t bounding, effective, inheritable, permitted, ambient;
};

/* "CAP_A CAP_B", each once, in the arena; NULL: none. */
struct caps_left_out {
	const char *unknown;	 /* names that stand for nothing here */
	const char *ignored;	 /* what this process can't grant */
	const char *not_ambient; /* what can't be raised */
};

/*
 * Names to masks. Unknown names and those this process can't grant are left out
 * and listed for a warning, as runtime-spec 1.1 says. So are an effective capability that is not
 * permitted and an ambient one that is not permitted and inheritable (the kernel
 * would refuse them, capabilities(7)). spec NULL: no capability at all.
 * To be called by the process that applies it, after it entered its user
 * namespace: there it has capabilities that it did not have before.
 */
int caps_plan(const struct spec_caps *spec, struct arena *arena, struct caps *ret, struct caps_left_out *ret_left,
	      struct error *err);
/*
 * Before the change of user: bounding set, PR_SET_KEEPCAPS. After it: the other sets, ambient; keepcaps off.
 * After a change from uid 0 only the permitted set survives; that is enough for caps_apply, but the
 * effective set is empty in between.
 */
int caps_apply_bounding(const struct caps *c, struct error *err);
int caps_apply(const struct caps *c, struct error *err);

/* Is it the name of a capability that this library knows? */
bool caps_known(const char *name);

/* All names that this kernel and library know, NULL-terminated, for `features`. In the arena. */
int caps_names(struct arena *arena, const char ***ret, struct error *err);

#endif
