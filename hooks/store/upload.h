/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upload.h - an op done in parts of which some are under way at once: begin (where the
 * store has that), parts, completion, and giving up (where it has that). Nothing of it is visible
 * before the completion, so a part whose outcome is not known leaves the object as it was.
 */
#ifndef VOLRUN_HOOKS_UPLOAD_H
#define VOLRUN_HOOKS_UPLOAD_H

#include "hooks/store/exchange.h"

struct upload {
	struct http_store *store;
	struct store_op *op;
	const struct upload_steps *steps;
	struct strbuf id;   /* the store's name for it */
	struct strbuf body; /* of the completion, for the dialect to write */
	uint64_t part_size;
	unsigned parts;
	bool in_pieces; /* the op's pieces are its parts: who sends them with their hashes is told what else arrived */
	char (*tags)[STORE_TAG_MAX]; /* of the parts, by `accept` */

	/* --- its own */
	unsigned next_part, in_flight; /* parts count from 0 here */
	struct verdict failure;	       /* result STORE_OK: none so far */
};

struct upload_steps {
	/* Make the exchanges; NULL: out of memory. The upload fills what is the same for all stores. */
	struct exchange *(*begin)(struct upload *u); /* NULL: the store has none */
	struct exchange *(*part)(struct upload *u, unsigned part, uint64_t offset, uint64_t size);
	struct exchange *(*complete)(struct upload *u); /* with its body */
	struct exchange *(*abort)(struct upload *u);	/* NULL: the store forgets by itself */
	/* Reads the answers to begin and part; false: x->verdict says why not. NULL: nothing to read. */
	bool (*began)(struct upload *u, struct exchange *x);
	bool (*accept)(struct upload *u, struct exchange *x, unsigned part);
};

/* Begins the op in parts of part_size, doubled until there are at most max_parts. */
void upload_begin(struct http_store *s, struct store_op *op, const struct upload_steps *steps, uint64_t part_size,
		  unsigned max_parts);

#endif
