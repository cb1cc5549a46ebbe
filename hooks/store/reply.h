/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply.h - the head of an answer as far as all HTTP stores read it, and the
 * verdict on a request. Pure functions: exchange.c sends, a store's own file says what its
 * codes mean.
 */
#ifndef VOLRUN_HOOKS_REPLY_H
#define VOLRUN_HOOKS_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hooks/store/store.h"

/* How much of an error's body is kept. */
#define REPLY_ERROR_MAX 16384

struct reply {
	int status;
	char tag[STORE_TAG_MAX];
	char mark[STORE_MARK_MAX];
	int64_t content_length; /* -1: not said */
	bool chunked;		/* the body's end is told, with or without a length */
	bool has_range;		/* Content-Range: first-last/total */
	uint64_t range_first, range_last, range_total;
	int64_t mtime;
	int64_t date; /* the server's clock, seconds since the epoch; 0: not said */
	bool genuine; /* it bears a sign of an object store, which a proxy's or another server's own page has not */
	int64_t retry_after; /* seconds; -1: not said */
	int64_t object_size; /* HEAD: the store fills it; -1: not said */
	char region[40];     /* where the bucket is, where the store tells */
	char code[64];	     /* of an error, in the store's words: letters and digits; "" */
};

void reply_init(struct reply *r);
/*
 * One header that means the same everywhere (lengths, range, Last-Modified, Retry-After), in C strings.
 * Hostile: ignored when it makes no sense.
 */
void reply_header(struct reply *r, const char *name, const char *value);
/* Takes what of an error's code is letters and digits. */
void reply_set_code(struct reply *r, const char *code);

/* What an answer means for a request. */
struct verdict {
	enum store_result result;
	bool retry;	/* worth another attempt, where another attempt is allowed */
	bool ambiguous; /* a change may have happened, or may still happen */
	bool refresh;	/* get other credentials */
	bool again;	/* it was refused unseen, and why is mended: once more at once, also with a condition */
	char reason[600];
};

void verdict_set(struct verdict *v, enum store_result result, bool retry, const char *reason);
/* What most statuses mean; not 404 and 3xx, which are the store's to judge. */
void verdict_from_status(struct verdict *v, int status);
/* "reason (403 AccessDenied)" */
void verdict_add_status(struct verdict *v, const struct reply *r);
/* A 404 that no object store gave: it says nothing of any object. */
void verdict_not_genuine(struct verdict *v);
/*
 * The last step of judging a request that changes the store: which answers leave open whether it did, and that
 * with a condition it is not sent again.
 */
void verdict_settle(struct verdict *v, enum store_condition condition);

/* Does the head of a GET's answer promise the range that was asked for? *ret_length: its bytes, -1 not known. */
void reply_judge_range(const struct store_op *op, const struct reply *r, int64_t *ret_length, struct verdict *ret);

#endif
