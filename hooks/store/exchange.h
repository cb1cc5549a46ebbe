/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange.h - what every store behind HTTP shares: many requests at once, each
 * with its repetitions, up to a verdict. What S3, GCS or Azure say and mean is a `struct
 * dialect`; nothing of it is known here.
 *
 * The way of an op: http_store_run takes it from the caller and gives it to
 * dialect->begin. That makes one exchange of it (exchange_new, exchange_start_op), or a
 * machine of several (upload.h; any exchange's `finished` may start further ones). Whatever
 * it is ends with one call of http_store_end.
 *
 * The way of an exchange: prepare (build and sign; before each attempt) → sent →
 * judge → perhaps another attempt (full jitter, Retry-After, a budget: http_retry_delay_ns) →
 * finished. The rules that keep leases safe hold for all stores: `valid` is asked before each
 * sending of what changes the store; what carries a condition is sent once; an attempt that
 * may have been heard makes the verdict STORE_UNKNOWN unless a later one succeeded.
 */
#ifndef VOLRUN_HOOKS_EXCHANGE_H
#define VOLRUN_HOOKS_EXCHANGE_H

#include "base/strbuf.h"
#include "hooks/store/credentials.h"
#include "hooks/store/http.h"
#include "hooks/store/reply.h"
#include "hooks/store/store_impl.h"

struct exchange;
struct http_store;

struct dialect {
	/*
	 * Before each attempt: sets http.method, http.url and http.headers (with their memory, alive until the next
	 * prepare or `release`), `changes`, `condition`, perhaps not_before_ns; signs. May block for a new token.
	 * false: x->verdict says why it can't be sent; that ends the exchange.
	 */
	bool (*prepare)(struct exchange *x);
	/* A header of the answer, in C strings of less than 8 KiB, before reply_header sees it. */
	void (*header)(struct exchange *x, const char *name, const char *value);
	/* Bytes of a GET, as they come. NULL: it looks at none. */
	void (*received)(struct exchange *x, const char *data, size_t len);
	/* A whole answer has come (reply, body; of a GET's bytes only an error's text): sets x->verdict. */
	void (*judge)(struct exchange *x);
	/* Frees what the dialect keeps in its part of the exchange. NULL: nothing. */
	void (*release)(struct exchange *x);
	/* Begins an op that passed store_begin. */
	void (*begin)(struct http_store *s, struct store_op *op);
	/*
	 * One page of a listing: makes its exchange (max_body is set by the caller). prefix is whole, with that of the
	 * configuration; token "": the first page.
	 */
	struct exchange *(*list_page)(struct http_store *s, const char *prefix, const char *token);
	/*
	 * Reads a page: all of it is checked before fn sees a key. Keys begin with prefix, and lose
	 * their first `cut` bytes. Appends to `token` what leads to the next page; nothing: it was the last one.
	 */
	int (*list_read)(const char *body, size_t len, const char *prefix, size_t cut, store_list_fn fn, void *ctx,
			 struct strbuf *token, struct error *err);
};

/* How many requests may be under way (exchange_window.c). */
struct http_window {
	unsigned usual, most; /* to begin with; where the line is long */
	unsigned now, calm;   /* calm: successes since it was made smaller or larger, below `usual` */
	int64_t narrowed_ns;  /* when it was last made smaller */
	bool asked;	      /* ... by the store */
	int64_t quickest_ns;  /* answer to a request of few bytes, of late */
};

/* A store begins with this. */
struct http_store {
	struct store base;
	const struct dialect *dialect;
	const struct store_config *config;
	const char *url;    /* "https://host", for messages */
	const char *prefix; /* "" or "some/prefix/": before every key */
	struct http *http;
	struct credential_source *credentials; /* opened by the store's own opener */
	unsigned under_way, heavy;	       /* exchanges; those of many bytes */
	struct http_window window;
	struct exchange *ready; /* whose verdict is known without a request, to be told by http_store_step */
	int64_t patience_ns;	/* of http_store_step; 0: it has any */
	/* The run that is going on. */
	void (*done)(void *ctx, struct store_op *op);
	void *done_ctx;
};

/* One request, from its first attempt to its verdict. A dialect's own exchange begins with this. */
struct exchange {
	/* --- set by who makes it */
	struct http_store *store;
	const struct store_op *op; /* NULL: of no op (a listing) */
	struct http_request http;  /* the body, if any; `expected` */
	bool get;	 /* the answer's bytes are the op's: into its file, or into `body`; its range is checked */
	size_t max_body; /* of the answer, where it is kept: documents, GET into memory */
	/* Called once with the verdict; frees the exchange (exchange_free), and may start others. */
	void (*finished)(struct exchange *x);
	void *user;

	/* --- set by prepare */
	bool changes;			/* it changes the store */
	enum store_condition condition; /* that it carries */
	int64_t not_before_ns;		/* CLOCK_BOOTTIME; 0: at once */

	/* --- the answer: of the last attempt */
	struct verdict verdict;
	struct reply reply;
	struct strbuf body;
	uint64_t received; /* of a GET */
	char *gathered;	   /* the last n_gathered of these, not yet in the op's file */
	size_t n_gathered;
	int64_t sent_ns;
	unsigned sendings; /* of all attempts */
	unsigned attempts;

	/* --- its own */
	uint64_t generation; /* of the credentials it was signed with */
	int64_t began_ns;    /* put forward by the time in which bytes moved */
	int64_t expected;
	unsigned agains; /* attempts that verdict.again led to */
	bool ambiguous, cancelled, refreshed, head_judged, heavy;
	struct exchange *next;
};

/* `size` of the dialect's own struct, zeroed but for what is the same in all. NULL: out of memory. */
void *exchange_new(struct http_store *s, size_t size, const struct store_op *op);
/* Prepares and begins. `finished` is called in the end, by http_store_step and never from here. */
void exchange_start(struct exchange *x);
/* The op as one request: a PUT's body and a GET's sink are set up, and the op ends with its verdict. */
void exchange_start_op(struct exchange *x, struct store_op *op);
/* Its last step, for those that have a `finished` of their own: frees the exchange (whose user is the op), ends the op.
 */
void exchange_end_op(struct exchange *x);
void exchange_free(struct exchange *x);
/* Have many bytes come by the last attempt, or gone, so that its time was not lost, whatever came of it? */
bool exchange_moved(const struct exchange *x);

/*
 * For prepare: what to sign this attempt with. NULL: the verdict says why there is nothing. When the store then refuses
 * it and the verdict asks for a refresh, the exchange is sent once more with others, if there are any.
 */
const struct credentials *exchange_credentials(struct exchange *x);

/* For prepare, that a hash of the body was in vain: r is -EBADMSG (not what was announced), -ENOMEM or an error of
 * reading. Sets the verdict and returns false. */
bool exchange_bad_data(struct exchange *x, int r);

/* As the configuration says it (0: nothing said). */
void http_window_open(struct http_window *w, uint32_t parallel, uint64_t max_bytes_per_second);
/* Has it so many bytes that it counts as heavy? While `usual` of those are under way, no more begins, of any kind. */
bool http_window_is_heavy(const struct http_request *r);
/* May one more begin? */
bool http_window_has_room(const struct http_store *s);
/* An attempt has ended. */
void http_window_learn(struct http_store *s, const struct exchange *x);

/*
 * Fills what all stores have: name, parallel, the connections. place is the message's "bucket b", given over.
 * After an error, http_store_close is called all the same.
 */
int http_store_open(struct http_store *s, const struct store_config *config, const struct store_vtable *ops,
		    const struct dialect *dialect, char *place, struct error *err);
/* Closes and frees what http_store_open made; not the store itself. */
void http_store_close(struct http_store *s);

/* For the vtable. */
void http_store_run(struct store *s, struct store_op *(*next)(void *), void (*done)(void *, struct store_op *),
		    void *ctx, unsigned parallel);
void http_store_rest(struct store *s);
int http_store_credentials(struct store *s, char *ret, size_t size, struct error *err);
int http_store_list(struct store *s, const char *prefix, store_list_fn fn, void *ctx, struct error *err);

/* Waits until an attempt ends, or patience does; then comes another one, or `finished`. False: nothing is under way. */
bool http_store_step(struct http_store *s);
/* Ends the op with a verdict, and tells the run. */
void http_store_end(struct http_store *s, struct store_op *op, const struct verdict *v);
/* The same, in words. */
void http_store_fail(struct http_store *s, struct store_op *op, enum store_result result, const char *reason);

#endif
