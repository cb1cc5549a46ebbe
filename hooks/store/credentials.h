/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credentials.h - keys for S3, from the first provider of a table that has any
 * (volumes.md §2): the configuration (references to files, or in clear), then the environment.
 */
#ifndef VOLRUN_HOOKS_CREDENTIALS_H
#define VOLRUN_HOOKS_CREDENTIALS_H

#include <stdbool.h>

#include "base/error.h"
#include "hooks/store/store.h"

struct credentials {
	char *access_key_id;
	char *secret_access_key;
	char *session_token; /* NULL: none */
};

/*
 * Errors name the provider and the file, never a secret: -ENOENT when no
 * provider has any, -EINVAL when one has half of them.
 */
int credentials_load(const struct store_config *config, struct credentials *ret, struct error *err);
/* Overwrites before freeing. */
void credentials_free(struct credentials *c);
bool credentials_equal(const struct credentials *a, const struct credentials *b);

#endif
