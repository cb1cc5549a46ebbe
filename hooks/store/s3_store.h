/* SPDX-License-Identifier: Apache-2.0 */
/* s3_store.h - the S3 store's own parts, between its files: store_s3.c and s3_upload.c. */
#ifndef VOLRUN_HOOKS_S3_STORE_H
#define VOLRUN_HOOKS_S3_STORE_H

#include "hooks/store/exchange.h"
#include "hooks/store/s3.h"

struct s3_store {
	struct http_store http;
	struct s3_endpoint endpoint;
	uint64_t part_size;   /* 0: the default */
	int64_t clock_offset; /* seconds by which the server's clock is before this machine's */
};

struct s3_exchange {
	struct exchange x;
	struct s3_call call;
	struct s3_request request;
	char hash[SHA256_HEX_MAX];
	/* What the attempt was signed with. */
	char region[80];
	int64_t signed_at;
};

/* op NULL for a listing. The caller sets the rest of call and of x.http, then starts it. NULL: out of memory. */
struct s3_exchange *s3_exchange_new(struct http_store *s, enum s3_call_kind kind, const struct store_op *op);

/*
 * CopyObject and the completion of an upload answer when the bytes are where they belong (or say 200 and then send
 * blanks till they are): how long that may take, for so many of them.
 */
uint32_t s3_work_seconds(uint64_t bytes);

/* --- s3_mend.c */
/* An answer without a word, where an object store might leave them out: small servers do. */
bool s3_says_nothing(const struct exchange *x);
/* After a verdict: takes away what it was refused for, if that can be done, and says so by verdict.again. */
void s3_mend(struct s3_exchange *x);

/* --- s3_upload.c */
/* Tells callers of the store, in what pieces it sends; again when part_size is another. */
void s3_upload_sizes(struct s3_store *s3);
/* Is the op done in parts? */
bool s3_upload_wanted(const struct s3_store *s3, const struct store_op *op);
void s3_upload_begin(struct s3_store *s3, struct store_op *op);

/* --- s3_uploads.c: for the vtable */
int s3_give_up_uploads(struct store *s, const char *prefix, store_upload_fn fn, void *ctx, uint64_t *ret_n,
		       struct error *err);

#endif
