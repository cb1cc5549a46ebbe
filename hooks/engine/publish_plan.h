/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publish_plan.h - which plain objects a commit changes, from its manifest and
 * the applied table of the commit before, both sorted; and, when each was dealt
 * with, the applied table of this one.
 */
#ifndef VOLRUN_HOOKS_PUBLISH_PLAN_H
#define VOLRUN_HOOKS_PUBLISH_PLAN_H

#include "hooks/engine/applied_store.h"
#include "hooks/engine/plain.h"

enum item_kind { ITEM_FILE, ITEM_LINKS, ITEM_DELETE, ITEM_DELETE_MARKER };

/* What is to be done next for one plain object; each step is a request. */
enum item_state {
	STATE_LOOK,  /* HEAD: what is there? */
	STATE_FETCH, /* GET the committed bytes into the spool */
	STATE_WRITE, /* PUT, COPY or DELETE */
	STATE_DONE,  /* it is as the commit says */
	STATE_LEFT,  /* it is not, and stays so */
};

struct item {
	const char *path;
	const struct entry *e; /* of the manifest; NULL: there is none */
	const char *tag;       /* expected at first, found at the end; NULL: nothing is there */
	unsigned char sha256[SHA256_LEN];
	uint64_t spool; /* offset of the bytes */
	uint8_t kind, state, writes;
	bool spooled;
	bool in_old;  /* the table of the commit before has it */
	bool foreign; /* left to what another tool put there meanwhile */
};

struct publish_plan {
	struct transfer *x;
	const struct manifest *m;
	struct plain plain;
	struct arena arena; /* paths and tags */
	struct item *items; /* sorted by path */
	size_t n, room;
	struct strbuf links; /* the text of _symlinks.json */
	int applied_fd;	     /* the table of the commit before; -1: none */
	uint64_t applied_size;
};

/* Reads the applied table of applied_seq and fills the plan. Free with plan_free in any case. */
int plan_make(struct publish_plan *p, struct transfer *x, const struct manifest *m, uint64_t applied_seq);
void plan_free(struct publish_plan *p);
/* The head of the table of the commit before. -ENOENT: there is none. */
int plan_old_head(struct publish_plan *p, struct applied_head *ret);
enum table_form {
	TABLE_KEPT,  /* whole, as the cache keeps it */
	TABLE_DELTA, /* text: what is other than in the table before */
	TABLE_WHOLE, /* text */
};
/* The applied table, without its stream's finish (of TABLE_KEPT, whose stream is a summed one, with it): what stayed as
 * it was, and the items that are STATE_DONE. */
int plan_write_table(struct publish_plan *p, enum table_form form, const struct applied_head *head,
		     struct stream_out *out);

bool item_is_deletion(const struct item *i);
/* Is it made by a copy within the store, of its committed bytes? */
bool item_is_copy(const struct publish_plan *p, const struct item *i);

#endif
