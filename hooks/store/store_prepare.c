/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "hooks/config.h"
#include "hooks/store/http.h"
#include "hooks/store/sign.h"
#include "hooks/store/store.h"

/* OpenSSL looks for itself at its first hash: 1 ms, in which libcurl is loaded. */
static void *begin_hashing(void *arg)
{
	unsigned char hash[SHA256_LEN];
	char hex[SHA256_HEX_MAX];

	sha256_hex("", 0, hex);
	hmac_sha256("", 0, "", 0, hash);
	return arg;
}

static void *begin_http(void *arg)
{
	http_prepare();
	return arg;
}

/* Both from here: while the loader is at work, no thread can be made. */
static pthread_t threads[2];
static size_t n_threads;

static void begin(void *(*fn)(void *))
{
	if (pthread_create(&threads[n_threads], NULL, fn, NULL) == 0)
		n_threads++;
}

void store_prepare(const struct store_config *config, bool alone)
{
	if (n_threads > 0 || !config || !config->type || strcmp(config->type, "filesystem") == 0)
		return;
	/*
	 * GnuTLS comes with what libcurl has for LDAP and RTMP, and looks for itself as it is loaded: 0.4 ms for
	 * nothing. A libcurl that is made with it begins it by itself.
	 */
	if (alone)
		setenv("GNUTLS_NO_IMPLICIT_INIT", "1", 1);
	begin(begin_hashing);
	begin(begin_http);
}

void store_prepare_end(void)
{
	while (n_threads > 0)
		pthread_join(threads[--n_threads], NULL);
}
