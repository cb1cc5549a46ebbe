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

/*
 * The program of a container: from run.oci.seccomp_bpf_data, else compiled from linux.seccomp
 * or taken from the cache; neither: prog.len 0. dir_fd: the container's directory.
 *   run.oci.seccomp_fail_unknown_syscall   (any value but "0") an unknown system call is an error
 *   run.oci.seccomp_bpf_data               base64 of the program itself (struct sock_filter, this machine's byte order)
 */
int seccomp_plan(const struct spec *spec, int dir_fd, struct arena *arena, struct seccomp_program *ret,
		 struct error *err);

/*
 * Unknown syscalls are skipped (runtime-spec) unless strict, unknown actions, operators, architectures and flags are
 * errors. A system call that is younger than the profile fails with ENOSYS, see seccomp_enosys.c.
 */
int seccomp_compile(const struct spec_seccomp *s, bool strict, struct arena *arena, struct seccomp_program *ret,
		    struct error *err);
/* The same by the cache in the state root, <dir_fd>/../@seccomp (seccomp_cache.c); no failure of the cache is an error.
 */
int seccomp_compile_cached(const struct spec_seccomp *s, bool strict, int dir_fd, struct arena *arena,
			   struct seccomp_program *ret, struct error *err);
/* The flags of a profile; none in it: SECCOMP_FILTER_FLAG_SPEC_ALLOW. */
int seccomp_flags_parse(const struct spec_seccomp *s, unsigned *ret, struct error *err);
/*
 * In the child. Without CAP_SYS_ADMIN the caller has set no_new_privs. *ret_listener: -1 unless notify.
 * (Not "seccomp_load": libseccomp has that.)
 */
int seccomp_install(const struct seccomp_program *p, int *ret_listener, struct error *err);

/*
 * seccomp_eval.c: whether the filter lets this process make a system call (SECCOMP_RET_ALLOW or _LOG), by running it.
 * Without a filter: yes. False also where it is beyond what libseccomp makes (other loads than of words).
 */
bool seccomp_allows(const struct seccomp_program *p, long nr, const uint64_t args[6]);

/* What the build knows, for `features`: NULL-terminated lists. */
/* Of the flags those that the running kernel takes; ret has the room of seccomp_flags. */
void seccomp_supported_flags(const char **ret);
#define SECCOMP_VERSION_MAX 32
/* Of libseccomp, "2.5.4". Returns buf. */
const char *seccomp_library_version(char buf[SECCOMP_VERSION_MAX]);
#define SECCOMP_FLAGS_MAX 8
extern const char *const seccomp_actions[], *const seccomp_operators[], *const seccomp_archs[], *const seccomp_flags[];

#endif
