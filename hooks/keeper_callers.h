/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_callers.h - what a keeper answers: to the hook that started it, and to who connects to its socket
 * while the container runs (keeper_proto.h).
 */
#ifndef VOLRUN_HOOKS_KEEPER_CALLERS_H
#define VOLRUN_HOOKS_KEEPER_CALLERS_H

#include "hooks/keeper_hold.h"

/* Of those that wait for the end, and of commands, at once; more stay in the socket's queue. */
#define CALLERS_MAX 128

/* A connection, or -EAGAIN. It may have come from this user or root alone. */
int caller_accept(int listen_fd);
/* 1: a command is there (ret: its text, in the arena); 0: the caller is gone, or said nonsense. */
int caller_command(int fd, struct arena *a, const char **ret);
/* KEEPER_HAS: is it the container's init that it asks of? -ESRCH. */
int caller_means(const char *command, int32_t pid, struct error *err);
/* With neither an error nor results: those of all rw volumes. */
void caller_answer(int fd, const struct hold *h, const struct keeper_outcome *o);

/* What the hook asks for, with the container's process (pidfd), or, to adopt, the volume's lock. *ret_fd: that, or -1.
 */
int hook_request(int hook_fd, struct arena *a, struct keeper_request *ret, int *ret_fd, struct error *err);
/* To the hook: ready, with the trees and the hold's warnings. */
int hook_answer(int hook_fd, const struct hold *h, struct error *err);
/* Then: has it closed its end without the word that all is done? */
bool hook_gave_up(int hook_fd);
/* Why it is not. */
void hook_answer_failure(int hook_fd, const struct error *why);

#endif
