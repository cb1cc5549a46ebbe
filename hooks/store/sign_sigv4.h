/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sign_sigv4.h - AWS Signature Version 4 in the Authorization header, as S3
 * takes it: the path is percent-encoded once, and it is signed as it is sent.
 * Pure: the time is an argument.
 */
#ifndef VOLRUN_HOOKS_SIGN_SIGV4_H
#define VOLRUN_HOOKS_SIGN_SIGV4_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/strbuf.h"

/* Percent-encodes all but A-Z a-z 0-9 - _ . ~ (and '/' where it is kept), as UTF-8 bytes, with capital hex digits. */
void sigv4_encode(struct strbuf *out, const char *text, bool keep_slash);

struct sigv4_pair {
	const char *name;  /* headers: in lower case */
	const char *value; /* as it is, not encoded */
};

/* The query in canonical form: encoded and sorted (it sorts the pairs). The same text goes into the URL. */
void sigv4_query(struct strbuf *out, struct sigv4_pair *pairs, size_t n);

struct sigv4 {
	const char *access_key_id, *secret_access_key;
	const char *region, *service;
	time_t now;
	const char *method;
	const char *path;  /* encoded; begins with '/' */
	const char *query; /* canonical; "" */
	/* All of them are signed; sorted by the function. host, x-amz-date and x-amz-content-sha256 are among them. */
	struct sigv4_pair *headers;
	size_t n_headers;
	const char *payload_hash; /* hex, or "UNSIGNED-PAYLOAD" */
};

/* "20130524T000000Z", for the header x-amz-date. */
#define SIGV4_DATE_MAX 17
void sigv4_date(time_t now, char out[SIGV4_DATE_MAX]);

/* Appends the value of the Authorization header. Fails only through out->failed. */
void sigv4_authorization(const struct sigv4 *s, struct strbuf *out);

#endif
