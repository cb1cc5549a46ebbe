/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create.h - makes a container: the parent's side. create.c is a list of steps,
 * each with its undo; the child's twin is init.c.
 */
#ifndef VOLRUN_RUNTIME_CREATE_H
#define VOLRUN_RUNTIME_CREATE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "runtime/command.h"
#include "runtime/state_dir.h"

struct create_request {
	const struct globals *globals;
	const char *id;
	const char *bundle;				      /* directory with config.json */
	const char *config;				      /* another file in its stead; NULL: none */
	const char *console_socket, *pid_file, *pidfd_socket; /* NULL: none */
	unsigned preserve_fds;
	bool no_pivot, no_new_keyring;
	bool start;	 /* run: goes on to the start, no start socket */
	bool foreground; /* the caller stays: without a console socket it gets the terminal's master */
};

/* What remains with the caller, who frees it with created_free. */
struct created {
	pid_t pid;
	int pidfd;
	int master; /* the terminal, when nobody else got it; -1 */
	int notify; /* run: the container's notify socket, see notify_socket.h; -1 */
	struct container container;
	struct arena arena;  /* what container points into */
	struct strbuf notes; /* things that could not be had and are no error, a line each */
};
void created_free(struct created *c);

/*
 * On failure everything is undone, and the error's text has no prefix. ret->notes
 * is filled in any case.
 */
int container_create(const struct create_request *request, struct created *ret, struct error *err);

#endif
