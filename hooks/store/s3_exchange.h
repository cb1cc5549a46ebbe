/* SPDX-License-Identifier: Apache-2.0 */
/* s3_exchange.h - the S3 store's own parts: one request with its repetitions, and the uploads in parts. */
#ifndef VOLRUN_HOOKS_S3_EXCHANGE_H
#define VOLRUN_HOOKS_S3_EXCHANGE_H

#include "hooks/store/credentials.h"
#include "hooks/store/http.h"
#include "hooks/store/s3.h"
#include "hooks/store/store_impl.h"

struct s3_store {
	struct store base;
	const struct store_config *config;
	struct s3_endpoint endpoint;
	struct credentials credentials;
	struct http *http;
	uint64_t part_size;	   /* 0: the default */
	unsigned under_way;	   /* exchanges */
	struct s3_exchange *ready; /* whose verdict is known without a request, to be told by s3_step */
	/* The run that is going on. */
	void (*done)(void *ctx, struct store_op *op);
	void *done_ctx;
};

/* One call, from its first attempt to its verdict. */
struct s3_exchange {
	struct s3_store *s3;
	struct s3_call call;
	struct http_request http;
	size_t max_body; /* of the answer, where it is kept: documents, GET into memory */
	/* Called once with the verdict; frees the exchange (s3_exchange_free). */
	void (*finished)(struct s3_exchange *x);
	void *user;

	/* --- the answer: of the last attempt */
	struct s3_verdict verdict;
	struct s3_reply reply;
	struct strbuf body;
	uint64_t received; /* of a GET */
	int64_t sent_ns;
	unsigned sendings; /* of all attempts */

	/* --- its own */
	struct s3_request request;
	char hash[SHA256_HEX_MAX];
	unsigned attempts;
	int64_t began_ns, expected;
	bool ambiguous, cancelled, refreshed, head_judged;
	struct s3_exchange *next;
};

/* op NULL for a listing. The caller sets the rest of call and http, then starts it. NULL: out of memory. */
struct s3_exchange *s3_exchange_new(struct s3_store *s3, enum s3_call_kind kind, const struct store_op *op);
/* Signs and begins. `finished` is called in the end, by s3_step and never from here. */
void s3_exchange_start(struct s3_exchange *x);
/* Waits until an attempt ends; then comes another one, or `finished`. False: nothing is under way. */
bool s3_step(struct s3_store *s3);
void s3_exchange_free(struct s3_exchange *x);

/* Ends the op with a verdict, and tells the run. */
void s3_op_end(struct s3_store *s3, struct store_op *op, const struct s3_verdict *v);

/* --- s3_multipart.c */
/* Is the op done in parts? */
bool s3_multipart_wanted(const struct s3_store *s3, const struct store_op *op);
void s3_multipart_begin(struct s3_store *s3, struct store_op *op);

/* --- s3_list.c */
int s3_list(struct store *s, const char *prefix, store_list_fn fn, void *ctx, struct error *err);

#endif
