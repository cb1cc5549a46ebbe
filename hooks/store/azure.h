/* SPDX-License-Identifier: Apache-2.0 */
/*
 * azure.h - Azure Blob Storage without the network: what to send, and what an
 * answer means. Pure functions; store_azure.c sends. REST version 2021-12-02.
 *
 * Directory markers (keys that end in '/') are empty blobs of that name with the metadata hdi_isfolder, as other tools
 * write them. In an account with a hierarchical namespace such a blob is the directory itself, which every file brings
 * along; so that listings can tell one that somebody wanted from one that is only there, ours carry the metadata
 * volrundir, and a directory without it is not listed.
 */
#ifndef VOLRUN_HOOKS_AZURE_H
#define VOLRUN_HOOKS_AZURE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/error.h"
#include "base/strbuf.h"
#include "hooks/store/credentials.h"
#include "hooks/store/reply.h"

/* --- azure_request.c ----------------------------------------------------------------- */

/* Where the container is. Strings are its own. */
struct azure_endpoint {
	bool tls;
	char *account; /* "": not known (a signature needs it) */
	char *container;
	char *host;   /* as in the Host header */
	char *base;   /* path before the container: "", or "/account" at an emulator */
	char *prefix; /* "" or "some/prefix/": before every key */
	char *url;    /* "https://host" */
};

/*
 * From the configuration: account and container, perhaps with an endpoint or a connection string. At an address
 * (an emulator) the account is the first part of the path. -EINVAL with the reason.
 */
int azure_endpoint_init(const struct store_config *config, struct azure_endpoint *ret, struct error *err);
void azure_endpoint_free(struct azure_endpoint *e);

/* Azure does not keep such a name as it is: control characters, '\', parts that end in '.', more than 1024 characters.
 */
bool azure_name_valid(const char *prefix, const char *key);

enum azure_call_kind {
	AZURE_CALL_OP,		/* the op as one request */
	AZURE_CALL_BLOCK,	/* one block of a PUT */
	AZURE_CALL_LIST_BLOCKS, /* put them together */
	AZURE_CALL_POLL,	/* is a copy done? */
	AZURE_CALL_LIST,	/* one page */
};

struct azure_call {
	enum azure_call_kind kind;
	const struct store_op *op; /* not for LIST */
	unsigned caps;		   /* STORE_CAP_* */
	const char *block;	   /* BLOCK: its id, base64 */
	const char *md5;	   /* of the body, base64; NULL: none */
	uint64_t size;		   /* of the body */
	bool has_body;
	const char *if_tag;	 /* in place of the op's condition */
	const char *list_prefix; /* LIST: with the endpoint's prefix */
	const char *list_marker; /* LIST: NULL for the first page */
};

struct azure_request {
	const char *method;
	struct strbuf url;
	struct strbuf headers; /* lines "name: value\n" */
};

/* Builds and signs. -ENOMEM; -EINVAL: the account's key is none. Free with azure_request_free. */
int azure_request_build(const struct azure_endpoint *e, const struct credentials *c, const struct azure_call *call,
			time_t now, struct azure_request *ret);
void azure_request_free(struct azure_request *r);

/* The body of LIST_BLOCKS. */
void azure_block_list(struct strbuf *out, const char *upload, unsigned n);
/* A block's id: all of a blob have the same length. */
#define AZURE_BLOCK_MAX 48
void azure_block_id(const char *upload, unsigned number, char ret[AZURE_BLOCK_MAX]);

bool azure_call_changes(const struct azure_call *call);
/* The condition that this call carries. */
enum store_condition azure_call_condition(const struct azure_call *call);

/* --- azure_reply.c ------------------------------------------------------------------- */

/* What only Azure says. */
struct azure_reply {
	bool is_directory, ours; /* hdi_isfolder, volrundir */
	enum { AZURE_COPY_NONE, AZURE_COPY_PENDING, AZURE_COPY_DONE, AZURE_COPY_FAILED } copy;
	char copy_id[64];
	char md5[28]; /* Content-MD5; "": not said */
};
void azure_reply_header(struct reply *r, struct azure_reply *a, const char *name, const char *value);
void azure_judge(const struct azure_call *call, const struct reply *r, const struct azure_reply *a,
		 struct verdict *ret);

/* --- azure_page.c -------------------------------------------------------------------- */

/* As dialect->list_read (exchange.h). */
int azure_page_read(const char *xml, size_t len, const char *prefix, size_t cut, store_list_fn fn, void *ctx,
		    struct strbuf *marker, struct error *err);

#endif
