/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_mounted.h - a hold that no container is known of: it lasts as long as a tree of it is mounted, in the
 * keeper's own mount namespace (`volrun volume mount`) or another one (a container that found it in its config.json;
 * a sandbox that has the directory).
 *
 * Between two looks at the other namespaces is the time of 50 of them, half a second at least and 10 at most: on a
 * machine of many containers each goes through thousands of processes.
 */
#ifndef VOLRUN_HOOKS_KEEPER_MOUNTED_H
#define VOLRUN_HOOKS_KEEPER_MOUNTED_H

#include "hooks/keeper_hold.h"

/* All zero but info_fd, which is -1, before the first look. */
struct mounted {
	int info_fd;	 /* EPOLLPRI: the mounts of our own namespace have changed (proc_pid_mountinfo(5)) */
	bool still;	 /* at the last look: there is nothing to look for until info_fd tells */
	bool begun;	 /* there was a look */
	bool seen;	 /* somebody had it mounted once */
	bool ended;	 /* nobody is to come who would mount it, and who has it is about to end */
	int64_t until;	 /* CLOCK_BOOTTIME: so long it lasts though nobody has mounted it yet */
	int64_t next;	 /* the same: the next look at other namespaces */
	int64_t every;	 /* a prepared one's: so long after the last look at least */
	unsigned missed; /* and the looks that found nothing, one after the other */
};

/*
 * While who asked for it lives: an engine that put it into a config.json, and may be there for ever. From the first
 * look on, 4 of them within lease.mount_timeout, mounted_awaited is false when none of the last 4 found it mounted: no
 * container came of it, or it has ended and nobody told.
 */
void mounted_await(struct mounted *m, const struct hold *h);
bool mounted_awaited(struct mounted *m, struct hold *h);

/* -1: not before info_fd tells. */
int mounted_tick_ms(const struct mounted *m);
/* For the next look, which is due now, and those that follow. */
void mounted_end(struct mounted *m);
/* Of a container that is known: has it a tree mounted, as far as was looked? */
bool mounted_elsewhere(struct mounted *m, const struct hold *h);

/*
 * false: it is over. The first look opens info_fd, which stays open. stop: the machine goes down, say: what is mounted
 * in our own namespace becomes read-only, and it is over when nobody has a file open for writing there.
 */
bool mounted_look(struct mounted *m, const struct hold *h, bool stop);

#endif
