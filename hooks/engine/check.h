/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h - is a volume in the store sound (volumes.md §3)? Reads everything
 * that a start could ever need: register, record, the bytes of each file against
 * their sha256, the applied table, the listing of the plain copy, `meta`.
 * Changes nothing; takes no lease: of a volume that is in use it may see a
 * commit's publishing half done, which is a note.
 */
#ifndef VOLRUN_HOOKS_CHECK_H
#define VOLRUN_HOOKS_CHECK_H

#include "base/arena.h"
#include "hooks/engine/head.h"
#include "hooks/engine/volume.h"

#define CHECK_LINES_MAX 1000

struct check_report {
	uint64_t seq, epoch;   /* of the commit that was checked; 0: none */
	uint64_t files, bytes; /* whose bytes were read and are right */
	/* What a start would fail on or get wrong. The first CHECK_LINES_MAX, and how many there were in all. */
	const char **problems;
	size_t n_problems;
	uint64_t all_problems;
	/* What is unusual and harmless: foreign files, late writes, a plain copy that is not complete yet. */
	const char **notes;
	size_t n_notes;
	uint64_t all_notes;
};

/*
 * v->store is open; v->cache.dir_fd is a directory of the caller's, where
 * temporary files are made. The report's strings are in the arena. Negative:
 * it could not be checked at all (-ENOENT: no such volume; -EIO: the store's
 * error; -ENOMEM). A problem is no error.
 */
int check_volume(struct volume *v, struct arena *a, struct check_report *ret, struct error *err);

#endif
