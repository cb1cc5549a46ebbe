/* SPDX-License-Identifier: Apache-2.0 */
/* spawn.h - run a program: descriptors, input, deadline. */
#ifndef VOLRUN_BASE_SPAWN_H
#define VOLRUN_BASE_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

struct spawn {
	const char *path;	 /* executable, absolute; no $PATH look-up */
	const char *const *argv; /* NULL-terminated */
	const char *const *envp; /* NULL-terminated; NULL: the caller's */
	const char *input;	 /* what its stdin holds; NULL: /dev/null */
	size_t input_len;
	const int *keep_fds; /* passed under the same numbers, the rest (>= 3) is closed */
	size_t n_keep_fds;
	char *stderr_buf; /* its stderr, cut to the room, NUL-terminated; NULL: the caller's stderr */
	size_t stderr_size;
	bool stdout_inherit;	  /* else /dev/null */
	int stdout_fd, stderr_fd; /* > 0: these instead; stderr_buf stays empty then */
	int64_t timeout_ns;	  /* 0: none; past it the process gets SIGKILL and -ETIMEDOUT is returned */
	bool new_group;		  /* a process group of its own; a timeout kills all of it */
	bool new_session;	  /* setsid */
};

/*
 * Runs it to its end. Returns its exit status, 128+n for a signal, or a
 * negative errno with err set (it could not be started; timeout).
 */
int spawn_run(const struct spawn *s, struct error *err);

#endif
