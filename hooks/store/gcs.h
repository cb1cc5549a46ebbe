/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gcs.h - Google Cloud Storage's JSON API without the network: what to send, and
 * what an answer means. Pure functions; store_gcs.c sends. The tag of an object is its generation.
 */
#ifndef VOLRUN_HOOKS_GCS_H
#define VOLRUN_HOOKS_GCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/strbuf.h"
#include "hooks/store/reply.h"
#include "hooks/store/store.h"

/* --- gcs_request.c ------------------------------------------------------------ */

/* Where the bucket is. Strings are its own. */
struct gcs_endpoint {
	bool tls;
	bool google; /* Google's own: one write a second of each object */
	bool open;   /* an emulator of the environment (STORAGE_EMULATOR_HOST): takes requests without credentials */
	char *bucket;
	char *origin;		  /* "https://host" */
	char *url;		  /* with the path that comes before "/storage/v1" */
	char *prefix;		  /* "" or "some/prefix/": before every key */
	const char *user_project; /* who pays; NULL: the bucket's owner. The configuration's */
};

/*
 * From the configuration; endpoint NULL: STORAGE_EMULATOR_HOST ("host:port" or a URL), else
 * storage.googleapis.com. -EINVAL with the reason.
 */
int gcs_endpoint_init(const struct store_config *config, struct gcs_endpoint *ret, struct error *err);
void gcs_endpoint_free(struct gcs_endpoint *e);

enum gcs_call_kind {
	GCS_CALL_OP,	/* the op as one request (a COPY: one step of a rewrite) */
	GCS_CALL_BEGIN, /* resumable upload: begin */
	GCS_CALL_CHUNK, /* bytes of it */
	GCS_CALL_QUERY, /* how many have arrived? */
	GCS_CALL_LIST,	/* one page */
};

/* What a request is made of. */
struct gcs_call {
	enum gcs_call_kind kind;
	const struct store_op *op; /* not for LIST */
	unsigned caps;		   /* STORE_CAP_*: conditions on DELETE and COPY are sent only to who honours them */
	const char *token;	   /* of OAuth 2.0; NULL: none */
	const char *session;	   /* CHUNK, QUERY: the upload's path and query, as the server named it */
	uint64_t offset, size;	   /* CHUNK */
	const char *rewrite_token; /* COPY: of the step before; NULL: the first */
	const char *list_prefix;   /* LIST: with the endpoint's prefix */
	const char *list_token;	   /* LIST: "" for the first page */
	bool confirm;		   /* of a GET: asked for as a document, whose 404 says more */
	const char *crc32c, *md5;  /* PUT: base64, of the whole body; NULL: not known */
};

struct gcs_request {
	const char *method;
	struct strbuf url;
	struct strbuf headers;	  /* lines "name: value\n" */
	struct strbuf lead, tail; /* what stands around the data, or (COPY, BEGIN) is all of the body */
};

/* -ENOMEM. Free with gcs_request_free. */
int gcs_request_build(const struct gcs_endpoint *e, const struct gcs_call *call, struct gcs_request *ret);
void gcs_request_free(struct gcs_request *r);

/* The op's condition, where this call carries it; else STORE_ANY. */
enum store_condition gcs_call_condition(const struct gcs_call *call);
/* Path and query of the address that names a resumable upload; "" when it is none. Whose host it names does not count.
 */
const char *gcs_session(const char *location);
/* Does the call change the store? */
bool gcs_call_changes(const struct gcs_call *call);

/* --- gcs_reply.c -------------------------------------------------------------- */

/* What is known of an object, or of a step of a rewrite. "" and -1: not said. */
struct gcs_object {
	char tag[STORE_TAG_MAX];
	char mark[STORE_MARK_MAX];
	int64_t size;
	int64_t mtime;
	char crc32c[12], md5[28]; /* base64 */
	bool done;		  /* of a rewrite: nothing more to do */
	struct strbuf token;	  /* of a rewrite that is not done; strbuf_free it */
};

/* Reads an object's metadata, or with `rewrite` the answer to a step of one. -EINVAL: it is none. -ENOMEM. */
int gcs_object_read(const char *json, size_t len, bool rewrite, struct gcs_object *ret);

/* A header that is Google's own (x-goog-...). Hostile: ignored when it makes no sense. */
void gcs_reply_header(struct reply *r, const char *name, const char *value);
/* The CRC of "crc32c=n03x6A==,md5=..." (x-goog-hash) as base64; "" when it has none. */
void gcs_hash_header(const char *value, char ret_crc32c[12]);

/* Reads reason and message of an error document into r->code and message; of what is none, the beginning is the
 * message. */
void gcs_reply_error(struct reply *r, const char *body, size_t len, char message[200]);
/* What an answer means for a call. message: the error's, in the store's words. */
void gcs_judge(const struct gcs_call *call, const struct reply *r, const char *message, struct verdict *ret);

/*
 * Reads a page of a listing: all of it is checked before fn sees a key; keys must begin with prefix,
 * and lose their first `cut` bytes. Appends the next page's token. -EINVAL; fn's negative return.
 */
int gcs_page_read(const char *json, size_t len, const char *prefix, size_t cut, store_list_fn fn, void *ctx,
		  struct strbuf *token, struct error *err);

/* --- gcs_pace.c --------------------------------------------------------------- */

/*
 * Google takes one write a second of each object. When (CLOCK_BOOTTIME) the next one of this key may be sent; that
 * moment is taken by the call, whatever comes of the write: nobody says that refused ones don't count. For all stores
 * of the process. tag (may be NULL): of the object that is replaced; a generation that looks like a time of this
 * second, as Google's do, tells of a write that somebody else made.
 */
int64_t gcs_pace_next(const char *bucket, const char *key, const char *tag, int64_t interval_ns);
/* It was answered: between its being sent and now it was written. */
void gcs_pace_done(const char *bucket, const char *key);
#endif
