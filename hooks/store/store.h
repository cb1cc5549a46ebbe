/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - one interface to every object store. Engine code knows no store
 * by name, and no HTTP.
 *
 * A `struct store` belongs to one thread (a keeper opens one for its renewals
 * and one for its transfers). Requests are `struct store_op`s; store_run drives
 * many of them at once from an iterator, store_do runs one. Each ends with a
 * result class; transient ones (throttled, unreachable, conflict-try-again)
 * were already retried with back-off where the request is idempotent; writes
 * with a condition are never retried blindly: they end as STORE_UNKNOWN and
 * the caller reads back (volumes.md §4, "every write carries a nonce").
 */
#ifndef VOLRUN_HOOKS_STORE_H
#define VOLRUN_HOOKS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/strbuf.h"

enum store_result {
	STORE_OK = 0,
	STORE_ABSENT,	 /* no such object. A missing bucket is STORE_FAILED: it must never look like an empty volume */
	STORE_FALSE,	 /* the condition did not hold (412, 409 BlobAlreadyExists; IF_TAG on an absent object) */
	STORE_THROTTLED, /* still, after the retries */
	STORE_REFUSED,	 /* credentials or permissions */
	STORE_UNREACHABLE, /* no connection, time-out before anything was sent, 5xx on a read */
	STORE_UNKNOWN,	   /* a write that may or may not have happened */
	STORE_CORRUPT,	   /* length or checksum does not fit what was sent or asked for */
	STORE_INVALID,	   /* the store can't take this key or request */
	STORE_CANCELLED,   /* `valid` said no just before the request was sent */
	STORE_FAILED,	   /* anything else; err says what */
};
const char *store_result_name(enum store_result r);

enum store_op_kind { STORE_GET, STORE_PUT, STORE_HEAD, STORE_DELETE, STORE_COPY };
enum store_condition { STORE_ANY, STORE_IF_ABSENT, STORE_IF_TAG };

#define STORE_TAG_MAX 128
#define STORE_MARK_MAX 192
#define STORE_KEY_MAX 1024

struct store_op {
	/* --- the request: set by the caller, unchanged by the store --------- */
	enum store_op_kind kind;
	const char *key; /* full key below the store's prefix: "volumes/ws/vol/a/b"; UTF-8, <= 1024 bytes */

	/* GET: offset/length (length 0: to the end; then `size` is what the object is thought to have, 0: not known).
	 * Into out_fd at out_offset when out_fd >= 0, else into `body` (at most max_body bytes). */
	uint64_t offset, length;
	int out_fd;
	off_t out_offset;
	size_t max_body;

	/* PUT: from memory (data), or from in_fd at in_offset. Of a length known before. A large one is split by the
	 * store. */
	const void *data;
	int in_fd;
	off_t in_offset;
	uint64_t size;
	const char *sha256; /* hex of the bytes, when the caller knows it; NULL: the store computes what it needs */
	/* The sha256 of each store.piece bytes of them, where there are more than store.whole_max; NULL: not known. */
	const unsigned char (*pieces)[32];
	const char *mark;	  /* value of the metadata "volrun"; NULL: none */
	const char *content_type; /* NULL: application/octet-stream */

	/* COPY: from another key of this store. `size` is the source's, where the caller knows it: above 5 GiB S3 must.
	 */
	const char *source;

	/* PUT, DELETE, COPY. A store that can't honour one on DELETE/COPY ignores it (store_caps), and S3 that of a
	 * COPY above STORE_COPY_IF_MAX. */
	enum store_condition condition;
	const char *if_tag;

	void *user; /* the caller's */

	/* --- the answer ------------------------------------------------------ */
	enum store_result result;
	char tag[STORE_TAG_MAX];       /* of the object read or written; "" unknown */
	char got_mark[STORE_MARK_MAX]; /* HEAD: metadata "volrun"; "" none. GET too, where the store tells it along */
	uint64_t got_size;	       /* GET: bytes received. HEAD: size of the object */
	bool cut;		       /* CORRUPT: the connection broke within the answer; the object may be whole */
	int64_t mtime;		       /* HEAD: seconds since the epoch, as the store says */
	struct strbuf body;	       /* GET into memory; the caller frees it */
	int64_t sent_ns;	       /* CLOCK_BOOTTIME just before the (last) request was sent */
	unsigned attempts;	       /* requests sent for it; > 1: it was retried */
	struct error err;	       /* one line: store, bucket or directory, key, reason; no secret */
};

/* out_fd = in_fd = -1, everything else zero. */
void store_op_init(struct store_op *op, enum store_op_kind kind, const char *key);

struct store_list_item {
	const char *key; /* full key below the store's prefix */
	uint64_t size;
	const char *tag;
	int64_t mtime; /* seconds since the epoch, by the store's clock */
};

/* Called for each key in the store's order; a negative errno ends the listing. Keys are hostile: unchecked. */
typedef int (*store_list_fn)(void *ctx, const struct store_list_item *item, struct error *err);

struct store;

/* What `next` of store_run returns where it has no op yet, while others of its are under way: it is asked again soon.
 */
extern struct store_op store_later;

/* What S3 copies in one request; more goes in parts. */
#define STORE_COPY_IF_MAX (UINT64_C(5) << 30)
enum { STORE_CAP_DELETE_IF = 1, STORE_CAP_COPY_IF = 2, STORE_CAP_COPY = 4 };

/* Shall what was begun under the key at that time (seconds since the epoch, by the store's clock) be given up? */
typedef bool (*store_upload_fn)(void *ctx, const char *key, int64_t began);

struct store_vtable {
	const char *type; /* "azure", "filesystem", "gcs", "s3" */
	void (*close)(struct store *s);
	/* Runs ops from next() (NULL: no more; &store_later), up to `parallel` at once; calls done() for each, in any
	 * order, in the calling thread. */
	void (*run)(struct store *s, struct store_op *(*next)(void *), void (*done)(void *, struct store_op *),
		    void *ctx, unsigned parallel);
	/* 0 or a negative errno; a listing that did not reach its end is an error, never a short list. */
	int (*list)(struct store *s, const char *prefix, store_list_fn fn, void *ctx, struct error *err);
	/* store_give_up_uploads; NULL: nothing stays of an upload that nobody completes, or the store sees to it. */
	int (*give_up)(struct store *s, const char *prefix, store_upload_fn fn, void *ctx, uint64_t *ret_n,
		       struct error *err);
	/* store_rest; NULL: it has no connections. */
	void (*rest)(struct store *s);
	/* See store_credentials. NULL: it needs none. */
	int (*credentials)(struct store *s, char *ret, size_t size, struct error *err);
};

struct store {
	const struct store_vtable *ops;
	const char *name;  /* as in the config, for messages */
	char *place;	   /* "bucket b", "directory /d": for messages; the store's */
	unsigned caps;	   /* STORE_CAP_* */
	unsigned parallel; /* how many requests at once do good, by default */
	/* A body of more than whole_max bytes goes in pieces of so many, each with its own sha256. 0: no sha256 goes.
	 */
	uint64_t piece, whole_max;
	/*
	 * Asked just before each request that changes the store is sent (first
	 * sending and every retry). false: the op ends as STORE_CANCELLED. NULL: always.
	 */
	bool (*valid)(void *ctx);
	void *valid_ctx;
	/*
	 * The register that fences the plain files: a store that can (filesystem) takes
	 * the lock of the object fence_key and checks that its "epoch" still is
	 * fence_epoch before each change of a key that is not beneath ".volrun/"; else
	 * STORE_CANCELLED. NULL: no check. The string is the engine's.
	 */
	const char *fence_key;
	uint64_t fence_epoch;
	unsigned quirks; /* STORE_QUIRK_*; see store_quirks */
};

/*
 * Where temporary credentials come from, where the environment does not say so or shall not (store.credentials of the
 * configuration). Which of them a cloud knows: docs/volumes.md. NULL: not said.
 */
struct credentials_config {
	const char *from; /* one provider by name ("instance-metadata"), "none"; NULL: the first that has any */
	const char *file; /* gcs: the JSON file; s3: the shared credentials file */
	const char *config_file, *profile, *process;		/* s3 */
	const char *role_arn, *role_session_name;		/* s3 */
	const char *token_file;					/* s3 and azure: the federated token */
	const char *token_endpoint;				/* s3: STS; azure: the authority; gcs: for tests */
	const char *container_uri, *container_token_file;	/* s3 */
	const char *metadata_endpoint;				/* all: in place of 169.254.169.254 */
	const char *tenant_id, *client_id, *client_secret_file; /* azure */
};

/* The part of a store's configuration that is the same for all; hooks/config.h fills it. */
struct store_config {
	const char *name;
	const char *type; /* "azure" | "filesystem" | "gcs" | "s3" */
	/* filesystem */
	const char *path;
	/* s3, gcs */
	const char *bucket, *region, *endpoint; /* endpoint NULL: AWS, Google */
	const char *prefix;			/* before every key; NULL: none */
	bool path_style;
	const char *encryption, *kms_key_id; /* s3: "AES256", "aws:kms" (of this key; NULL: the account's own); NULL */
	bool requester_pays;		     /* s3 */
	const char *user_project;	     /* gcs: who pays, of a bucket whose requester does */
	const char *ca_file;		     /* PEM; NULL: the system's */
	const char *access_key_id;	     /* NULL: the credential chain */
	const char *secret_access_key_file;  /* a reference, so that the config itself holds no secret */
	const char *secret_access_key;	     /* or in clear, for those who want it */
	const char *session_token_file;
	/* azure; a secret by reference or in clear, as above */
	const char *account, *container;
	const char *account_key_file, *account_key;
	const char *sas_token_file, *sas_token;
	const char *connection_string_file, *connection_string;
	struct credentials_config credentials;
	const char *proxy;	       /* its URL; "": none, whatever the environment says; NULL: by the environment */
	uint64_t max_bytes_per_second; /* 0: no limit */
	uint32_t connect_timeout_ms, low_speed_seconds; /* 0: default */
	uint32_t parallel;				/* 0: default */
	bool foreign_ignore;				/* foreign=ignore */
};

/*
 * Opens; no request is sent. *ret is freed by store_close. config must outlive
 * it. -EINVAL for a config that can't work, with the reason.
 */
int store_open(const struct store_config *config, struct store **ret, struct error *err);
/*
 * Has what such a store needs (libcurl, OpenSSL) loaded by threads, which end when it is. Does not wait; who opens
 * such a store before that, does. Once begun it is to be ended before exit(3), which frees what it loads. alone: this
 * process executes no other, and its environment is nobody else's.
 */
void store_prepare(const struct store_config *config, bool alone);
void store_prepare_end(void);
void store_close(struct store *s);
/* Nothing is asked of it for a while: closes its connections. The next request opens one again. */
void store_rest(struct store *s);

/*
 * Proves that conditions are enforced (volumes.md §4): create twice, replace
 * with a stale tag, under .volrun-probe/<random>. 0: held. -ENOTSUP: accepted
 * without being enforced. Finds the endpoint's quirks (unquoted If-Match) too.
 * Remembered by the caller (cache directory), once per store.
 */
int store_probe(struct store *s, struct error *err);

/*
 * What the probe found out about the endpoint. A caller that remembers a probe
 * remembers these with it and hands them to the next store it opens: without
 * them an endpoint with quirks can't do a conditional replace.
 */
enum {
	STORE_QUIRK_BARE_TAG = 1,  /* If-Match holds only with the tag unquoted (Ceph RGW) */
	STORE_QUIRK_DELETE_IF = 2, /* enforces conditions on DELETE: caps gets STORE_CAP_DELETE_IF */
	STORE_QUIRK_COPY_IF = 4,   /* enforces conditions on COPY: caps gets STORE_CAP_COPY_IF */
};
unsigned store_quirks(const struct store *s);
void store_set_quirks(struct store *s, unsigned quirks);

/*
 * In words for people, where its credentials are from and until when they are good; no secret. May fetch them. "" for a
 * store that needs none.
 */
int store_credentials(struct store *s, char *ret, size_t size, struct error *err);

/* One op to its end. Returns op->result. DELETE of an absent key is STORE_OK. */
enum store_result store_do(struct store *s, struct store_op *op);
/* Many, s->parallel at once, until next returns NULL. next and done run in the calling thread; they don't call the
 * store. */
void store_run(struct store *s, struct store_op *(*next)(void *), void (*done)(void *, struct store_op *), void *ctx);
/* Each key that begins with prefix ("" : all). Keys that C strings can't hold (a NUL) are left out. */
int store_list(struct store *s, const char *prefix, store_list_fn fn, void *ctx, struct error *err);
/*
 * Of the uploads in parts below prefix that were begun and not completed, those of which fn says so are given up; how
 * many: *ret_n, also after an error. A store that keeps nothing of them (or has rules of its own) has none.
 */
int store_give_up_uploads(struct store *s, const char *prefix, store_upload_fn fn, void *ctx, uint64_t *ret_n,
			  struct error *err);

#endif
