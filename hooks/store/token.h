/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token.h - asking those who hand out temporary credentials: one request at a time,
 * short time-outs, small answers, a few repetitions. Requests for tokens change
 * nothing that matters, so they may be repeated.
 */
#ifndef VOLRUN_HOOKS_TOKEN_H
#define VOLRUN_HOOKS_TOKEN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/strbuf.h"

struct http;

struct token_client {
	const char *ca_file, *proxy; /* as in store_config */
	pthread_mutex_t mutex;
	bool stopped;
	struct http *http; /* that is waited for; guarded by the mutex */
	int stop_fd;	   /* see token_client_stop_fd; -1: nobody has asked for it */
};

void token_client_init(struct token_client *c, const char *ca_file, const char *proxy);
void token_client_free(struct token_client *c);
/* From another thread: a request under way ends, and no other begins. */
void token_client_stop(struct token_client *c);

/* For who waits for something else than a request: readable from token_client_stop on. The client's; -1: there is none
 * to be had. */
int token_client_stop_fd(struct token_client *c);

struct token_request {
	const char *who;    /* "the token endpoint", for messages */
	const char *method; /* NULL: POST with a body, else GET */
	const char *url;
	const char *headers; /* lines "name: value\n"; NULL: none */
	const char *body;    /* NULL: none; "" one without bytes */
	/* Of this machine or its neighbour (instance metadata): by no proxy, a second for the connection, once. */
	bool local;
};

struct token_reply {
	int status;
	struct strbuf body;
	char challenge[512]; /* WWW-Authenticate, of a 401 */
};

/*
 * 0: it answered, whatever the status (but 429 and 5xx are tried again, and are an error in the end). -EHOSTUNREACH:
 * it did not; -ENETUNREACH: of a local one, that nobody is there at all. The error says who and where. The body may
 * hold secrets: token_reply_free.
 */
int token_send(struct token_client *c, const struct token_request *r, struct token_reply *ret, struct error *err);
void token_reply_free(struct token_reply *r);
#define _cleanup_token_reply_ __attribute__((cleanup(token_reply_free)))

/*
 * For a status that is not 200: "WHO (URL) refused: STATUS WORD", where WORD is the short code that OAuth 2.0
 * ("error"), AWS (<Code>) or Google give, if it is one. Returns -EACCES.
 */
int token_refused(const struct token_request *r, const struct token_reply *reply, struct error *err);

/* Appends "name=value", both encoded, and '&' before it where something is there already. */
void token_form(struct strbuf *out, const char *name, const char *value);

/* What an OAuth 2.0 token endpoint answers. -EINVAL when it is none. lifetime_ns 0: not said. */
struct token_answer {
	char *access_token; /* the caller wipes it */
	int64_t lifetime_ns;
};
int token_read(const struct token_request *r, const struct token_reply *reply, struct token_answer *ret,
	       struct error *err);

/* Nanoseconds from now to "2026-11-21T19:00:00Z" (fractions are dropped). -EINVAL. In the past: 1. */
int token_until(const char *rfc3339, int64_t *ret_ns);

#endif
