/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hardlinks.h - files of several names in a manifest. Each of the names has an
 * entry with all that the file is, and `link`: the first of the names. So each
 * can be published, fetched or replaced as any other file; that they are one
 * file counts where the tree is looked at and made.
 */
#ifndef VOLRUN_HOOKS_HARDLINKS_H
#define VOLRUN_HOOKS_HARDLINKS_H

#include "hooks/engine/manifest.h"

/* Is the entry's first name there, one of the same group, and the same file in every respect? m is sorted. */
bool hardlink_ok(const struct manifest *m, const struct entry *e);
/* Is it one of a group, but not the first? */
bool hardlink_follows(const struct entry *e);

/* The entries that have a link, group by group, sorted by path within. Good until m is sorted or grows. */
struct hardlinks {
	struct entry **entries;
	size_t n;
};

int hardlinks_collect(const struct manifest *m, struct hardlinks *ret);
void hardlinks_free(struct hardlinks *l);
/* The end of the group that begins at `at`. */
size_t hardlinks_end(const struct hardlinks *l, size_t at);
/* Where the group of that name begins, or l->n. */
size_t hardlinks_find(const struct hardlinks *l, const char *link);

/*
 * After names came or went: each group is called by its first name again, one of
 * a single name is none any more. -ENOMEM.
 */
int hardlinks_settle(struct manifest *m);
/* Gives each name what its group's first one has: what the bytes are and where, owner, mode, times, attributes. */
void hardlinks_spread(struct hardlinks *l);

#endif
