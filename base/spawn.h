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
	int input_fd;	     /* > 0: its stdin, instead */
	const int *keep_fds; /* passed under the same numbers, the rest (>= 3) is closed */
	size_t n_keep_fds;
	char *stderr_buf; /* its stderr, cut to the room, NUL-terminated; NULL: the caller's stderr */
	size_t stderr_size;
	bool stdout_inherit;	  /* else /dev/null */
	int stdout_fd, stderr_fd; /* > 0: these instead; stderr_buf stays empty then */
	int64_t timeout_ns;	  /* 0: none; past it the process gets SIGKILL and -ETIMEDOUT is returned */
	int stop_fd;		  /* > 0: when it can be read, the process is killed as past a timeout: -ECANCELED */
	bool new_group;		  /* a process group of its own; a timeout kills all of it */
	bool new_session;	  /* setsid */
	void (*last)(void *ctx);  /* called in the child just before the program is executed; NULL: nothing is */
	void *last_ctx;
};

/* One that runs. */
struct spawned {
	pid_t pid;
	int pidfd, err_fd;
	size_t err_len;
	int64_t deadline_ns; /* CLOCK_BOOTTIME; 0: none */
};

/* Returns when the program is executed, or could not be (a negative errno, err set). The next is to follow, with the
 * same s. */
int spawn_start(const struct spawn *s, struct spawned *ret, struct error *err);
/* Waits for its end: as spawn_run. */
int spawn_finish(const struct spawn *s, struct spawned *run, struct error *err);

/*
 * Runs it to its end. Returns its exit status, 128+n for a signal, or a
 * negative errno with err set (it could not be started; timeout).
 */
int spawn_run(const struct spawn *s, struct error *err);

/*
 * As fork(2), but the child is init's (or of who takes its place): nobody here has to wait for it. -1: it could not be
 * made.
 */
pid_t spawn_orphan(void);

#endif
