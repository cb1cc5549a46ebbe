/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group_lock.h - a lock on a cgroup, between the runtime and the keepers of
 * volumes, out of reach of what runs in the cgroup: most containers see their
 * cgroup's directory and may flock(2) it, even where it is mounted read-only.
 *
 * So it is a byte of one file, GROUP_LOCK_PLACE, at twice the cgroup's
 * inode (fcntl(2), F_OFD_SETLK); the byte after it is for those who want it. Who may not make that file (an ordinary
 * user, whose containers are nobody else's) locks the directory.
 */
#ifndef VOLRUN_BASE_GROUP_LOCK_H
#define VOLRUN_BASE_GROUP_LOCK_H

#include <stdbool.h>

#define GROUP_LOCK_PLACE "/run/volrun-freezer.lock"

/*
 * Of who is going to wait for group_lock, so that those who take it again and again leave it to him: held until the
 * descriptor is closed. -1: there is no such thing here.
 */
int group_lock_want(int group_fd);
/* Does somebody want it? */
bool group_lock_wanted(int group_fd);
/* Doesn't wait. A descriptor, whose last copy (children's too) holds the lock; -EWOULDBLOCK; another negative errno. */
int group_lock(int group_fd);
/* For all copies of the descriptor. Async-signal-safe. */
void group_unlock(int lock_fd);

#endif
