/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volume.h - one volume that a keeper or a `volrun volume` command works on:
 * its names, its keys, its stores, its place in the cache.
 */
#ifndef VOLRUN_HOOKS_VOLUME_H
#define VOLRUN_HOOKS_VOLUME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "hooks/engine/cache.h"
#include "hooks/engine/ids.h"
#include "hooks/store/store.h"

struct listing;

/* A file in the plain copy that another tool put there, where the tree has no place for it (foreign.h). */
struct foreign_left {
	const char *path, *tag;
	uint64_t size;
	int64_t mtime_ns;
};
#define FOREIGN_LEFT_MAX 1000

struct volume {
	struct arena arena; /* of its strings */
	const char *workspace, *name;
	const struct store_config *config;
	struct store *store;	   /* transfers; the thread that restores and commits */
	struct store *lease_store; /* the register; the lease's thread */
	struct cache_volume cache; /* descriptors of its directories */
	bool ro;
	bool no_foreign; /* what other tools put into the plain copy is left to a start that knows whose it is to be */
	struct listing *listing;   /* of the plain copy, made while the lease was taken (listing.h); NULL: none */
	struct foreign_left *left; /* of the last restore; the arena's */
	size_t n_left;
	bool unquiet; /* somebody may still write to the tree: what is committed says so, and the tree stays dirty */
	bool collect; /* a commit looks for garbage (collect.h) */
	uint32_t owner_uid, owner_gid; /* for files that carry no owner */
	/* Of the container's user namespace; NULL: it has none. Of a tree that is restored (ids.h). */
	const struct ids *ids;
	bool ids_moved; /* the tree is being made over from other ids: what the index knows of owners is void */
	/* Paths of bundle mounts beneath the volume ("sub/dir"): mount points that the runtime makes, not part of the
	 * volume. */
	const char **mountpoints;
	size_t n_mountpoints;
	uint64_t max_bytes, max_files,
	    max_file_bytes;   /* limits; 0: none. The last one also of the holes of all files */
	uint64_t max_volumes; /* of the workspace */
};

/*
 * The caller frees with volume_close. Opens the stores (no request) and the
 * cache directories (made when absent).
 */
int volume_open(struct volume *v, const struct store_config *config, int cache_fd, const char *workspace,
		const char *name, bool ro, struct error *err);
void volume_close(struct volume *v);

/*
 * Keys, in the volume's arena; NULL: out of memory.
 *   volume_key_plain: volumes/<ws>/<vol>/<path>      ("" gives the prefix with '/')
 *   volume_key_meta:  volumes/<ws>/.volrun/<vol>/<name>   (head, meta, commits/..., odd/..., conflicts/...)
 */
char *volume_key_plain(struct arena *a, const struct volume *v, const char *path);
char *volume_key_meta(struct arena *a, const struct volume *v, const char *name);

#endif
