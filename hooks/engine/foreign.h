/* SPDX-License-Identifier: Apache-2.0 */
/*
 * foreign.h - what other tools did to the published copy (volumes.md §3,
 * "Foreign files"): seen by one listing against the applied table, then laid
 * over the manifest of the last commit.
 */
#ifndef VOLRUN_HOOKS_FOREIGN_H
#define VOLRUN_HOOKS_FOREIGN_H

#include "hooks/engine/applied.h"
#include "hooks/engine/head.h"
#include "hooks/engine/manifest.h"
#include "hooks/engine/plain.h"
#include "hooks/engine/transfer.h"

/*
 * A missing plain object is a deletion by another tool only if a listing has
 * shown the object when it was older than this, by the store's clock: no
 * request that an earlier holder sent before it was written can land any more.
 * Its age alone says nothing: such a DELETE may have landed before it was that
 * old, with nobody looking. (integration/model finds the loss.) The register's
 * settled_seq remembers what was shown.
 */
#define FOREIGN_DELETION_AGE (24 * 3600)

enum foreign_kind {
	FOREIGN_FILE,	 /* an object without our mark */
	FOREIGN_MARKER,	 /* "dir/" */
	FOREIGN_LINKS,	 /* _symlinks.json without our mark */
	FOREIGN_GONE,	 /* of ours, deleted by somebody */
	FOREIGN_MISSING, /* of ours, missing: to be published again */
	FOREIGN_STALE,	 /* ours, but of no commit: a late write, to be removed */
};

struct foreign_item {
	const char *path, *tag;
	enum foreign_kind kind;
	uint64_t size;
	int64_t mtime; /* seconds, by the store's clock */
};

struct foreign {
	struct arena arena;
	struct foreign_item *items; /* sorted by path */
	size_t n, room;
	uint64_t settled_seq; /* what the register may say now (head.h); not less than it says already */
};

void foreign_free(struct foreign *f);

/*
 * Lists the plain copy and asks (HEAD) about what the applied table does not
 * explain. known: the cache's index, whose tags were asked about before, or
 * NULL. -EINVAL for a key that leads out of the volume, with what to do.
 */
int foreign_look(struct transfer *x, const struct plain *p, const struct head *head, const struct applied *applied,
		 const struct manifest *known, struct foreign *ret);

/* Is all that was seen in the index already, and nothing of what it took in gone? */
bool foreign_unchanged(const struct foreign *f, const struct manifest *index);

/*
 * Lays it over the manifest (sorted): files and links come in as ENTRY_FOREIGN
 * without object or hash; `differs` is set when the tree is not the record's
 * any more. Reads a foreign _symlinks.json. What can't be in one tree with the
 * rest is skipped with a warning, and noted in the volume (left) if it is a
 * file; a path through a foreign link is -EINVAL. Of a foreign file and
 * foreign files beneath it, these come in.
 */
int foreign_merge(struct transfer *x, const struct plain *p, const struct foreign *f, struct manifest *m);

/* Has the manifest something else than a file at the path, or than directories above it? */
bool foreign_collides(const struct manifest *m, const char *path);

#endif
