/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.h - from a process of ours, already in the container's namespaces,
 * to the program of the user: for the container's init and for `exec`.
 *
 *   process_plan     by the parent: all that can be decided or compiled before
 *   process_enter    in the container, still as root: stdio, $HOME, cwd, program found
 *   process_become   user, capabilities, seccomp
 *   process_execve   the end
 *
 * Why the program can't get at our binary (CVE-2019-5736) or at a directory
 * of the host (CVE-2024-21626): our processes are not dumpable while they are in
 * the container, the program is executed by the launcher (launcher.h), a program or interpreter that
 * turns out to be our own executable is refused, every descriptor but the wanted ones is closed before
 * chdir, and the directory must then have a path within the root.
 */
#ifndef VOLRUN_RUNTIME_PROCESS_H
#define VOLRUN_RUNTIME_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "oci/spec.h"
#include "oci/state.h"
#include "runtime/caps.h"
#include "runtime/launcher.h"
#include "runtime/seccomp.h"

struct process {
	const struct spec_process *spec;
	const struct spec *container;
	struct caps caps;
	struct seccomp_program seccomp;
	const char **env;     /* NULL-terminated; has room for one more (HOME) */
	unsigned n_extra_fds; /* descriptors from 3 on that the program receives */
	dev_t self_dev;	      /* our own executable */
	ino_t self_ino;	      /* likewise */
	const char *path;     /* the program, once found */
	const char **argv;    /* path, then the spec's args */
	struct caps_left_out left_out;
	bool cwd_entered; /* chdir succeeded before the change of user */
	/* For SCMP_ACT_NOTIFY; the last three (report: for all) are set by the child before process_become: */
	int receiver;		  /* socket of who gets the listener; -1 */
	struct oci_state state;	  /* of the container */
	pid_t pid;		  /* of this process, as the runtime sees it */
	int report;		  /* where a failure goes, as HS_ERROR */
	struct launcher launcher; /* made by process_become */

	int proc_fd;	       /* the host's /proc, when lsm_label is to be set; -1 */
	const char *lsm_label; /* what to write to lsm_file of it; NULL: nothing */
	const char *lsm_file;
	int lsm_fd; /* that file, open; or -1 */
};

#define PROCESS_INIT                                                                                                   \
	{                                                                                                              \
		.receiver = -1, .launcher = {-1, -1}, .proc_fd = -1, .lsm_fd = -1                                      \
	}

/*
 * Before anything else is opened: where the program is to have descriptors and the caller has given none, /dev/null,
 * close-on-exec. A descriptor of ours with such a number would stay open in the container until the execve.
 */
int process_hold_gaps(unsigned preserve_fds, struct error *err);

/*
 * spec: the container's, for seccomp and personality; dir_fd: its directory. preserve_fds: as
 * --preserve-fds; with socket activation ($LISTEN_FDS, $LISTEN_PID) they come after the
 * activated ones. Those of the preserved ones that are open are passed on.
 */
int process_plan(const struct spec_process *process, const struct spec *spec, int dir_fd, unsigned preserve_fds,
		 struct arena *arena, struct process *ret, struct error *err);

/* By the parent, once the child is there: lets go of what only the child is to have. */
void process_close(struct process *p);

/* In the container: opens what AppArmor or SELinux need, of the host's /proc: its own may be a fake (CVE-2025-52881).
 */
int process_open_lsm(struct process *p, struct error *err);

/* keep_fd, keep_fd2: sockets that stay open (-1: none) beside the process's own. All others are closed. */
int process_enter(struct process *p, struct arena *arena, int keep_fd, int keep_fd2, struct error *err);
/* What process_enter had to leave out, to the parent as HS_NOTE; does nothing when it is nothing. */
int process_note(const struct process *p, int sock, struct error *err);
int process_become(struct process *p, struct error *err);
/* Between process_become and process_execve: failures go to this socket from here on. */
int process_report_to(struct process *p, int sock, struct error *err);
/* Returns only on failure. */
int process_execve(struct process *p, struct error *err);

/* A new session keyring "_ses.<id>", so that the container doesn't see the caller's keys. */
int process_new_keyring(const char *id, struct error *err);
/* PR_SET_DUMPABLE 0, see above. */
int process_hide(struct error *err);
/* Becomes uid 0 and gid 0 of a user namespace just entered; where that isn't mapped, the user of the process. */
int process_become_root(const struct spec *spec, struct error *err);
/* In a child: none is blocked, none ignored. execve keeps both, and a caller may ignore some (conmon: SIGPIPE). */
void process_reset_signals(void);

/*
 * limits.c, by the parent on a pid: oom_score_adj, I/O priority, and the right to the resource limits.
 * What can't be had without CAP_SYS_RESOURCE is a line in notes, no error.
 */
int limits_apply(pid_t pid, const struct spec_process *process, struct strbuf *notes, struct error *err);
/*
 * Once the cgroup has its limits: a real-time policy may need its cpu.rt_runtime_us, and SCHED_DEADLINE is not for a
 * part of the CPUs (sched_setattr(2)). resources: the cgroup's, NULL: none.
 */
int limits_apply_scheduler(pid_t pid, const struct spec_process *process, const struct spec_resources *resources,
			   struct error *err);
/* By the process itself, at its end: few descriptors or little memory are for the program, not for what comes before.
 */
int limits_settle(const struct spec_process *process, struct error *err);

/* numa.c. A list of CPUs; what names it in errors. */
int affinity_set(pid_t pid, const char *cpus, const char *what, struct error *err);
/* Moves this process to a list of CPUs, and back. */
#define AFFINITY_CPUS_MAX 8192 /* more than any kernel is built for */
struct affinity {
	unsigned long set[AFFINITY_CPUS_MAX / (8 * sizeof(unsigned long))];
};
int affinity_change(const char *cpus, const char *what, struct affinity *ret_saved, struct error *err);
void affinity_restore(const struct affinity *saved);
/* All CPUs that its cpuset allows, so that a container doesn't inherit the affinity of its engine. Best effort, as
 * runc. */
void affinity_reset(pid_t pid);
/* Of this process. */
extern const char *const memory_policy_modes[], *const memory_policy_flags[]; /* NULL-terminated, for `features` */
int memory_policy_set(const struct spec_memory_policy *p, struct error *err);

/* program.c: finds args[0] by $PATH of env, refuses our own executable. The result lives in the arena. */
int program_find(const char *name, const char *const *env, dev_t self_dev, ino_t self_ino, struct arena *arena,
		 const char **ret, struct error *err);
/* strerror in lower case, as Go writes it: callers compare the text. Returns text. */
#define PROGRAM_ERROR_MAX 64
char *program_error(int code, char text[PROGRAM_ERROR_MAX]);

#endif
