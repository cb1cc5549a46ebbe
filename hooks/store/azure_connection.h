/* SPDX-License-Identifier: Apache-2.0 */
/* azure_connection.h - Azure's connection strings: "AccountName=...;AccountKey=...;EndpointSuffix=...". */
#ifndef VOLRUN_HOOKS_AZURE_CONNECTION_H
#define VOLRUN_HOOKS_AZURE_CONNECTION_H

#include "base/arena.h"
#include "base/error.h"
#include "hooks/store/store.h"

struct azure_connection {
	const char *account;	   /* NULL: it does not say */
	const char *key;	   /* base64; NULL: none */
	const char *sas;	   /* a query without '?'; NULL: none */
	const char *blob_endpoint; /* a URL; NULL: none */
};

/* UseDevelopmentStorage=true is the emulator at its own port, with its well-known key. Messages quote no value. */
int azure_connection_parse(const char *text, struct arena *arena, struct azure_connection *ret, struct error *err);

/*
 * The connection string that a store has: the configuration's (in clear or in a file), else that of the
 * environment (AZURE_STORAGE_CONNECTION_STRING) when the configuration has no other keys. All members NULL: none.
 */
int azure_connection_of(const struct store_config *config, struct arena *arena, struct azure_connection *ret,
			struct error *err);

#endif
