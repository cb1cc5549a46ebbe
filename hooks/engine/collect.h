/* SPDX-License-Identifier: Apache-2.0 */
/*
 * collect.h - what no commit needs any more goes; and packs that are mostly
 * dead, or too many, are put together anew (volumes.md §5). By the holder, with
 * a commit, at most once a day; packs at the end of a run alone.
 *
 * Nothing is deleted that a reader of an earlier commit may still be reading:
 * what is needed by nothing is listed in the object "garbage", and deleted by
 * a later collection if that list is 24 h old by the store's clock. An object
 * that no commit needs is never needed again (each attempt has names of its
 * own, and a commit takes over objects of the one before alone), so that a
 * late list and a late DELETE do no harm.
 *
 *     volumes/<ws>/.volrun/<vol>/garbage, lines of JSON:
 *     {"format":1,"kind":"garbage","entries":1}
 *     {"name":"commits/3-7/pack-0-1a2b3c4d"}
 */
#ifndef VOLRUN_HOOKS_COLLECT_H
#define VOLRUN_HOOKS_COLLECT_H

#include "hooks/engine/manifest.h"
#include "hooks/engine/transfer.h"

#define COLLECT_EVERY (24 * 3600) /* seconds */
#define COLLECT_AGE (24 * 3600)
/* An upload of what was set aside needs no lease, and may be slow: nobody but its sender knows that it is given up. */
#define COLLECT_CONFLICT_AGE (30 * COLLECT_AGE)

/* An object of the volume that is a commit's: "commits/3-7/pack-0-1a2b3c4d", "6.applied". */
struct collect_object {
	const char *name;
	uint64_t size, live; /* live: bytes that the manifest needs of it */
	bool needed, listed; /* listed: it was in the last list of garbage */
};

struct collect {
	struct arena arena;
	struct collect_object *objects; /* sorted by name; NULL: nothing was listed */
	size_t n, room;
	uint64_t epoch; /* the holder's: what later ones made is not touched */
};

/* By this node's clock alone, so that it costs no request. last: head.collected. */
bool collect_due(uint64_t last);
/* Lists the volume's objects. Returns x->failed. */
int collect_list(struct collect *c, struct transfer *x, uint64_t epoch);
void collect_free(struct collect *c);
/*
 * Marks the files of m whose bytes are to go into new packs with ENTRY_REPACK:
 * those of packs that are more than half dead, when less than half of all packs'
 * bytes are live; and of the smallest, when there are many. Returns how many.
 */
size_t collect_repack(struct collect *c, struct manifest *m);
/*
 * Deletes what an old list names, and writes the next one. m: the last commit; finished: one before it that is kept
 * beside it (head.h), or NULL; applied_seq: the last one's, too. Asks for the lease before each change. Returns
 * x->failed.
 */
int collect_run(struct collect *c, struct transfer *x, const struct manifest *m, const struct manifest *finished,
		uint64_t applied_seq);

#endif
