/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint.h - the pieces of an address in the configuration, for all HTTP stores. */
#ifndef VOLRUN_HOOKS_ENDPOINT_H
#define VOLRUN_HOOKS_ENDPOINT_H

#include <stdbool.h>

#define ENDPOINT_HOST_MAX 256

/*
 * "https://host:port/" into its parts; the scheme's own port is left out of host, as clients do.
 * ret_path (may be NULL: then nothing may follow the host) gets "/some/path" without a '/' at
 * the end, or "". -EINVAL.
 */
int endpoint_split(const char *text, bool *ret_tls, char host[ENDPOINT_HOST_MAX], char ret_path[ENDPOINT_HOST_MAX]);

/* An address ("127.0.0.1", "[::1]") or localhost, with or without a port. */
bool endpoint_is_address(const char *host);

/* "/a/b/" becomes "a/b/"; NULL and "" become "". -ENOMEM. */
int endpoint_prefix(const char *text, char **ret);

#endif
