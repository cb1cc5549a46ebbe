/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.h - what a commit's tree holds, and the record that stores it
 * (volumes.md §3).
 *
 * A record is lines of JSON: a header, then one line an entry, sorted by path
 * (bytewise). Its sha256 stands in the register. Kinds of records: "base" (the
 * whole tree). A later version may write "delta"; a reader refuses what it
 * does not know. A path that is not valid UTF-8 stands in hex as "rawpath".
 */
#ifndef VOLRUN_HOOKS_MANIFEST_H
#define VOLRUN_HOOKS_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/arena.h"
#include "base/error.h"
#include "hooks/store/sign.h"
#include "oci/json.h"

#define MANIFEST_MAX_ENTRIES 2000000
#define MANIFEST_MAX_RECORD (1u << 30)
#define MANIFEST_PATH_MAX 4095

enum entry_type { ENTRY_FILE, ENTRY_DIR, ENTRY_SYMLINK };

struct entry {
	const char *path;  /* relative, safe segments; raw bytes */
	int type;	   /* enum entry_type */
	uint32_t mode;	   /* permission bits; no set-id */
	uint32_t uid, gid; /* as the container sees them */
	uint64_t size;
	int64_t mtime_ns;
	const char *target; /* symlinks */
	const char *sha256; /* files, hex; NULL for the others */
	/* Files: where the bytes are, immutable: an object below commits/ and a range of it. Size 0: none. */
	const char *object; /* "<epoch>-<seq>/pack-0" */
	uint64_t offset;
	/* Published plainly: not when its name can't be a key or lies under odd/. */
	bool unpublished;
	const char *link;		/* hard links: path of the group's first entry; NULL: none. Reserved */
	const struct json_pair *xattrs; /* user.*; values in hex. Reserved */
	size_t n_xattrs;
};

struct manifest {
	struct arena arena;
	struct entry *entries; /* sorted by path */
	size_t n;
	uint64_t epoch, seq;
};

void manifest_free(struct manifest *m);
/* By binary search; NULL. */
const struct entry *manifest_find(const struct manifest *m, const char *path);
/* The record's bytes. */
int manifest_write(struct strbuf *out, const struct manifest *m, struct error *err);
/* Hostile input: bounded; paths safe, sorted, unique, no entry beneath a file or a symlink; each range inside its
 * bounds. */
int manifest_parse(const char *text, size_t len, struct manifest *ret, struct error *err);

#endif
