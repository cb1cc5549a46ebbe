/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confine.h - what volrun-hook, volrun-keeper and volrun-volume may do. They run
 * as root, and read what a container wrote and what a store returns: a
 * mistake there is to be worth as little as possible.
 *
 * - nobody's reach: not dumpable, so no ptrace and no /proc/PID/{mem,environ,fd,...} for who has no CAP_SYS_PTRACE
 *   here.
 * - no_new_privs: no program that is executed gains anything.
 * - capabilities: always CAP_DAC_OVERRIDE, CAP_CHOWN, CAP_FOWNER (files of any owner in cache and store). None else but
 *   these, raised for a step that needs it by the functions below: CAP_SYS_PTRACE (to look at another process's mount
 *   namespace and mappings), CAP_SYS_ADMIN (detached mounts; a mark on a cgroup; with CAP_SYS_CHROOT, to make a tree
 *   read-only in the mount namespaces that still have it), CAP_KILL (what is left of a container, and `drain --force`),
 *   CAP_SYS_RESOURCE (oom_score_adj).
 * - system calls: a list of what is allowed (confine_filter.c). Not in it: mount(2) and its relatives, unshare(2),
 *   ptrace(2), bpf(2), keys, modules, open_by_handle_at(2), io_uring, ...
 *
 * Who has none of these rights, rootless, loses nothing.
 */
#ifndef VOLRUN_HOOKS_CONFINE_H
#define VOLRUN_HOOKS_CONFINE_H

#include <linux/capability.h>
#include <stdbool.h>

/* LeakSanitizer reads its own process by ptrace(2), and spins for ever where it may not: let it, where it is. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CONFINE_SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define CONFINE_SANITIZED
#endif

struct error;

/* At a program's start, before it has threads: for all of the above, and for good. The filter holds threads that are
 * there already, too. */
int confine(struct error *err);
/*
 * The two parts of it, for who has to know its configuration in between: the programs that give credentials
 * (config_runs_programs) would have the filter too, and not be able to live with it.
 */
int confine_rights(struct error *err);
int confine_filter(struct error *err);
/*
 * Before these: this program puts mounts in their places, or takes them away (a hook of another runtime,
 * `volrun volume mount|unmount`). The keeper that it starts may not.
 */
void confine_allow_mounts(void);

/*
 * The keeper, when its trees are made: from here on it executes no program and makes no mount (nor does any thread of
 * it).
 */
int confine_for_run(struct error *err);

/* Gives up a right that confine() leaves to be raised. Of the calling thread, and of those that it starts. */
void confine_drop(int cap);

/*
 * A right for one step, of the calling thread; also in the child of a process with threads. Without it being there
 * to be had, or where it is in effect anyway, nothing happens. Ends with the block:
 *
 *     _cleanup_right_ struct right r = right_raise(CAP_KILL);
 */
struct right {
	int cap; /* -1: not raised here */
};
struct right right_raise(int cap);
bool right_is_held(int cap);
void right_lower(struct right *r);
#define _cleanup_right_ __attribute__((cleanup(right_lower), unused))

/*
 * The first system call that the filter refused (its caller got ENOSYS), or -1: something that this program needs is
 * not in the list, or somebody made it try what it should not.
 */
int confine_refused(void);

#endif
