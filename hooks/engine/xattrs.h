/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xattrs.h - extended attributes of files and directories (xattr(7)): those of
 * the namespace "user" belong to a volume, no others (volumes.md §3).
 *
 * As text, in entries, records and the index: "<name>:<value>," for each, both
 * in lower-case hex, the name without "user.", sorted by name. NULL: none.
 */
#ifndef VOLRUN_HOOKS_XATTRS_H
#define VOLRUN_HOOKS_XATTRS_H

#include <stdbool.h>

#include "base/arena.h"

/* Of one entry: names and values together (Linux: 64 KiB a value, 64 KiB the list of names). */
#define XATTRS_MAX_BYTES 65536
#define XATTRS_MAX_COUNT 1024
#define XATTRS_TEXT_MAX (2 * XATTRS_MAX_BYTES + 2 * XATTRS_MAX_COUNT)

/* Hostile text: is it what xattrs_read could have made, and not empty? */
bool xattrs_valid(const char *text);
bool xattrs_equal(const char *a, const char *b);

struct xattrs_lost {
	bool acl;   /* it has an ACL, or capabilities: not kept */
	bool large; /* user.* attributes past the bounds: none of them is kept */
};

/*
 * Those of an open file or directory (O_PATH will do). *ret: text in the arena,
 * or NULL. A file system without them has none. -ESTALE: they changed meanwhile.
 */
int xattrs_read(int fd, struct arena *a, const char **ret, struct xattrs_lost *lost);
/*
 * Makes the file's user.* attributes these (NULL: none); `made`: it is new and has
 * none. -EOPNOTSUPP, -ENOSPC, -E2BIG: the file system can't hold them.
 */
int xattrs_write(int fd, const char *text, bool made);

#endif
