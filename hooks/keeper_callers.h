/* SPDX-License-Identifier: Apache-2.0 */
/* keeper_callers.h - who connects to a keeper's socket while the container runs (keeper_proto.h). */
#ifndef VOLRUN_HOOKS_KEEPER_CALLERS_H
#define VOLRUN_HOOKS_KEEPER_CALLERS_H

#include "hooks/keeper_hold.h"

/* Of those that wait for the end, and of commands, at once; more stay in the socket's queue. */
#define CALLERS_MAX 128

/* A connection, or -EAGAIN. It may have come from this user or root alone. */
int caller_accept(int listen_fd);
/* 1: a command is there (ret: its text, in the arena); 0: the caller is gone, or said nonsense. */
int caller_command(int fd, struct arena *a, const char **ret);
/* error NULL: the results of all rw volumes. */
void caller_answer(int fd, const struct hold *h, const char *error);

#endif
