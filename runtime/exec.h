/* SPDX-License-Identifier: Apache-2.0 */
/* exec.h - another process in a running container: the parent's side and the child's. */
#ifndef VOLRUN_RUNTIME_EXEC_H
#define VOLRUN_RUNTIME_EXEC_H

#include "runtime/args.h"
#include "runtime/state_dir.h"

struct exec_request {
	const struct container *container;
	const struct spec *spec;	    /* the container's */
	const struct spec_process *process; /* the new one */
	const char *console_socket, *pid_file, *pidfd_socket;
	/* "[CONTROLLERS:]PATH" each, beneath the container's cgroup (of all, or of these v1 hierarchies) */
	const struct arg_list *sub_cgroups;
	unsigned preserve_fds;
};

struct exec_result {
	pid_t pid;
	int pidfd;
	int master; /* of the terminal, in the foreground without a console socket; else -1 */
};

/* Returns when the program runs. On failure no process is left. */
int container_exec(const struct exec_request *request, struct exec_result *ret, struct arena *arena,
		   struct strbuf *notes, struct error *err);

#endif
