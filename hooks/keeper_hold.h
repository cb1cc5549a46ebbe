/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_hold.h - the volumes of one holder, from the lease to the release. All
 * functions block; keeper_main.c decides when which is called.
 */
#ifndef VOLRUN_HOOKS_KEEPER_HOLD_H
#define VOLRUN_HOOKS_KEEPER_HOLD_H

#include "hooks/config.h"
#include "hooks/engine/access.h"
#include "hooks/engine/lease.h"
#include "hooks/engine/volume.h"
#include "hooks/keeper_proto.h"

struct hold_volume {
	const struct keeper_request_volume *request;
	const struct store_config *store;
	size_t index; /* in the request */
	bool open, dirty, aside;
	struct volume v;
	struct lease *lease; /* rw, once acquired */
	int tree_fd;	     /* the directory to mount; -1: not yet */
	uint64_t applied_seq;
	int cancel_fd; /* the holder's */
};

struct hold {
	struct arena arena;
	const struct config *config;
	const struct keeper_request *request;
	int cache_fd;
	int cancel_fd; /* readable: give up waiting and restoring */
	struct lease_config lease_config;
	struct lease_identity lease_id;
	struct access_identity access;
	struct hold_volume *volumes; /* in the order of leases: (store, workspace, name) */
	size_t n;
	struct strbuf warnings; /* lines: what the user should know though it was no failure of create */
};

/* config and request must outlive it. hold_close frees all, also after a failure. */
int hold_open(struct hold *h, const struct config *config, const struct keeper_request *request, int cancel_fd,
	      struct error *err);
void hold_close(struct hold *h);

/*
 * Access, lock and lease of all volumes in order, then their trees; each rw
 * tree is marked dirty. The leases are valid when it returns. On failure all
 * is given back: "volume NAME: ...".
 */
int hold_take(struct hold *h, struct error *err);

/* Finishes what earlier holders did not publish. Not urgent; a failure is tried again by hold_finish. */
void hold_redo(struct hold *h);

/* Sets aside the trees of the leases that were lost, and notes it. */
void hold_check_lost(struct hold *h);

/* Does a mount namespace still hold one of the rw trees? */
bool hold_is_mounted(const struct hold *h);

/* Commits what is dirty, releases, unlocks. What can't be committed stays on this node, and is noted. */
void hold_finish(struct hold *h);

/* Adds a line "volume NAME: text" to the warnings; hold_fail also makes it the volume's last-error. */
void hold_warn(struct hold *h, struct hold_volume *hv, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void hold_fail(struct hold *h, struct hold_volume *hv, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
