/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease.h - the exclusive lease of a volume, and the only writer of its
 * register in this process (volumes.md §4). All writes are conditional, carry a
 * new 128-bit nonce, and are read back when their outcome is not certain.
 *
 * A held lease has a thread that renews it every `renew` and is never blocked
 * by hashing or transfer; it uses volume.lease_store. The functions below may
 * be called from the keeper's main thread while it runs; they share a mutex.
 *
 * Valid until the CLOCK_BOOTTIME at which the write whose nonce the register
 * shows was sent + ttl - margin (a sixth of the ttl: 10 s of 60 s).
 */
#ifndef VOLRUN_HOOKS_LEASE_H
#define VOLRUN_HOOKS_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "hooks/engine/head.h"
#include "hooks/engine/volume.h"

/* A look at a register, before its lease is waited for: while it has that tag, that long it stands already. */
struct lease_sighting {
	char tag[STORE_TAG_MAX]; /* "": there was none */
	int64_t since_ns;	 /* CLOCK_BOOTTIME, after the answer came */
};

struct lease_config {
	int64_t ttl_ns;		    /* default 60 s */
	int64_t renew_ns;	    /* default ttl / 6 */
	int64_t poll_ns;	    /* a waiter's interval at most; default 5 s; with jitter */
	void (*waiting)(void *arg); /* before each such interval; NULL: nobody is to know */
	void *waiting_arg;
	struct lease_sighting seen;
};

struct lease_identity {
	const char *node, *node_name, *boot_id, *keeper, *container;
};

struct lease;

/*
 * Waits for and takes the lease: absent -> create, free -> epoch+1, held ->
 * wait for release or expiry (tag unchanged for 1.25 x its own ttl), then
 * epoch+1. deadline_ns is CLOCK_BOOTTIME (INT64_MAX: none); cancel_fd as in
 * cache_lock. The caller holds the cache's lock of the volume, so a holder with
 * this node's id and this boot id is a dead keeper of ours, unless its process
 * lives (it knows the store by another name): taken at once.
 * Errors: -ETIMEDOUT "lease held by NODE (container ID, since TIME), waited 2s";
 * the store's ("object store unreachable", ...). *ret is freed by lease_free.
 */
int lease_acquire(struct volume *v, const struct lease_config *config, const struct lease_identity *id,
		  int64_t deadline_ns, int cancel_fd, struct lease **ret, struct error *err);

/*
 * The same in two steps: lease_look begins to read the register, beside what
 * the caller does meanwhile (lease_store is the lease's from then on);
 * lease_looked waits for the answer, and says whether the lease may be taken at
 * once; lease_take goes on from there. *ret_first: it was taken from what
 * lease_look saw, nobody wrote the register since. On failure the lease is the
 * caller's to free.
 */
int lease_look(struct volume *v, const struct lease_config *config, struct lease **ret, struct error *err);
bool lease_looked(struct lease *l, const struct lease_identity *id);
int lease_take(struct lease *l, const struct lease_identity *id, int64_t deadline_ns, int cancel_fd, bool *ret_first,
	       struct error *err);

uint64_t lease_epoch(const struct lease *l);
/* The register as last written or read by us: a copy, its strings in the arena. -ENOMEM. */
int lease_head(struct lease *l, struct arena *a, struct head *ret);

/* May a request that changes the store be sent now? For store.valid too (ctx: the lease). Thread-safe. */
bool lease_valid(void *lease);
/* Until when that is so also stands in a file from now on (CLOCK_BOOTTIME, ns, an int64_t). fd is the lease's then. */
void lease_show_validity(struct lease *l, int fd);
/* Renews it now: whether it is still ours, and why that is not to be had. -ESTALE: lost; -ENODATA: as below. */
int lease_renew(struct lease *l, struct error *err);
/*
 * Lost for good: taken by another. A register that is gone (-ENODATA of all that writes it) was taken by nobody: the
 * lease is not valid while it is, and goes on when the store has it again.
 */
bool lease_lost(struct lease *l);
/* Readable once the lease is lost (eventfd). */
int lease_lost_fd(const struct lease *l);

/*
 * The commit: one conditional write of the register that names it (and its
 * stats). Requires applied_seq == commit.seq before. -ESTALE: the lease is lost,
 * nothing was committed.
 */
int lease_commit(struct lease *l, const struct head_commit *commit, const struct head_stats *stats, struct error *err);
/* Notes that `seq` is published completely; conditional like all. May be left to lease_release. */
int lease_applied(struct lease *l, uint64_t seq, struct error *err);
/*
 * Notes for the next write of the register, whichever that is, and for lease_head, that `seq` is published completely.
 * carried: the text of its table, which is not in the store (head.h); NULL: it is. -ENOMEM.
 */
int lease_published(struct lease *l, uint64_t seq, const char *carried);
/* Notes settled_seq (head.h) for the next write of the register, whichever that is; none is made for it. */
void lease_settled(struct lease *l, uint64_t seq);
/* The same of `collected`. */
void lease_collected(struct lease *l, uint64_t time);
/* The register's commit is all that the run left: from the release on it is a run's end (head.h, finished). */
void lease_finished(struct lease *l);
/* One write: applied_seq, state free, same epoch. Stops the thread. -ESTALE when lost. */
int lease_release(struct lease *l, uint64_t applied_seq, struct error *err);
/* The same, and says in the register that the volume was removed. What it held is gone from the commit already. */
int lease_remove(struct lease *l, uint64_t applied_seq, struct error *err);
/* The volume is in use again: "removed" goes out of the register. Nothing is written when it wasn't there. */
int lease_revive(struct lease *l, struct error *err);
/*
 * Takes the lease from whoever holds it, without taking it for oneself: epoch+1, free. *ret (arena): the register as it
 * was. -ENOENT: no register; -EALREADY: nobody holds it; -EBUSY: it is written all the time.
 */
int lease_break(struct volume *v, struct arena *a, struct head *ret, struct error *err);
/* Stops the thread without touching the store, frees. NULL is fine. */
void lease_free(struct lease *l);

/* "lease held by NODE (container ID, since TIME), waited 2s". -ETIMEDOUT. */
int lease_error_held(const struct head_holder *holder, int64_t waited_ns, struct error *err);

/* Reads the register without taking it (by volume.store). -ENOENT: no such volume. *ret_tag may be NULL. */
int lease_peek(struct volume *v, struct arena *a, struct head *ret, char ret_tag[STORE_TAG_MAX], struct error *err);
/*
 * For who found no register: is that a fault? -ENODATA: this node has a commit or a dirty tree of the volume, and
 * registers are never deleted.
 */
int lease_check_vanished(const struct store *s, const struct cache_volume *c, struct error *err);

#endif
