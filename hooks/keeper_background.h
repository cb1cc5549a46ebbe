/* SPDX-License-Identifier: Apache-2.0 */
/* keeper_background.h - what the keeper does with itself before, and beside, its work. */
#ifndef VOLRUN_HOOKS_KEEPER_BACKGROUND_H
#define VOLRUN_HOOKS_KEEPER_BACKGROUND_H

#include <stdbool.h>

struct arena;
struct config;
struct error;
struct strbuf;

/*
 * Out of everybody's way: no terminal, no descriptor, no directory of the one who started it, killed last. *sock moves
 * to 3; *signal_fd tells of what would have ended it. A negative errno.
 */
int keeper_become_background(int *sock, int *signal_fd);

/* Drops the rights that it does not need (confine.h), before anything is read. */
int keeper_confine(struct error *err);

/* The configuration; and the filter of system calls, where no program has to be run for a store's credentials. */
int keeper_configure(const char *path, struct arena *arena, struct config *ret, struct error *err);
/*
 * The same while the runtime still makes the container (path "": none), and what the default store needs is loaded:
 * most want that one. False: it failed, as it will again when there is somebody to be told.
 */
bool keeper_begin_early(const char *path, struct arena *arena, struct config *ret);
/* Before the process ends: waits for what that began, if anything. */
void keeper_end_early(void);

/*
 * The trees are there: what only making them needs goes, too. A failure is a line of the warnings: no reason to take
 * the trees away again.
 */
void keeper_begin_run(const struct config *config, struct strbuf *warnings);

/* At the end: was something refused? A hole in the list, or somebody's attempt. */
void keeper_tell_refused(struct strbuf *warnings);

#endif
