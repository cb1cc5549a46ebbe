/* SPDX-License-Identifier: Apache-2.0 */
/* gcs_store.h - the GCS store's own parts, between its files: store_gcs.c and gcs_upload.c. */
#ifndef VOLRUN_HOOKS_GCS_STORE_H
#define VOLRUN_HOOKS_GCS_STORE_H

#include "hooks/store/exchange.h"
#include "hooks/store/gcs.h"

struct gcs_store {
	struct http_store http;
	struct gcs_endpoint endpoint;
	uint64_t limit, chunk; /* larger bodies are uploads of several requests, of so many bytes each */
	int64_t pace_ns;       /* between two writes of one object; 0: none */
};

struct gcs_exchange {
	struct exchange x;
	struct gcs_call call;
	struct gcs_request request;
	char crc32c[12], md5[28]; /* of a PUT's body */
	struct strbuf rewrite;	  /* COPY: the token of the step before */
	int64_t until_ns;	  /* COPY: CLOCK_BOOTTIME of its last step at the latest */
	int64_t not_before_ns;	  /* set by who makes it */

	/* --- the answer */
	struct gcs_object object;
	uint32_t crc;	       /* of a GET's bytes so far */
	char promised[12];     /* x-goog-hash */
	struct strbuf session; /* BEGIN: Location */
	uint64_t arrived;      /* CHUNK, QUERY with status 308: bytes, from the beginning */
};

/* op NULL for a listing. The caller sets the rest of call and of x.http, then starts it. NULL: out of memory. */
struct gcs_exchange *gcs_exchange_new(struct http_store *s, enum gcs_call_kind kind, const struct store_op *op);

/*
 * Reads a PUT's source once, for its checksums. md5 "" where it is not worth it. -EBADMSG: it is not what the op
 * announces (length, sha256); -ENOMEM; what reading said.
 */
int gcs_hash_source(const struct store_op *op, char ret_crc32c[12], char ret_md5[28]);

/* --- gcs_upload.c */
void gcs_upload_begin(struct gcs_store *g, struct store_op *op);

#endif
