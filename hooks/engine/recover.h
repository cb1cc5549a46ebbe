/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recover.h - what becomes of a tree whose keeper died before it was committed
 * (volumes.md §4, §5): the dirty mark tells of it, the cache's lock, which the
 * caller has, proves the death.
 *
 *   nobody had the lease since: the register's epoch is that of the mark   committed, under a lease of its own
 *   somebody had it                                                        set aside: to commit it would undo theirs
 *   power was lost since (another boot)                                    set aside, unless the policy says commit
 */
#ifndef VOLRUN_HOOKS_RECOVER_H
#define VOLRUN_HOOKS_RECOVER_H

#include "hooks/engine/lease.h"
#include "hooks/engine/restore.h"
#include "hooks/engine/volume.h"

enum recover_outcome { RECOVER_NOTHING, RECOVER_COMMITTED, RECOVER_SET_ASIDE };

struct recover_policy {
	const struct lease_config *lease;
	const struct lease_identity *id;
	bool after_power_cut; /* commit a tree of another boot */
	bool forsaken;	      /* set aside also what is of a volume that the store has no register of: else -ENODATA */
	int64_t deadline_ns;  /* of waiting for the lease */
	int cancel_fd;	      /* as in lease_acquire */
};

struct recover_result {
	enum recover_outcome outcome;
	const char *why;      /* SET_ASIDE */
	const char *conflict; /* SET_ASIDE: its id (conflict.h); NULL: there was no tree */
	uint64_t seq;	      /* COMMITTED: the commit that the tree is */
	struct transfer_report report;
};

/*
 * The caller has the cache's lock, no lease, and made sure that no container
 * has the tree. Strings are in the arena. On failure (-ETIMEDOUT: the lease is
 * held; the store's) the tree is as dirty as it was, and may be recovered later.
 */
int recover_tree(struct volume *v, const struct recover_policy *p, struct arena *a, struct recover_result *ret,
		 struct error *err);

/*
 * Where a dead holder of this node still has the lease by the register, and no tree of his is left to be committed:
 * takes it, finishes the publishing, gives it back. Else nothing. As above, but for -ETIMEDOUT, which is no failure.
 */
enum {
	RECOVER_LEASE_STANDS = 1,  /* it has to be waited for, and wasn't */
	RECOVER_LEASE_UNKNOWN = 2, /* the store has no register of the volume */
};
int recover_lease(struct volume *v, const struct recover_policy *p, struct error *err);

/*
 * For who goes on with a dirty tree under a new lease (adoption), in two steps, with lease_acquire between them.
 * recover_claim says whether nobody else had the lease since the mark was made, and notes the coming
 * change in it: 1: so it is; 0: *ret_why.
 * recover_confirm: is the lease taken the next one after that? Then the mark is made its own. 1 or 0.
 */
int recover_claim(struct volume *v, const struct lease_identity *id, const struct cache_mark *mark, uint64_t *ret_epoch,
		  const char **ret_why, struct error *err);
int recover_confirm(struct volume *v, const struct lease *l, const struct cache_mark *mark, uint64_t epoch,
		    struct error *err);

#endif
