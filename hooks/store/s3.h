/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3.h - S3 without the network: what to send, and what an answer means. Pure
 * functions; store_s3.c sends.
 */
#ifndef VOLRUN_HOOKS_S3_H
#define VOLRUN_HOOKS_S3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/error.h"
#include "base/strbuf.h"
#include "hooks/store/reply.h"
#include "hooks/store/sign.h"
#include "hooks/store/store.h"

/* --- s3_request.c ------------------------------------------------------------- */

/* Where the bucket is. Strings are its own. */
struct s3_endpoint {
	bool tls;
	char *bucket;
	char *host; /* as in the Host header, with the port where it is not the scheme's */
	char *base; /* path before the key: "" or "/bucket" (path style), no '/' at the end */
	char *region;
	char *prefix;			     /* "" or "some/prefix/": before every key */
	char *url;			     /* "https://host": for requests and messages */
	const char *encryption, *kms_key_id; /* of what is written; the configuration's; NULL: as the bucket does */
	bool requester_pays;
};

/*
 * From the configuration: endpoint NULL is AWS. Path style is taken, asked or
 * not, where the bucket's name can't be a host's: an endpoint that is an address or
 * localhost, and (with TLS) a bucket with dots. -EINVAL with the reason.
 */
int s3_endpoint_init(const struct store_config *config, struct s3_endpoint *ret, struct error *err);
void s3_endpoint_free(struct s3_endpoint *e);
/*
 * To the same bucket in another region: signed for it, and, where the host is one of Amazon's that names a region,
 * sent there. A host of anybody else stays. -EINVAL: that is no region's name; -ENOMEM.
 */
int s3_endpoint_move(struct s3_endpoint *e, const char *region);

struct s3_credentials {
	const char *access_key_id, *secret_access_key, *session_token; /* token NULL: none */
};

enum s3_call_kind {
	S3_CALL_OP,	  /* the op as one request */
	S3_CALL_INITIATE, /* multipart upload: begin */
	S3_CALL_PART,	  /* one part: of a file, or (COPY) of the source */
	S3_CALL_COMPLETE, /* put the parts together */
	S3_CALL_ABORT,	  /* give up */
	S3_CALL_LIST,	  /* one page */
	S3_CALL_UPLOADS,  /* one page of the uploads that nobody has completed */
};

/* What a request is made of. */
struct s3_call {
	enum s3_call_kind kind;
	const struct store_op *op; /* not for LIST and UPLOADS */
	unsigned quirks;	   /* STORE_QUIRK_* */
	unsigned caps;		   /* STORE_CAP_*: conditions on DELETE and COPY are sent only to who honours them */
	const char *upload_id;	   /* PART, COMPLETE, ABORT; UPLOADS: the last one of the page before, of list_token */
	unsigned part;		   /* PART: from 1 */
	uint64_t offset, size;	   /* PART of a COPY: the range of the source */
	const char *list_prefix;   /* LIST, UPLOADS: with the endpoint's prefix */
	const char *list_token;	   /* LIST: NULL for the first page. UPLOADS: the last key of the page before */
	bool confirm;		   /* of a HEAD or GET: as a GET of its first byte, whose 404 has words */
	const char *payload_hash;  /* hex, S3_UNSIGNED, or NULL: no body */
};
#define S3_UNSIGNED "UNSIGNED-PAYLOAD"

struct s3_request {
	const char *method;
	struct strbuf url;
	struct strbuf headers; /* lines "name: value\n", Host and Authorization among them */
};

/* Builds and signs. -ENOMEM. Free with s3_request_free. */
int s3_request_build(const struct s3_endpoint *e, const struct s3_credentials *c, const struct s3_call *call,
		     time_t now, struct s3_request *ret);
void s3_request_free(struct s3_request *r);

/* The body of COMPLETE: tags of the parts 1..n. */
void s3_complete_body(struct strbuf *out, char (*tags)[STORE_TAG_MAX], unsigned n);

/* --- s3_reply.c --------------------------------------------------------------- */

/* A header that is S3's own (ETag, x-amz-...). Hostile: ignored when it makes no sense. */
void s3_reply_header(struct reply *r, const char *name, const char *value);
/* Reads <Code> of an <Error> document. True: the body is one (some answers with status 200 are). */
bool s3_reply_error(struct reply *r, const char *body, size_t len);
/* What an answer means for a call. */
void s3_judge(const struct s3_call *call, const struct reply *r, struct verdict *ret);

/* Is it of the bucket, and of no object? */
static inline bool s3_call_lists(const struct s3_call *call)
{
	return call->kind == S3_CALL_LIST || call->kind == S3_CALL_UPLOADS;
}

/* Does the call change the store? */
bool s3_call_changes(const struct s3_call *call);
/* The op's condition, where this call carries it; else STORE_ANY. */
enum store_condition s3_call_condition(const struct s3_call *call);

#endif
