/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_users.h - containers of one pod share the lease of a volume (volumes.md §4): the first one's keeper holds it,
 * the others join, and the commit comes when all have ended.
 *
 * In the volume's place in the cache, users-<epoch>/ has a file for each that joined (as keeper_note.h); the file
 * users.lock orders joining and closing. After the holder's death they tell who still has the tree.
 */
#ifndef VOLRUN_HOOKS_KEEPER_USERS_H
#define VOLRUN_HOOKS_KEEPER_USERS_H

#include "hooks/keeper_hold.h"

/*
 * Is the volume held on this node by a keeper of the same pod, and its tree ready? 1: joined, hv->tree_fd is it;
 * 0: not (now).
 */
int hold_join(struct hold *h, struct hold_volume *hv, struct error *err);
/* Leaves what was joined. */
void hold_leave(struct hold *h, struct hold_volume *hv);
/* Notes the cgroup of who joined. While it can't be noted, nobody knows of him. */
int hold_note_user(struct hold *h, struct hold_volume *hv, const struct container_cgroup *cgroup);

/*
 * The holder's trees are made, and his leases valid: others of the pod may join (once it is noted, hold_note), as long
 * as the leases are: the file "valid" beside the tree says until when.
 */
void users_begin(struct hold *h);
/* Who joined: is the holder's lease still valid? */
bool users_valid(const struct cache_volume *c);

/* The holder's: does anybody else of the pod live? Else nobody joins any more. */
bool hold_is_shared(struct hold *h);

/* Others may join from here on, or not any more. */
void users_set_joinable(struct hold *h, struct hold_volume *hv, bool joinable);

/* While it is held nobody joins: for an instant only, or as long as the pod is held still (keeper_still.h). A
 * descriptor to close, or -1. */
int users_lock(const struct cache_volume *c);
/* Each that joined the holder of that epoch and lives, until fn says other than 0; that, or 0. */
int users_each(const struct cache_volume *c, uint64_t epoch, int (*fn)(const struct keeper_note *n, void *ctx),
	       void *ctx);
/* Does anybody live who joined the holder of that epoch? */
bool users_live(const struct cache_volume *c, uint64_t epoch);
/* One that joined ended while somebody outside could still write to the tree by it. Is that noted, or not known of one?
 */
void users_note_unquiet(const struct cache_volume *c, uint64_t epoch);
bool users_unquiet(const struct cache_volume *c, uint64_t epoch);
/* A new keeper goes on with another epoch; or (to 0) all is over. */
void users_move(const struct cache_volume *c, uint64_t from, uint64_t to);

#endif
