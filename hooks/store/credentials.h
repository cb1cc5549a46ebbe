/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credentials.h - what a store signs its requests with, and where it comes from
 * (volumes.md §2). Each cloud has a chain of providers, tried in order: the first
 * that has anything decides. A provider that the configuration speaks of
 * (credentials.* of the store) is the only one asked; credentials.from names one
 * outright. Temporary ones are fetched again long before they expire, in a thread of
 * the source's own, while the old ones are still in use: who renews a lease never waits for a
 * token, unless there is none that is valid.
 *
 * Secrets are overwritten before their memory is freed, and never in a message.
 * A source belongs to one thread at a time, as its store does.
 */
#ifndef VOLRUN_HOOKS_CREDENTIALS_H
#define VOLRUN_HOOKS_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "hooks/store/store.h"

enum credentials_kind {
	CREDENTIALS_SIGV4,	/* id, secret, token (NULL: no session) */
	CREDENTIALS_BEARER,	/* token */
	CREDENTIALS_SHARED_KEY, /* secret: base64, as Azure gives it */
	CREDENTIALS_SAS,	/* token: a query without '?' */
	CREDENTIALS_ANONYMOUS,	/* none are wanted (a public emulator): credentials.from = "none" */
};

struct credentials {
	enum credentials_kind kind;
	char *id, *secret, *token; /* NULL: not of this kind. All are visible ASCII, fit for a header */
	int64_t lifetime_ns;	   /* from now; 0: they don't expire, as far as anybody said */
	char origin[256];	   /* where they are from, in words, for people */
	uint64_t generation;	   /* another one: other credentials. The source's */
};

enum credentials_cloud { CREDENTIALS_S3, CREDENTIALS_GCS, CREDENTIALS_AZURE };

struct credential_source;

/*
 * Nothing is sent. Keys that stand in the configuration, the environment or a file are read now: -EINVAL when they
 * can't be used, -ENOENT when there are none and nobody can be asked for some. Free with credentials_close. config must
 * outlive it.
 */
int credentials_open(const struct store_config *config, enum credentials_cloud cloud, struct credential_source **ret,
		     struct error *err);
void credentials_close(struct credential_source *s);

/*
 * The ones to sign with now; good until the next call on this source. Waits only when there are none that are valid, 20
 * s at most. The error names what was tried and has no prefix: -EHOSTUNREACH when somebody who should have answered did
 * not (try again), -ENOENT, -EINVAL or -EACCES when there are none to be had.
 */
int credentials_get(struct credential_source *s, const struct credentials **ret, struct error *err);

/*
 * The store refused those of this generation. True: there are others by now, worth sending the request once more
 * (perhaps fetched by this call, which then takes up to 20 s).
 */
bool credentials_refused(struct credential_source *s, uint64_t generation);

/* Where the ones to sign with now are from, and until when they are good. As credentials_get. */
int credentials_describe(struct credential_source *s, char *ret, size_t size, struct error *err);

/*
 * May it be that a program is run for them (AWS's credential_process, in the configuration or in a file of profiles)?
 * Of a file that can't be read: no.
 */
bool credentials_run_program(const struct store_config *config);

/* Is it a word for credentials.from? For the configuration's check. */
bool credentials_provider_known(enum credentials_cloud cloud, const char *name);

/* Overwrites before freeing. */
void credentials_free(struct credentials *c);
bool credentials_equal(const struct credentials *a, const struct credentials *b);

#endif
