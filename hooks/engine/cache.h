/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.h - the node's copy of volumes and who works on them here
 * (volumes.md §6).
 *
 *     <cache>/node                     random node id (one line)
 *     <cache>/<store>/<ws>/<vol>/      0700
 *         lock       flock'ed by the keeper from before acquire until after release
 *         lock-ro    flock'ed while a tree for readers is made or removed
 *         rw/        the tree that is bind-mounted read-write
 *         ro-<seq>-<record>/  trees for readers; the record's sha256, its first 16 digits
 *         index      what the tree looked like when it was clean (engine/index.h)
 *         dirty      fsynced before a container may write; holds epoch and seq it began with
 *         clean      commit seq, record sha256, boot id
 *         unsettled  the tree was restored, and may not be on the disk yet: the marks hold for this boot alone
 *         tmp/       files on their way in
 *         conflict-<epoch>/  what was set aside; beside it conflict-<epoch>.json (engine/conflict.h) and
 *                    conflict-<epoch>.index: the index that it was made from
 *         keeper     JSON: the keeper and its container, while it holds the lease (keeper_note.h)
 *         usage, pin   evict.h
 *         last-error one line: why the last run was not committed; for people
 *     <cache>/<store>/.probe           what store_probe found, and of which endpoint
 */
#ifndef VOLRUN_HOOKS_CACHE_H
#define VOLRUN_HOOKS_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "hooks/store/sign.h"

struct cache_volume {
	int dir_fd;			 /* <vol>/, O_PATH|O_DIRECTORY not set: usable with *at and fsync */
	int lock_fd;			 /* -1: not locked */
	struct cache_settling *settling; /* by cache_settle_begin */
};

#define CACHE_CLEAN_BOOT_ID_MAX 40
#define CACHE_HEIR_MAX 64
struct cache_mark {
	uint64_t epoch, seq;
	char record_sha256[SHA256_HEX_MAX];
	char boot_id[CACHE_CLEAN_BOOT_ID_MAX];
	uint64_t users; /* dirty: the epoch before, whose users may not be this one's yet (keeper_users.h); or 0 */
	bool unquiet;	/* dirty: the run is over and committed, but somebody might have written to the tree since */
	char heir[CACHE_HEIR_MAX]; /* dirty: the keeper that is about to take the lease to recover the tree; "" none */
};

/* Opens (makes) the cache's root, 0700 parents. */
int cache_open(const char *path, int *ret_fd, struct error *err);
/* The node's identity: <cache>/node + ":" + product uuid (when readable). In the arena. */
int cache_node_id(int cache_fd, struct arena *a, const char **ret, struct error *err);

int cache_volume_open(int cache_fd, const char *store, const char *workspace, const char *name,
		      struct cache_volume *ret, struct error *err);
void cache_volume_close(struct cache_volume *c);

/*
 * Takes the volume's lock. deadline_ns: CLOCK_BOOTTIME, INT64_MAX: no limit.
 * cancel_fd (-1: none): gives up with -ECANCELED when it becomes readable.
 * -ETIMEDOUT.
 */
int cache_lock(struct cache_volume *c, int64_t deadline_ns, int cancel_fd, struct error *err);
void cache_unlock(struct cache_volume *c);
/* The same for lock-ro, as a descriptor: closing it unlocks. */
int cache_lock_ro(const struct cache_volume *c, int64_t deadline_ns, int cancel_fd, int *ret_fd, struct error *err);

/* The marks: -ENOENT when absent or unreadable. Writing is atomic and fsynced; each removes the other. */
int cache_read_dirty(const struct cache_volume *c, struct cache_mark *ret);
int cache_read_clean(const struct cache_volume *c, struct cache_mark *ret);
int cache_mark_dirty(const struct cache_volume *c, uint64_t epoch, uint64_t seq, struct error *err);
/* The same of a tree that is this commit, unless somebody goes on writing to it. */
int cache_mark_unquiet(const struct cache_volume *c, uint64_t epoch, uint64_t seq, struct error *err);
/*
 * Writes the dirty mark m anew, as it is but for its epoch (where that is another one, `users` is m's) and heir: before
 * a recovery takes the lease.
 */
int cache_mark_heir(const struct cache_volume *c, const struct cache_mark *m, uint64_t epoch, const char *heir,
		    struct error *err);
/* Waits for the disk first (cache_settle). */
int cache_mark_clean(const struct cache_volume *c, uint64_t epoch, uint64_t seq, const char *record_sha256,
		     struct error *err);

/*
 * The same of a tree that was restored. The store has all of it, so that nobody needs to wait for the disk: the tree is
 * unsettled from before its first change until somebody did (cache_settle.c). The next mark that is fsynced, or that
 * wait, brings this one to the disk.
 */
int cache_mark_restored(const struct cache_volume *c, uint64_t epoch, uint64_t seq, const char *record_sha256,
			struct error *err);
int cache_unsettle(const struct cache_volume *c, struct error *err);
/* In another boot: what the marks and the index tell of may never have come to the disk. */
bool cache_is_unsettled(const struct cache_volume *c);
/* Waits for the disk (syncfs): it is settled then. */
int cache_settle(int dir_fd);
/* The same in a thread, with the lock, if it is unsettled; and waits for that: before the lock is given back. */
void cache_settle_begin(struct cache_volume *c);
void cache_settle_end(struct cache_volume *c);

/*
 * Renames rw/ to conflict-<epoch>[-n]/, index likewise, and removes the marks, which spoke
 * of it. *ret_name (arena) is the new name; NULL: there was no rw/.
 */
int cache_set_aside(const struct cache_volume *c, uint64_t epoch, struct arena *a, const char **ret_name,
		    struct error *err);

/* A line for people (see above); text NULL removes it. Best effort: what it tells has been told elsewhere too. */
void cache_note_error(const struct cache_volume *c, const char *text);
void cache_note_keeper(const struct cache_volume *c, const char *json);

/*
 * What a probe of this store found, kept for the node: *ret_quirks, or -ENOENT
 * when it was not probed yet, or was another endpoint (`fingerprint`) then.
 */
int cache_read_probe(int cache_fd, const char *store, const char *fingerprint, unsigned *ret_quirks);
int cache_write_probe(int cache_fd, const char *store, const char *fingerprint, unsigned quirks, struct error *err);

/* This boot's id, from /proc/sys/kernel/random/boot_id. */
int cache_boot_id(char ret[CACHE_CLEAN_BOOT_ID_MAX]);

#endif
