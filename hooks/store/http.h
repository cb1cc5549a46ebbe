/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - HTTP/1.1 and HTTP/2 by libcurl, many requests at once over connections that are
 * kept. The rest of hooks/ sees neither curl nor OpenSSL.
 *
 * It sends a request once and says what came of it; it never repeats one on its own
 * (libcurl does where a kept connection turns out dead: each such sending asks
 * before_send again). Redirects are not followed. Belongs to one thread.
 */
#ifndef VOLRUN_HOOKS_HTTP_H
#define VOLRUN_HOOKS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct http;

struct http_options {
	const char *ca_file;	     /* PEM; NULL: the system's */
	uint32_t connect_timeout_ms; /* 0: 10 s */
	uint32_t low_speed_seconds;  /* gives up after so long with (nearly) nothing moved; 0: 30 s */
	unsigned connections;	     /* kept at most */
	bool direct;		     /* by no proxy, whatever the environment says */
	const char *proxy; /* its URL; "": as `direct`; NULL: https_proxy and so on; no_proxy counts with both */
	uint64_t max_bytes_per_second; /* of bodies, both ways together; 0: no limit */
	bool http2;		       /* where a server offers it with TLS */
};

enum http_outcome {
	HTTP_ANSWERED, /* a whole reply */
	HTTP_UNSENT,   /* nothing of it left this machine: no connection, no TLS */
	HTTP_LOST,     /* it left, at least in part, and no whole reply came: anything may have happened */
	HTTP_STOPPED,  /* before_send said no; nothing left since */
	HTTP_SINK,     /* the sink refused the body */
	HTTP_SOURCE,   /* the file to be sent is shorter than its size, or unreadable */
};

struct http_request {
	/* --- set by the caller, alive until http_wait gives the request back --- */
	const char *method;
	const char *url;
	const char *headers; /* lines "name: value\n" */
	/* The body: from memory, or from a file; `size` bytes between lead and tail. has_body: also of size 0. */
	bool has_body;
	struct http_bytes {
		const char *data;
		size_t len;
	} lead, tail;
	const void *data;
	int in_fd;
	off_t in_offset;
	uint64_t size;
	/* Just before the first byte leaves, and again before each repetition by libcurl. false: HTTP_STOPPED. */
	bool (*before_send)(struct http_request *r);
	/* Each header of the final answer; value without blanks around it. r->status is set. */
	void (*header)(struct http_request *r, const char *name, size_t name_len, const char *value, size_t value_len);
	/* Bytes of its body. false: HTTP_SINK. */
	bool (*sink)(struct http_request *r, const char *data, size_t len);
	uint64_t expected;     /* bytes of the answer, for the deadline; 0: few */
	uint32_t work_seconds; /* that the server may need before it answers, beyond low_speed_seconds */
	void *user;

	/* --- the answer -------------------------------------------------------- */
	enum http_outcome outcome;
	int status;
	bool framed;			/* HTTP/2: the end of the body is told, also without a length */
	unsigned sendings;		/* times that before_send said yes */
	uint64_t sent;			/* of the body, by the last sending: to the kernel, perhaps no further */
	bool hopeless;			/* trying again changes nothing (UNSENT: certificate, malformed URL) */
	const char *reason;		/* not ANSWERED: a few words */
	struct http_transfer *transfer; /* its own */
};

/* Loads libcurl and lets it begin, which http_open does else. Threads may. False: it can't. */
bool http_prepare(void);
int http_open(const struct http_options *options, struct http **ret, struct error *err);
void http_close(struct http *h);

/* Begins at not_before_ns (CLOCK_BOOTTIME; 0: now). 0 or -ENOMEM. */
int http_start(struct http *h, struct http_request *r, int64_t not_before_ns);
/* Waits for one to end, at most so long (0: as long as it takes). NULL when none is under way, or none has ended. */
struct http_request *http_wait(struct http *h, int64_t at_most_ns);
/* Closes the connections, and frees what is kept for the next request, when none is under way. Not beside http_stop. */
void http_rest(struct http *h);
/* The one call for any thread: what is under way, and what is started later, ends soon (UNSENT or LOST, hopeless). */
void http_stop(struct http *h);

/*
 * How long to wait before attempt number `attempt` (2, 3, ...): full jitter
 * below a doubling limit, never less than the server asked for (retry_after
 * seconds, -1: it did not). -1: enough, after 5 attempts or when the wait would end past 30 s
 * from the first.
 */
int64_t http_retry_delay_ns(unsigned attempt, int64_t retry_after, int64_t elapsed_ns);

/*
 * Where the system has its certificates one by one, under the names that OpenSSL looks for; NULL: nowhere. To read the
 * file of all of them takes 20 ms of a processor, for each connection to an https endpoint that is a store's first.
 */
const char *http_ca_directory(void);
/* Are there enough of them in this directory to be all that the system trusts? */
bool http_ca_is_whole(const char *path);

#endif
