/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evict.h - keeps the node's cache within its size, and makes room when its
 * disk is full (volumes.md §6): whole volumes go, the least recently used first.
 *
 * Never one that is locked (in use), dirty, in conflict (a conflict-* of its
 * own) or pinned. What stays of an evicted one is its directory with the lock
 * files, so that nobody who waits for a lock waits for a file that is gone.
 *
 *     <vol>/usage     {"files":..., "bytes":..., "used":...}: of its last commit, and when somebody used it (Unix time,
 * ms) <vol>/pin       it is pinned <cache>/evicting   locked by the one that is at it
 */
#ifndef VOLRUN_HOOKS_EVICT_H
#define VOLRUN_HOOKS_EVICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hooks/engine/cache.h"

/* Notes that the volume is used now, and how large it is. Best effort. */
void cache_note_usage(const struct cache_volume *c, uint64_t files, uint64_t bytes);

struct evict_report {
	uint64_t volumes, bytes; /* that went; bytes as estimated */
	uint64_t left;		 /* that are still there */
};

/* Until all volumes together have at most max_bytes. Does nothing where another process is at it. */
void cache_evict(int cache_fd, uint64_t max_bytes, struct evict_report *ret);
/* Has the cache's disk `need` bytes free? */
bool cache_has_room(int cache_fd, uint64_t need);
/* Until the cache's disk has `need` bytes free. How many volumes went for it. */
size_t cache_make_room(int cache_fd, uint64_t need);
/* One volume more, whatever room there is: more than now. How many went. */
size_t cache_evict_more(int cache_fd);

/*
 * A tree for readers gets this name before it is removed, so that a tree of its own is always complete.
 * As restore.c calls one that is not yet: the next reader removes what is left of it.
 */
#define CACHE_LEAVING "new-ro-leaving"

/* Has somebody a tree for readers mounted? */
bool cache_is_read(int dir_fd, const char *name);
/* Trees for readers of other commits than `keep` that nobody has mounted. The caller has lock-ro. */
void cache_remove_old_readers(const struct cache_volume *c, const char *keep);

int cache_pin(const struct cache_volume *c, bool pin, struct error *err);
bool cache_is_pinned(const struct cache_volume *c);

#endif
