/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volume_hold.h - a command of `volrun volume` as the holder of a volume: by the same steps as a
 * keeper, so that what is left of a killed one is recovered in the same way.
 */
#ifndef VOLRUN_HOOKS_VOLUME_HOLD_H
#define VOLRUN_HOOKS_VOLUME_HOLD_H

#include "hooks/keeper_hold.h"
#include "hooks/volume_cmd.h"

struct volume_hold {
	struct keeper_request request;
	struct keeper_request_volume q;
	struct hold hold;
	struct hold_volume *hv; /* of the one volume */
};

/*
 * Opens; takes nothing yet (hold_take, hold_take_leases). what: the command, which others see as the holder.
 * store, name NULL: c's. It waits for a lease as long as c says. Close in any case.
 */
int volume_hold_open(struct volume_hold *w, const struct volume_cmd *c, const char *what, const char *store,
		     const char *workspace, const char *name, struct error *err);
/* Closes a volume that hold_open_volume opened for a look; the hold may be taken then. */
void volume_hold_shut(struct volume_hold *w);
/* Commits and releases what is held, prints the warnings. 0, or -EIO: what was written was not committed. */
int volume_hold_finish(struct volume_hold *w, struct error *err);
/* What was written is not to be committed: the next start makes the tree what the commit says. */
void volume_hold_discard(struct volume_hold *w);
void volume_hold_close(struct volume_hold *w);

/* The volume alone, with its place in the cache, without a lock or lease. Free with volume_close. */
int volume_cmd_open(const struct volume_cmd *c, const char *name, bool ro, struct volume *ret, struct error *err);
/* -ENOENT "volume X: not in store S, workspace W": no register, or it was removed. */
int volume_cmd_peek(const struct volume_cmd *c, struct volume *v, struct arena *a, struct head *ret, struct error *err);

/*
 * Deletes every object below the prefix but those of the keys in keep (NULL-terminated; NULL: none). *ret_n: how many
 * it asked to be deleted. prefix NULL: -ENOMEM.
 */
int volume_delete_below(struct volume *v, const char *prefix, const char *const *keep, size_t *ret_n,
			struct error *err);

/* While it runs, a terminal on stderr sees how far a transfer is. total 0: not known. */
struct volume_progress;
struct volume_progress *volume_progress_begin(const char *what, const uint64_t *done, uint64_t total);
void volume_progress_end(struct volume_progress *p);

#endif
