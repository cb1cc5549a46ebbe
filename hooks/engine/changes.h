/* SPDX-License-Identifier: Apache-2.0 */
/*
 * changes.h - the words of what was set aside (conflict.h): the note beside the tree, and changes.json in the store,
 * which is hostile: lines of JSON, the note first, then the changes.
 */
#ifndef VOLRUN_HOOKS_CHANGES_H
#define VOLRUN_HOOKS_CHANGES_H

#include "hooks/engine/stream.h"
#include "oci/json.h"

struct conflict_note {
	const char *id;	     /* "3" */
	uint64_t epoch, seq; /* of the run: its lease, the commit it began with */
	const char *why;
	const char *node, *container, *since; /* since: RFC 3339, when it was set aside */
	const char *keeper;		      /* whose container may still write to it; see keeper_name.h */
	bool unsure;			      /* after a power cut: each file is to be read, whatever its times say */
	bool local;			      /* not for the store: it is past a limit, or there is no room to work */
	bool uploaded;			      /* the changes are in the store */
	uint64_t files, bytes, skipped;	      /* that were sent; skipped: past the bounds */
};
extern const struct json_table conflict_note_table;

struct conflict_change {
	const char *path, *rawpath;	/* rawpath: hex, where the path is no UTF-8 */
	const char *change;		/* "added", "changed", "deleted" */
	const char *type;		/* "file", "dir", "symlink" */
	const char *target, *rawtarget; /* of a link */
	const char *key;		/* of its bytes, below conflicts/<epoch>/ */
	const char *sha256;
	const char *xattrs; /* of files and directories: user.* attributes as text (xattrs.h); NULL: none */
	const char *first;  /* of a file of several names: the first of them; NULL: it has one, or that is no UTF-8 */
	uint32_t mode, uid, gid;
	int64_t mtime;
	uint64_t size;
	/* Of a line that was read, in bytes as they were: a path that leads nowhere else; the link's target, or NULL.
	 */
	const char *name, *link;
};
extern const struct json_table conflict_change_table;

typedef int (*changes_fn)(void *ctx, const struct conflict_change *change, struct error *err);

/*
 * Reads the note (its strings: the arena's) and calls fn (NULL: nobody) for each change, whose change, type, name, and
 * for a file that was not deleted key and sha256, and xattrs and first where they are given, are what they can be. 0;
 * -EINVAL, -ENOMEM, or what fn returned.
 */
int changes_read(struct stream_in *in, struct arena *a, struct conflict_note *ret, changes_fn fn, void *ctx,
		 struct error *err);

#endif
