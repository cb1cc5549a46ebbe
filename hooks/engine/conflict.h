/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conflict.h - changes that could not be committed, because another holder had
 * the lease since, or power was lost (volumes.md §4, §5). They are kept, never merged:
 *
 *   on this node: the whole tree, in the volume's place in the cache
 *     conflict-<epoch>/        the tree
 *     conflict-<epoch>.json    what it is: struct conflict_note
 *     conflict-<epoch>.index   the index that it was made from
 *   in the store: what is different from the commit that the run began with,
 *   below volumes/<ws>/.volrun/<vol>/conflicts/<epoch>/
 *     tree/<path>              the files that were added or changed
 *     odd/<n>                  those whose path can't be a key
 *     changes.json             last; lines of JSON: the note, then a struct conflict_change each
 *
 * <epoch> is that of the run ("3", "3-1" when there are several on one node).
 * "0-<a large random number>": of a run whose epoch nobody knows any more. In the store alone: "0-7", of what commit 7
 * could not publish (publish_conflict.h).
 */
#ifndef VOLRUN_HOOKS_CONFLICT_H
#define VOLRUN_HOOKS_CONFLICT_H

#include "hooks/engine/changes.h"
#include "hooks/engine/lease.h"
#include "hooks/engine/restore.h"
#include "hooks/engine/volume.h"

/* Past this much nothing more is sent; the node's copy has all. */
#define CONFLICT_MAX_BYTES (UINT64_C(1) << 30)
#define CONFLICT_MAX_CHANGES 200000

/*
 * Sets rw/ aside and writes its note, whose id, since and node it sets. *ret_id: the arena's; NULL: there was no tree.
 * keeper: for a tree that a container still has; NULL else.
 */
int conflict_set_aside(struct volume *v, const struct conflict_note *note, struct arena *a, const char **ret_id,
		       struct error *err);

/* The container that had it has ended. */
void conflict_settled(const struct volume *v, const char *id);

/*
 * Sends the changes of conflict-<id>/ to the store; nothing when that was done, or a living keeper's container still
 * has it. Needs no lease. The store's errors; what was not sent is sent by the next call.
 */
int conflict_upload(struct volume *v, const char *id, struct error *err);

/* The same for all of this node's. The first error. */
int conflict_upload_all(struct volume *v, struct error *err);

/*
 * What the last restore found in the plain copy, and had no place for (volume.h, left; at most CONFLICT_MAX_BYTES):
 * copied to conflicts/0-<a large number>/, then removed there. With the lease; what fails, the next start finds again.
 */
int conflict_take_foreign(struct volume *v, struct lease *l, struct error *err);

/* fn for each that is kept on this node (sorted); a negative errno ends it. */
int conflict_each_local(const struct cache_volume *c, int (*fn)(void *ctx, const struct conflict_note *note),
			void *ctx);
/* -ENOENT: there is none. A note that can't be read, or is missing: only the id is set. */
int conflict_read_local(const struct cache_volume *c, const char *id, struct arena *a, struct conflict_note *ret);

/* Is it an id: digits, perhaps "-" digits? */
bool conflict_id_valid(const char *id);

#endif
