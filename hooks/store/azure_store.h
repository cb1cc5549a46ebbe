/* SPDX-License-Identifier: Apache-2.0 */
/* azure_store.h - the Azure store's own parts, between its files: store_azure.c, azure_copy.c and azure_upload.c. */
#ifndef VOLRUN_HOOKS_AZURE_STORE_H
#define VOLRUN_HOOKS_AZURE_STORE_H

#include "hooks/store/azure.h"
#include "hooks/store/exchange.h"
#include "hooks/store/sign.h"

struct azure_store {
	struct http_store http;
	struct azure_endpoint endpoint;
	uint64_t part_size;   /* 0: the default */
	int64_t clock_offset; /* seconds by which the server's clock is before this machine's */
};

struct azure_exchange {
	struct exchange x;
	struct azure_call call;
	struct azure_request request;
	struct azure_reply reply;
	int64_t not_before_ns;
	int64_t signed_at; /* seconds since the epoch */
	struct md5 *md5;   /* of a GET; NULL: nothing to compare */
	char hash[MD5_BASE64_MAX], block[AZURE_BLOCK_MAX], tag[STORE_TAG_MAX];
};

/* op NULL for a listing. The caller sets the rest of call and of x.http, then starts it. NULL: out of memory. */
struct azure_exchange *azure_exchange_new(struct http_store *s, enum azure_call_kind kind, const struct store_op *op);

/* --- azure_upload.c */
/* Is the op done in blocks? */
bool azure_upload_wanted(const struct azure_store *a, const struct store_op *op);
void azure_upload_begin(struct azure_store *a, struct store_op *op);

/* --- azure_copy.c: what takes more than one request without being an upload */
void azure_copy_begin(struct http_store *s, struct store_op *op);
void azure_delete_marker_begin(struct http_store *s, struct store_op *op);

#endif
