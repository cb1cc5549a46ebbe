/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.h - the tree of a volume as a sorted list in memory: what a record
 * says (record.h), what the cache's index remembers (index.h), what a scan
 * found (scan.h). Compact: 100,000 files of usual names are about 18 MB.
 */
#ifndef VOLRUN_HOOKS_MANIFEST_H
#define VOLRUN_HOOKS_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "base/arena.h"
#include "base/error.h"
#include "hooks/engine/head.h"

#define MANIFEST_MAX_ENTRIES 2000000
#define MANIFEST_PATH_MAX 4095

enum entry_type {
	ENTRY_FILE,
	ENTRY_DIR,
	ENTRY_SYMLINK,
	/*
	 * Nothing in the tree. Tells the publisher that the plain object of this path
	 * (GONE_DIR: the marker "path/") with this tag, which no commit of ours wrote,
	 * was seen, and is to go.
	 */
	ENTRY_GONE,
	ENTRY_GONE_DIR,
	/* Only among the lines of a delta (record.h): what the commit before had here is no more. */
	ENTRY_REMOVED,
};

enum entry_flags {
	ENTRY_CHANGED = 1,   /* scan: its stat is not the base's; the bytes' hash is not known */
	ENTRY_FOREIGN = 2,   /* not in the record yet: taken from the plain copy at the last restore */
	ENTRY_REPUBLISH = 4, /* its plain object is missing */
	ENTRY_CLEAN = 8,     /* scan: stat as in the index, and not racy */
	ENTRY_DROP = 16,     /* within one step: to be removed from the list */
	ENTRY_SPARSE = 32,   /* a file that had holes: a restore makes them again */
	ENTRY_REPACK = 64,   /* its bytes are to go into a new pack (collect.h) */
	ENTRY_TAKEN = 128,   /* scan: the base's entry itself, which the base has no more; nothing of it was changed */
};

/* Strings are in a manifest's arena (or in that of the one it was made from). */
struct entry {
	const char *path; /* relative, safe segments; raw bytes */
	union {
		const char *target; /* symlinks */
		/* Files of several names: the first name of the same file, which stands in its own entry too
		 * (hardlinks.h). NULL: it has one name. */
		const char *link;
	};
	const char *xattrs; /* files and directories: user.* attributes as text (xattrs.h); NULL: none */
	/* Files of size > 0: where the bytes are, immutable: an object below commits/ and a range of it.
	 * NULL: in no commit yet. */
	const char *object; /* "<epoch>-<seq>/<name>" */
	/*
	 * The tag of a foreign plain object at this path that was seen and taken in or
	 * overruled, so that it may be replaced as long as it has this tag. Of a
	 * directory: its marker's. NULL: none.
	 */
	const char *tag;
	uint64_t size, offset;
	int64_t mtime_ns;
	/* Of the file on this node; not in a record. 0: not known. */
	int64_t ctime_ns;
	uint64_t ino;
	uint32_t uid, gid;		  /* as the container sees them */
	uint16_t mode;			  /* permission bits and sticky; no set-id */
	uint8_t type;			  /* enum entry_type */
	uint8_t flags;			  /* enum entry_flags */
	unsigned char sha256[SHA256_LEN]; /* files; zeros: of a foreign one that no commit has, and nobody hashed */
};

struct manifest {
	struct arena arena;
	struct entry *entries; /* sorted by path, bytewise */
	size_t n, room;
	struct entry root;     /* the volume's own directory; path "" */
	uint64_t epoch, seq;   /* of the commit; 0: none */
	uint64_t files, bytes; /* counted by manifest_sort and manifest_count */
	const char *recent[8]; /* objects named last; see manifest_object */
	/* The records that it was put together from: a base, then deltas, its own last (record.h). 0: not known. */
	struct head_commit *chain;
	size_t n_chain;
	/* An index: */
	int64_t time_ns;		    /* when its stats were taken, of the file system's clock; 0: it has none */
	char record_sha256[SHA256_HEX_MAX]; /* the commit it is of */
	bool differs;			    /* from the record, by foreign changes */
};

void manifest_free(struct manifest *m);
/* A zeroed entry at the end; good until the next. NULL: out of memory or past MANIFEST_MAX_ENTRIES. */
struct entry *manifest_add(struct manifest *m);
/* The same object name is kept once, mostly. NULL: out of memory. */
const char *manifest_object(struct manifest *m, const char *object);
/* Sorts and counts. */
void manifest_sort(struct manifest *m);
/*
 * Adds n entries, whose paths m (sorted) doesn't have, and which get sorted; counts. In place: a long list is never in
 * memory twice. -ENOMEM: also past MANIFEST_MAX_ENTRIES.
 */
int manifest_merge(struct manifest *m, struct entry *entries, size_t n);
/* Counts: files and bytes. */
void manifest_count(struct manifest *m);
/* Where what lies beneath the directory is: entries [lo, hi). "": all. */
void manifest_beneath(const struct manifest *m, const char *path, size_t *ret_lo, size_t *ret_hi);
/*
 * Sorted, paths unique, each entry's parent there and a directory (not asked of ENTRY_GONE*), hard links to files that
 * are the same. -EINVAL names the path.
 */
int manifest_check(const struct manifest *m, struct error *err);
/* By binary search; NULL. */
struct entry *manifest_find(const struct manifest *m, const char *path);
/* Is there any entry beneath this path (not ENTRY_GONE*)? */
bool manifest_has_children(const struct manifest *m, const char *path);
/* Removes the entries with ENTRY_DROP; keeps the order. */
void manifest_drop(struct manifest *m);
/* Sets the chain: that of `last` (NULL: none) and then own, copied. -ENOMEM. */
int manifest_chain(struct manifest *m, const struct manifest *last, const struct head_commit *own);
/* Is it something of the tree? */
bool entry_in_tree(const struct entry *e);

/* A hash as the entries hold it: of what h was fed, and of data. */
void entry_hash_final(struct sha256 *h, unsigned char ret[SHA256_LEN]);
void entry_hash_data(const void *data, size_t len, unsigned char ret[SHA256_LEN]);
/* Of an open file of this size; -ESTALE when it has another. */
int entry_hash_fd(int fd, uint64_t size, unsigned char ret[SHA256_LEN]);

/* Nanoseconds since the epoch, kept within int64_t (to the year 2262); and back. */
int64_t entry_time_ns(const struct timespec *t);
struct timespec entry_timespec(int64_t ns);

#endif
