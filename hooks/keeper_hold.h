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
#include "hooks/engine/recover.h"
#include "hooks/engine/volume.h"
#include "hooks/keeper_note.h"
#include "hooks/run_report.h"

struct hold_volume {
	const struct keeper_request_volume *request;
	const struct store_config *store;
	size_t index; /* in the request */
	bool open, dirty, aside;
	bool orphan;	       /* adopted, but no lease could be had: what is in the tree is recovered at its end */
	uint64_t orphan_epoch; /* of its users (keeper_users.h) */
	const char *conflict;  /* the id that it was set aside as (engine/conflict.h) */
	struct recover_result recovered; /* by hold_recover; strings in the hold's arena */
	int64_t abandoned_ns;		 /* the create died while the tree was fetched: without a lease since then */
	uint64_t joined;	 /* the epoch of the pod's holder, whose tree this one shares (keeper_users.h) */
	uint64_t begin_seq;	 /* the commit that the run began with */
	struct head_commit read; /* ro: the commit that the tree is of */
	struct volume v;
	struct lease *lease;	  /* rw, once acquired */
	int tree_fd;		  /* the directory to mount; -1: not yet */
	struct run_report report; /* asked_ns > 0: there is something to report */
	uint64_t applied_seq;
	uint64_t resting; /* of a pod that has no container now: the epoch; the tree is as committed. 0: not so */
	bool was_unquiet; /* somebody had it open for writing when it ended in another container, or run */
	char writer[80];  /* unquiet: who, if that is known; "" */
	bool wanted;	  /* it is waited for, and the pod's resting volumes know (keeper_pod.h) */
	bool joinable;	  /* others of the pod may join: the hold is complete, and not at its end */
	struct hold *hold;
	/* Commits during the run (keeper_sync.h): the last one, and when the next is due (CLOCK_BOOTTIME). */
	struct keeper_result synced;
	int64_t sync_due_ns;
	bool sync_failed; /* and it was noted */
	char sync_error[ERROR_MSG_MAX];
};

struct hold {
	struct arena arena;
	const struct config *config;
	const struct keeper_request *request;
	int cache_fd;
	int mnt_ns; /* the container's mount namespace, while a mount of a tree in it may be written to; or -1 */
	int64_t rest_until_ns; /* keeper_pod.h */
	bool end_unsure;       /* that namespace was not to be had, or entered: its mounts tell nothing */
	bool no_foreign;       /* of its volumes (volume.h) */
	bool forsaken;	       /* as in struct recover_policy */
	struct ids
	    *ids; /* of the container's user namespace; NULL: it has none of its own, or nobody may map (rootless) */
	const struct container_cgroup *cgroup; /* of hold_note */
	bool grown;			       /* the cache, by what was fetched */
	int cancel_fd;			       /* readable: give up waiting and restoring */
	int stop_fd;			       /* readable: give up downloading too (PREPARING); -1: none */
	struct lease_config lease_config;
	struct lease_identity lease_id;
	struct access_identity access;
	struct hold_volume *volumes; /* in the order of leases: (store, workspace, name) */
	size_t n;
	struct strbuf warnings; /* lines: what the user should know though it was no failure of create */
	struct strbuf journal;	/* lines: what was done, for the journal */
};

/* config and request must outlive it. hold_close frees all, also after a failure. */
int hold_open(struct hold *h, const struct config *config, const struct keeper_request *request, int cancel_fd,
	      struct error *err);
void hold_close(struct hold *h);

/*
 * Finds out how owners get into the container (ids.h), by its init. Without CAP_SYS_ADMIN, as rootless, nobody maps
 * them, and the user's own files stay his.
 */
int hold_find_ids(struct hold *h, struct error *err);

/*
 * Access, lock and lease of all volumes in order, then their trees; each rw
 * tree is marked dirty. The leases are valid when it returns. On failure all
 * is given back: "volume NAME: ...".
 */
int hold_take(struct hold *h, struct error *err);

/* What that restored is brought to the disk, while the container runs already (cache_settle_begin). */
void hold_settle(struct hold *h);

/* The first half of that: no tree is touched. */
int hold_take_leases(struct hold *h, struct error *err);

/*
 * In place of hold_take, for a request to adopt: goes on with the tree that a dead keeper held, whose lock is given
 * (and taken over). Without the lease, where another one has it now, or the store can't be reached. *ret_note (arena):
 * what the dead one left.
 */
int hold_adopt(struct hold *h, int lock_fd, struct arena *a, struct keeper_note *ret_note, struct error *err);

/*
 * Before the lease, with the lock: what a dead keeper left in the cache is committed or set aside, and told of. 1: its
 * container still lives; another keeper has the lock now, and goes on in its place.
 */
int hold_recover(struct hold *h, struct hold_volume *hv, int64_t deadline_ns, struct error *err);
/* After that, for who does not want the volume himself: a dead keeper's lease, too (recover_lease), and its note. */
int hold_recover_lease(struct hold *h, struct hold_volume *hv, int64_t deadline_ns, struct error *err);
/* As hold_recover, for an adopted tree, when its container has ended. */
void hold_recover_orphan(struct hold *h, struct hold_volume *hv);

/* What is noted of the volume's keeper and container; strings in the hold and the arena. */
struct keeper_note hold_make_note(struct hold *h, struct hold_volume *hv, struct arena *a);
/*
 * Notes in the cache who has the volumes; the container's cgroup may not be known yet (fd -1), and outlives the hold.
 * NULL: the one that it was last called with.
 */
void hold_note(struct hold *h, const struct container_cgroup *cgroup);

/* Sets the tree aside: it can't be committed, and why. lives: a container may still write to it. local: its
 * changes are not for the store. */
void hold_set_aside(struct hold *h, struct hold_volume *hv, const char *why, bool lives, bool local);

/*
 * keeper_room.c. Before a restore of what the cache hasn't got: others are evicted where the disk has no room for it;
 * after a failure that may be for want of room: true, if there is more room now; and if there is none, r and err say
 * so (head: whose volume is fetched, or NULL).
 */
void hold_make_room(struct hold *h, const struct hold_volume *hv, const struct head *head);
bool hold_make_more_room(struct hold *h, const struct head *head);
/* So that there can be a start at all; and after a failure for want of room, however much that was: one volume more. */
void hold_make_least_room(struct hold *h);
bool hold_evict_more(struct hold *h);
int hold_explain_full(const struct hold *h, int r, const struct head *head, struct error *err);
/* For the cache's order of use and size. */
void hold_note_usage(const struct hold_volume *hv, const struct head *head);
/* Brings the cache down to cache.max_bytes. */
void hold_evict(struct hold *h);

/* Finishes what earlier holders did not publish. Not urgent; a failure is tried again by hold_finish. */
void hold_redo(struct hold *h);

/* Sets aside the trees of the leases that were lost, and notes it. */
void hold_check_lost(struct hold *h);

/* Does a mount namespace still hold one of the rw trees? */
bool hold_is_mounted(const struct hold *h);

/*
 * keeper_quiet.c: nobody writes any more when the tree is committed (volumes.md §5).
 * hold_pin: the container's init lives, and has its mounts: its mount namespace is kept until hold_quiet_own, so that
 * the mounts can be made read-only when nobody is left in it, whoever still has something of them open.
 * hold_unsure: it could not be kept.
 * hold_quiet_own: the container has ended: those in its own namespace. Again and again while that fails.
 * hold_quiet: all, before a commit; sets the volumes' unquiet.
 */
void hold_pin(struct hold *h, int pidfd);
void hold_unsure(struct hold *h);
void hold_quiet_own(struct hold *h);
void hold_quiet(struct hold *h);
/* Of a tree that a dead keeper left, or an unquiet run: does nobody write any more? who: else, if that is known. */
bool hold_recover_quiet(int tree_fd, char *who, size_t size);

/* Is there a tree that hold_finish is to commit? */
bool hold_is_dirty(const struct hold *h);
/* Commits what is dirty, with one attempt, and keeps the leases. false: not all is; or somebody still writes. */
bool hold_commit(struct hold *h);

/* Commits what is dirty, releases, unlocks. What can't be committed stays on this node, and is noted. */
void hold_finish(struct hold *h);

/* Parts of hold_take. Opens the volume and its store, probed; no lease. */
int hold_open_volume(struct hold *h, struct hold_volume *hv, struct error *err);
/* Has the store ask for the lease before each change. */
int hold_fence(struct hold_volume *hv, struct error *err);

/* One line of each run, and what went wrong; where there is no journal, to syslog, or to nobody. They are not
 * told again. keeper_journal.c */
void hold_tell_journal(struct hold *h);

/* Adds a line "volume NAME: text" to the warnings; hold_fail also makes it the volume's last-error. */
void hold_warn(struct hold *h, struct hold_volume *hv, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void hold_fail(struct hold *h, struct hold_volume *hv, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
