/* SPDX-License-Identifier: Apache-2.0 */
/*
 * criu.h - runs criu(8) and talks with it: `criu swrk 3`, with our socket as its descriptor 3. It ends after one
 * request; when we are killed it finds nobody at the next notification, undoes what it did and ends.
 */
#ifndef VOLRUN_RUNTIME_CRIU_H
#define VOLRUN_RUNTIME_CRIU_H

#include <sys/types.h>

#include "base/error.h"
#include "runtime/criu_message.h"

/* Descriptors in criu: the images' directory, that of its log, and the first of criu_start.fds. */
#define CRIU_IMAGES_FD 4
#define CRIU_WORK_FD 5
#define CRIU_FIRST_FD 6

struct criu {
	pid_t pid; /* 0: it has ended, or was never started */
	int sock;
	/*
	 * A pidfd, of who runs notify, or -1: the restored init. It is our child and not criu's, which would wait for
	 * it for ever: when it ends, criu has 5 s to end, too.
	 */
	int init_pidfd;
};

#define CRIU_INIT                                                                                                      \
	{                                                                                                              \
		0, -1, -1                                                                                              \
	}

struct criu_start {
	const char *path;   /* see criu_find */
	const char *images; /* directories; work may be NULL: the same */
	const char *work;
	const int *fds; /* criu gets them as CRIU_FIRST_FD, CRIU_FIRST_FD + 1, ... */
	size_t n_fds;
	/* In the new process, before it opens the directories and is criu; NULL: none. */
	int (*prepare)(void *arg, struct error *err);
	void *arg;
};

/* By $PATH. -ENOENT: "criu not found in PATH: install it (Debian: criu)" */
int criu_find(struct arena *arena, const char **ret, struct error *err);

/* With our stdin, stdout and stderr. It waits for criu_talk. */
int criu_start(struct criu *c, const struct criu_start *s, struct error *err);

/*
 * What criu says on its way. fd: a descriptor that came with it, of the caller's; -1: none. An error makes criu undo
 * what it did, and is the one that criu_talk returns.
 */
typedef int (*criu_notify_fn)(void *arg, const struct criu_response *r, int fd, struct error *err);

/*
 * Sends the request, answers what comes, until criu has ended; notify may be NULL. The error holds criu's first one and
 * the log's name: `log_dir` is where r->log_file is, for the message. *ret_pid (may be NULL): of the restored init.
 */
int criu_talk(struct criu *c, const struct criu_request *r, const char *log_dir, criu_notify_fn notify, void *arg,
	      pid_t *ret_pid, struct error *err);

/* Kills and reaps it, if it is there. */
void criu_end(struct criu *c);

#endif
