/* SPDX-License-Identifier: Apache-2.0 */
/*
 * applied.h - the applied table of a commit (volumes.md §3): which plain
 * objects its publishing left behind, and the tag that each got. The last
 * thing that publishing writes: where it is, the commit is published.
 *
 *     volumes/<ws>/.volrun/<vol>/<seq>.applied, lines of JSON:
 *     {"format":1,"kind":"applied","epoch":3,"seq":7,"record":"<sha256>"}
 *     {"path":"a/f","tag":"...","sha256":"...","seq":5}     sorted by path, bytewise; seq: of the commit that wrote it
 *     {"end":1}                                             the number of entries
 *
 * or a delta on the table before: "kind":"delta", its "chain":[{"seq":5,"length":812}]
 * from a whole table on, and {"path":"b"} for what is there no more.
 *
 * applied_store.h gets and keeps them, applied_kept.h is the form that they have in the cache.
 */
#ifndef VOLRUN_HOOKS_APPLIED_H
#define VOLRUN_HOOKS_APPLIED_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "hooks/engine/stream.h"

/* A whole table and 16 deltas. */
#define APPLIED_CHAIN_MAX 17

struct applied_link {
	uint64_t seq, length; /* of the table's text */
};

struct applied_head {
	uint64_t epoch, seq;
	char record_sha256[SHA256_HEX_MAX];
	/* The tables that this one builds on, a whole one first; none: it is whole. */
	struct applied_link chain[APPLIED_CHAIN_MAX];
	size_t n_chain;
};

struct applied_entry {
	const char *path, *tag; /* tag NULL: in a delta, it is there no more */
	uint64_t seq;		/* of the commit whose publishing wrote the object */
	unsigned char sha256[SHA256_LEN];
};

/* Writing; failures show at the stream's finish. */
void applied_write_header(struct stream_out *out, const struct applied_head *h);
void applied_write_entry(struct stream_out *out, const struct applied_entry *e);
void applied_write_end(struct stream_out *out, uint64_t entries);

/* Reading, entry by entry. Hostile input: bounded, sorted, unique, complete. */
struct applied_in {
	struct stream_in in;
	struct arena line; /* of the entry read last */
	char *last;	   /* its path */
	uint64_t n;
	struct applied_head head;
};
int applied_open(struct applied_in *a, struct stream_in in, struct error *err);
/* 1; 0 at the end; -EINVAL. The entry lives until the next call. */
int applied_next(struct applied_in *a, struct applied_entry *ret, struct error *err);
void applied_close(struct applied_in *a);

/* A whole table in memory. */
struct applied {
	struct arena arena;
	struct applied_entry *entries; /* sorted by path */
	size_t n, room;
	struct applied_head head;
};
/* Takes the stream over. Free with applied_free. */
int applied_read(struct stream_in in, struct applied *ret, struct error *err);
void applied_free(struct applied *a);
/* The same for a delta on a, which becomes the next table. -EINVAL: it is none of that table. */
int applied_apply(struct applied *a, struct stream_in in, struct error *err);
/* Adds a copy at the end; who adds keeps the order. -ENOMEM. */
int applied_add(struct applied *a, const struct applied_entry *e);
/* The index, or SIZE_MAX. */
size_t applied_find(const struct applied *a, const char *path);

#endif
